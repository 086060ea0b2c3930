"""The upstream of the benchmark: answers each chat completion from memory, whole or as a stream of 100 chunks.

A request that holds the word `long-stream` gets a stream of 16 MiB.
"""

import argparse
import asyncio
import ssl

ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"stub","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"pong"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
)
CHUNKS = 100


def chunk(delta: str, finish: str = "null", rest: str = "") -> bytes:
    """One chunk of the transfer, which holds one event of the stream."""
    event = (
        'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"stub","choices":'
        f'[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]{rest}}}\n\n'
    ).encode()
    return b"%x\r\n%b\r\n" % (len(event), event)


STREAM = [chunk('{"role":"assistant","content":""}')]
STREAM += [chunk(f'{{"content":"word{number} "}}') for number in range(CHUNKS - 2)]
STREAM += [chunk("{}", '"stop"')]
END = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
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
            for piece in STREAM:
                writer.write(piece)
                # One packet a chunk, as a model gives one token after the other.
                await asyncio.sleep(0)
            writer.write(END)
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
