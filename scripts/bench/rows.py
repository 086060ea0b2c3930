"""What is measured: each row asks the router and mitmproxy alone the same, and names the bar that it must keep."""

from dataclasses import dataclass, field

from scripts.bench.load import Asked

WHOLE = (b"pong",)
# What the last content chunk of the stub's stream holds, and what ends a stream.
STREAM = (b"word97 ", b"[DONE]")
CHUNKS = 100
# A model that the stub answers for over TLS, as providers do.
OVER_TLS = "gpt-4o"

CONFIG = """
providers:
  - name: stub
    type: openai_compatible
    base_url: http://127.0.0.1:{port}/v1
    models: [{{id: stub, serves: [gpt-4o-mini]}}]
  - name: stub_over_tls
    type: openai_compatible
    base_url: https://localhost:{tls_port}/v1
    models: [{{id: stub, serves: [gpt-4o]}}]
  - name: anthropic
    type: anthropic
    base_url: http://127.0.0.1:{port}/v1
    models: [{{id: stub, serves: [claude]}}]
{more}
"""
IN_REDIS = 'cache: {{backend: redis, url: "redis://127.0.0.1:{port}/0"}}'


@dataclass(frozen=True)
class Row:
    """One comparison.

    `alone` is what mitmproxy alone is asked, the same where None. `bar` is the highest ratio that is good enough, None
    where there is none. `share` is the part of the requests that the row gets, as some take longer than others; `per`
    divides a request into what is counted, such as chunks.
    """

    name: str
    asked: Asked
    alone: Asked | None = None
    bar: float | None = None
    tunnelled: bool = False
    in_redis: bool = False
    clients: int | None = None
    share: float = 1.0
    per: int = 1
    tags: frozenset[str] = field(default_factory=frozenset)


_SHORT = frozenset({"short"})
_ROUTED = Asked(expected=WHOLE)
_STREAMED = Asked(stream=True, expected=STREAM)
_HIT = Asked(members={"temperature": 0}, expected=WHOLE)
_TUNNELLED = Asked(model=OVER_TLS, expected=WHOLE)

ROWS = (
    Row("routed", _ROUTED, bar=0.80, tags=_SHORT),
    Row("routed, 1 client", _ROUTED, clients=1, share=0.5),
    Row("routed, 4 clients", _ROUTED, clients=4),
    Row("routed, 16 clients", _ROUTED, clients=16),
    Row("routed, 64 clients", _ROUTED, clients=64),
    Row("routed, inside CONNECT and TLS", _TUNNELLED, tunnelled=True),
    Row("routed, inside CONNECT and TLS, 1 client", _TUNNELLED, tunnelled=True, clients=1, share=0.5),
    Row("routed, inside CONNECT and TLS, 64 clients", _TUNNELLED, tunnelled=True, clients=64),
    Row("from the cache in memory", _HIT, alone=_ROUTED, bar=0.55, tags=_SHORT),
    Row(
        "from the cache in memory, inside CONNECT and TLS",
        Asked(model=OVER_TLS, members={"temperature": 0}, expected=WHOLE),
        alone=_TUNNELLED,
        tunnelled=True,
    ),
    Row("from the cache in Redis", _HIT, alone=_ROUTED, in_redis=True),
    Row("streamed, per chunk", _STREAMED, bar=0.9, share=0.1, per=CHUNKS, tags=_SHORT),
    Row(
        "streamed inside CONNECT and TLS, per chunk",
        Asked(model=OVER_TLS, stream=True, expected=STREAM),
        tunnelled=True,
        share=0.1,
        per=CHUNKS,
    ),
    Row(
        "streamed and translated from Anthropic, per chunk",
        Asked(model="claude", stream=True, expected=STREAM),
        alone=_STREAMED,
        share=0.1,
        per=CHUNKS,
    ),
    Row(
        "streamed from the cache, per chunk",
        Asked(stream=True, members={"seed": 7}, expected=STREAM),
        alone=_STREAMED,
        share=0.1,
        per=CHUNKS,
    ),
    Row("request of 100 KB", Asked(body_bytes=100_000, expected=WHOLE), share=0.5),
    Row("request of 1 MB", Asked(body_bytes=1_000_000, expected=WHOLE), bar=1.0, share=0.2, tags=_SHORT),
    Row(
        "request of 1 MB, inside CONNECT and TLS",
        Asked(model=OVER_TLS, body_bytes=1_000_000, expected=WHOLE),
        tunnelled=True,
        share=0.2,
    ),
    Row(
        "new connection with CONNECT and TLS, and one request",
        Asked(model=OVER_TLS, is_new=True, expected=WHOLE),
        bar=0.6,
        tunnelled=True,
        share=0.1,
        tags=_SHORT,
    ),
    Row("new connection without TLS, and one request", Asked(is_new=True, expected=WHOLE), share=0.25),
)
