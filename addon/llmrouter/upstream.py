"""The one module that opens connections to providers: a pooled client, one time-out per phase, failures by name."""

import asyncio
import functools
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.wire import UpstreamRequest
from llmrouter.settings.model import TimeoutSettings

MAX_REPLY_BYTES = 128 * 1024 * 1024
# What is read at once is decoded at once: less keeps memory low where many clients read slowly.
_MOST_AT_ONCE_BYTES = 32 * 1024
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
# A connection that a provider closes while it idles costs a failed attempt: stay below the common 60 s.
_KEEP_ALIVE_S = 45


class UpstreamReply:
    """A provider's answer whose body is read piece by piece; closing it early closes the connection."""

    def __init__(self, response: aiohttp.ClientResponse, timeouts: TimeoutSettings) -> None:
        self._response = response
        self._idle_s = timeouts.idle
        self._left_s = timeouts.total
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def read_some(self, patience_s: float | None = None) -> bytes:
        """The next bytes as they came, b"" at the end; waits for `idle` seconds, or `patience_s` where given.

        Only the time spent waiting for the provider counts towards `total`: a client that reads slowly costs nothing.
        """
        content = self._response.content
        loop = asyncio.get_running_loop()
        started = loop.time()
        limit = min(self._left_s, self._idle_s if patience_s is None else patience_s)
        try:
            async with asyncio.timeout(limit):
                data = await content.read(_MOST_AT_ONCE_BYTES)
        except TimeoutError:
            raise AttemptFailed(Outcome.TIMED_OUT, f"nothing came for {limit:.3g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _failure(error) from error
        finally:
            self._left_s -= loop.time() - started
        return data

    async def read_all(self, patience_s: float, limit_bytes: int = MAX_REPLY_BYTES) -> bytes:
        """The whole body, whose first bytes come within `patience_s`; raises `AttemptFailed` where it is cut or stalls.

        A body over `limit_bytes` is refused as a bad reply.
        """
        pieces: list[bytes] = []
        size = 0
        while data := await self.read_some(None if pieces else patience_s):
            size += len(data)
            if size > limit_bytes:
                raise AttemptFailed(Outcome.BAD_REPLY, f"the reply is larger than {limit_bytes} bytes", self.status)
            pieces.append(data)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Gives a connection whose body was read to its end back to the pool, and closes any other at once."""
        self._response.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Connection(ResponseHandler):
    """A connection that knows whether anything came for the request under way."""

    has_heard = False

    def data_received(self, data: bytes) -> None:
        """The next bytes."""
        self.has_heard = True
        super().data_received(data)


# The connection of the request under way, where that was used before.
_used: ContextVar[_Connection | None] = ContextVar("used", default=None)


class _Connector(aiohttp.TCPConnector):
    """A pool that gives out no connection over which something came that nobody asked for.

    It would be taken for the answer to the next request, whoever asks that. aiohttp 3.14 looks for it when a connection
    is given back, and not when one is given out.
    """

    def __init__(self) -> None:
        super().__init__(limit=0, keepalive_timeout=_KEEP_ALIVE_S, ttl_dns_cache=60)
        kind: type[ResponseHandler] = _Connection
        self._factory = functools.partial(kind, loop=asyncio.get_running_loop())

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        _used.set(None)
        while (connection := await super()._get(key, traces)) is not None:
            protocol = connection.protocol
            if isinstance(protocol, _Connection) and not protocol.should_close:
                protocol.has_heard = False
                _used.set(protocol)
                return connection
            connection.close()
        return None


class Upstream:
    """Connections to all providers, shared by all clients and kept open between calls."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: UpstreamRequest, timeouts: TimeoutSettings, patience_s: float) -> UpstreamReply:
        """Sends a request and waits for the reply's head; raises `AttemptFailed` by phase."""
        try:
            async with asyncio.timeout(patience_s):
                response = await self._request(request, timeouts)
        except aiohttp.ConnectionTimeoutError as error:
            raise AttemptFailed(Outcome.UNREACHABLE, f"no connection within {timeouts.connect:.3g} s") from error
        except TimeoutError:
            raise AttemptFailed(Outcome.TIMED_OUT, f"no reply within {patience_s:.3g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _failure(error) from error
        return UpstreamReply(response, timeouts)

    async def _request(self, request: UpstreamRequest, timeouts: TimeoutSettings) -> aiohttp.ClientResponse:
        session = self._session or self._open()
        while True:
            try:
                return await session.request(
                    request.method,
                    request.url,
                    data=request.body,
                    headers=request.headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, connect=timeouts.connect),
                )
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # A provider may close an idle connection just as it is used again (RFC 9112, section 9.3.1): that says
                # nothing about its health. A new connection that fails does, and so does one that began to answer.
                used = _used.get()
                if used is None or used.has_heard:
                    raise

    def _open(self) -> aiohttp.ClientSession:
        # trust_env stays off: the router's own HTTPS_PROXY may well be the router.
        self._session = aiohttp.ClientSession(
            connector=_Connector(),
            timeout=_NO_TIMEOUT,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
        )
        return self._session

    async def close(self) -> None:
        """Closes every connection; the next `send` opens new ones."""
        if self._session is not None:
            with suppress(aiohttp.ClientError):
                await self._session.close()
            self._session = None


def _failure(error: Exception) -> AttemptFailed:
    """Names an error of the client library; the message never holds headers, so never a key."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            text = f"TLS to {error.host} failed: {error.certificate_error}"
        case aiohttp.ClientSSLError():
            text = f"TLS to {error.host} failed: {error.os_error.strerror or error.os_error}"
        case aiohttp.ClientConnectorDNSError():
            text = f"no address for {error.host}"
        case aiohttp.ClientConnectorError():
            text = f"cannot connect to {error.host}:{error.port}: {error.os_error.strerror or error.os_error}"
        case aiohttp.ClientPayloadError():
            return AttemptFailed(Outcome.BAD_REPLY, "the connection broke in the middle of the reply")
        case aiohttp.ClientResponseError():
            return AttemptFailed(Outcome.BAD_REPLY, "the reply is no valid HTTP")
        case aiohttp.InvalidURL() | ValueError():
            text = "the provider's address or headers are not valid"
        case _:
            return AttemptFailed(Outcome.DISCONNECTED, "the provider closed the connection without a reply")
    return AttemptFailed(Outcome.UNREACHABLE, text)
