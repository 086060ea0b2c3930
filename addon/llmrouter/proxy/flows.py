"""What stands in recorded flows: responses to clients, requests as a provider got them, and never a key."""

import logging
import re
import time
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from mitmproxy import http
from mitmproxy.net.http import status_codes, url

from llmrouter.errors import InvalidRequest, RequestTooLarge, RouterError, UnsupportedEncoding
from llmrouter.operations import Result
from llmrouter.providers.wire import UpstreamRequest

REDACTED = "[redacted by llmrouter]"
ROUTER_HEADER_PREFIX = "x-llmrouter-"
_QUOTED_CREDENTIAL = re.compile(r"(?i)((?:authorization|api-key|x-goog-api-key|cookie):)(?:(?!\\r|\\n).)*")
_SECRET_HEADERS = ("authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie", "proxy-authorization")


def make_response(status: int, headers: Mapping[str, str], body: bytes = b"") -> http.Response:
    """A whole response; what `http.Response.make` does, without its detours."""
    fields = [*_fields(headers), (b"content-length", b"%d" % len(body))]
    reason, now = status_codes.RESPONSES.get(status, "").encode(), time.time()
    return http.Response(b"HTTP/1.1", status, reason, http.Headers(fields), body, None, now, now)


def _fields(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in headers.items()]


def last_response(error: RouterError, request: http.Request) -> http.Response:
    """An error after which the connection is closed; HTTP/2 has no header for that (RFC 9113, section 8.2.2)."""
    response = error_response(error)
    if request.http_version.startswith("HTTP/1"):
        response.headers["connection"] = "close"
    return response


def error_response(error: RouterError) -> http.Response:
    """An error of the router that needed no gateway, in OpenAI's shape."""
    headers = {"content-type": "application/json"} | error.retry_headers()
    return make_response(error.status, headers, error.to_json())


def stream_response(result: Result, http_version: str) -> http.Response:
    """The head of a streamed response, framed as the client's HTTP version wants it."""
    response = http.Response.make(result.status, b"", headers=result.headers)
    del response.headers["content-length"]
    if http_version == "HTTP/1.1":
        response.headers["transfer-encoding"] = "chunked"
    elif http_version == "HTTP/1.0":
        response.headers["connection"] = "close"
    return response


def take_credentials(request: http.Request) -> dict[str, list[str]]:
    """The client's credentials by header name, which the recorded request then no longer holds."""
    present = {name.lower() for name, _ in request.headers.fields}
    taken = {name: request.headers.get_all(name) for name in _SECRET_HEADERS if name.encode() in present}
    for name in taken:
        request.headers[name] = REDACTED
    return taken


def put_credentials_back(request: http.Request, taken: Mapping[str, list[str]]) -> None:
    """Undoes `take_credentials`, for a request that is passed through after all."""
    for name, values in taken.items():
        request.headers.set_all(name, values)


def without_credentials(request: http.Request) -> http.Request:
    """A copy for the record."""
    shown = request.copy()
    take_credentials(shown)
    return shown


def drop_router_headers(request: http.Request) -> None:
    """Takes the `x-llmrouter-*` headers out: none of them reaches a provider."""
    prefix, fields = ROUTER_HEADER_PREFIX.encode(), request.headers.fields
    kept = tuple(field for field in fields if not field[0].lower().startswith(prefix))
    if len(kept) < len(fields):
        request.headers.fields = kept


def hide_credentials_in_log(record: logging.LogRecord) -> bool:
    """Takes credentials out of mitmproxy's own lines, which quote the head of a request that was cut short."""
    if isinstance(record.msg, str) and "closed connection before" in record.msg:
        record.msg = _QUOTED_CREDENTIAL.sub(rf"\1 {REDACTED}", record.msg)
    return True


def show_upstream_request(flow: http.HTTPFlow, sent: UpstreamRequest) -> None:
    """Makes the recorded request the one that the provider got."""
    asked, place = flow.request, _place_of(sent.url)
    headers = {name: REDACTED if name in _SECRET_HEADERS else value for name, value in sent.headers.items()}
    told = http.Headers([*_fields(headers), (b"content-length", b"%d" % len(sent.body)), (b"host", place.netloc)])
    # A new object: mitmproxy's connection still reads the framing of the one that the client sent.
    flow.request = http.Request(
        host=place.host,
        port=place.port,
        method=sent.method.encode(),
        scheme=place.scheme,
        authority=b"",
        path=place.path,
        http_version=asked.data.http_version,
        headers=told,
        content=sent.body,
        trailers=None,
        timestamp_start=asked.timestamp_start,
        timestamp_end=asked.timestamp_end,
    )


class _Place(NamedTuple):
    """The parts of a URL, as mitmproxy keeps them."""

    scheme: bytes
    host: str
    port: int
    path: bytes
    netloc: bytes


@lru_cache(maxsize=256)
def _place_of(address: str) -> _Place:
    scheme, host, port, path = url.parse(address)
    return _Place(scheme, host.decode("idna"), port, path, urlsplit(address).netloc.encode())


def decoded_body(request: http.Request, limit_bytes: int) -> bytes:
    """The request's body, unpacked where it is compressed; raises `InvalidRequest` by what is wrong with it."""
    body = request.raw_content or b""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        text = f"The content-encoding '{encoding}' is not supported. Send the body as it is, or with gzip or deflate."
        raise UnsupportedEncoding(text)
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        data = unpack.decompress(body, limit_bytes + 1)
    except zlib.error:
        raise InvalidRequest(f"The request's body is not valid {encoding}.") from None
    if len(data) > limit_bytes:
        raise RequestTooLarge(f"The request's body is over the limit of {limit_bytes} bytes when unpacked.")
    if not unpack.eof:
        raise InvalidRequest(f"The request's {encoding} body is cut short.")
    return data
