"""The upstream of the benchmark: answers each chat completion from memory, whole or as a stream of 100 chunks.

A request that holds the word `long-stream` gets a stream of 16 MiB; one to `/messages` gets Anthropic's events.
"""

import argparse
import asyncio
import json
import ssl
from typing import Any

ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"stub","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"pong"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
)
CHUNKS = 100


def chunk(delta: str, finish: str = "null", rest: str = "") -> bytes:
    """One chunk of the transfer, which holds one event of the stream."""
    return framed(
        'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"stub","choices":'
        f'[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]{rest}}}\n\n'
    )


def framed(text: str) -> bytes:
    """One chunk of the transfer."""
    data = text.encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


def anthropic_event(kind: str, **members: Any) -> bytes:
    """One event of Anthropic's stream."""
    return framed(f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n")


def anthropic_stream() -> list[bytes]:
    """The same answer as `STREAM` in Anthropic's words."""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "stub"}
    started = {**message, "stop_reason": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
    deltas = [{"type": "text_delta", "text": f"word{number} "} for number in range(CHUNKS - 2)]
    return [
        anthropic_event("message_start", message=started),
        anthropic_event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *(anthropic_event("content_block_delta", index=0, delta=delta) for delta in deltas),
        anthropic_event("content_block_stop", index=0),
        anthropic_event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": CHUNKS}),
        anthropic_event("message_stop"),
    ]


STREAM = [chunk('{"role":"assistant","content":""}')]
STREAM += [chunk(f'{{"content":"word{number} "}}') for number in range(CHUNKS - 2)]
STREAM += [chunk("{}", '"stop"')]
ANTHROPIC_STREAM = anthropic_stream()
LAST = b"0\r\n\r\n"
END = b"e\r\ndata: [DONE]\n\n\r\n" + LAST
LONG_PIECE = chunk('{"content":"' + "x" * 8000 + '"}')
LONG_PIECES = 2048
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


async def serve_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers one connection's requests until it closes."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            body = await reader.readexactly(length)
            if b'"stream": true' not in body and b'"stream":true' not in body:
                writer.write(WHOLE)
                continue
            writer.write(STREAM_HEAD)
            if b"long-stream" in body:
                for _ in range(LONG_PIECES):
                    writer.write(LONG_PIECE)
                    await writer.drain()
                writer.write(STREAM[-1] + END)
                continue
            is_anthropic = head.startswith(b"post /v1/messages")
            for piece in ANTHROPIC_STREAM if is_anthropic else STREAM:
                writer.write(piece)
                # A turn for the other connections; most chunks of a stream still reach the proxy together.
                await asyncio.sleep(0)
            writer.write(LAST if is_anthropic else END)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cert", help="a PEM file with key and certificate; without it, plain HTTP")
    options = parser.parse_args()
    tls = None
    if options.cert:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.cert)
    server = await asyncio.start_server(serve_client, "127.0.0.1", options.port, ssl=tls)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
