"""An HTTP/2 client that changes its mind in the same breath costs nothing."""

import asyncio
import json

import h2.config
import h2.connection
import h2.events

from tests.e2e.conftest import StartRouter, routed_to
from tests.fakes.provider import FakeProvider

BODY = json.dumps({"messages": [{"role": "user", "content": "x"}], "stream": True}).encode()
HEADERS = [
    (":method", "POST"),
    (":scheme", "https"),
    (":authority", "api.openai.com"),
    (":path", "/v1/chat/completions"),
]


async def test_a_request_and_its_reset_in_one_packet(start_router: StartRouter, fake: FakeProvider) -> None:
    """Ten requests that are reset as they are sent reach no provider; the next one on the connection is answered."""
    router = await start_router(routed_to(fake))
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(b"CONNECT api.openai.com:443 HTTP/1.1\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    tls = router.tls()
    tls.set_alpn_protocols(["h2"])
    await writer.start_tls(tls, server_hostname="api.openai.com")
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    for stream_id in range(1, 21, 2):
        connection.send_headers(stream_id, HEADERS)
        connection.send_data(stream_id, BODY, end_stream=True)
        connection.reset_stream(stream_id)
    connection.send_headers(21, HEADERS)
    connection.send_data(21, BODY, end_stream=True)
    writer.write(connection.data_to_send())

    is_answered = False
    while not is_answered:
        events = connection.receive_data(await asyncio.wait_for(reader.read(65536), 10))
        is_answered = any(isinstance(event, h2.events.StreamEnded) and event.stream_id == 21 for event in events)
        writer.write(connection.data_to_send())
    writer.close()

    assert len(fake.requests) == 1
