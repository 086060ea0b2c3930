"""What can go wrong, by what is done next.

RouterError                  the client gets this; each leaf knows status, OpenAI type and code, metric name
├── InvalidRequest           400, before any provider is asked
│   ├── RequestTooLarge      413
│   ├── UnsupportedEncoding  415
│   └── ForeignPage          403
├── NoTarget                 404, nothing may answer the requested model
├── NoPage, WrongMethod      404, 405, of the router's own pages
├── NoAnswer                 503 or 429, everything was tried or rests
├── NotConfigured          503, no target is configured
├── Overloaded             503, more than the router takes on at the same time
├── ShuttingDown           503, nothing new is taken on
├── NotCached                504, only a kept answer was wanted, and there is none
├── RelayedError             a provider's own 4xx, handed on
└── InternalError            500, a defect of the router; the request went nowhere
AttemptFailed                one attempt's end; the gateway decides what comes next (design 6.2)
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

import orjson

from llmrouter.replies import Usage


class RouterError(Exception):
    """An error in OpenAI's shape, for the client."""

    status: int = 500
    type: str = "server_error"
    code: str | None = None
    metric: ClassVar[str] = "internal_error"
    is_worth_retrying: ClassVar[bool] = False

    def __init__(self, message: str, *, param: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s

    def retry_headers(self) -> dict[str, str]:
        """What steers the SDKs' own retries (openai-python `_base_client.py`)."""
        headers = {"x-should-retry": "true" if self.is_worth_retrying else "false"}
        if self.retry_after_s is not None:
            headers["retry-after"] = str(max(1, -int(-self.retry_after_s // 1)))
        return headers

    def to_json(self) -> bytes:
        """The body that OpenAI's clients parse."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return orjson.dumps({"error": error})


class InvalidRequest(RouterError):
    """The client's request cannot be understood; no provider was asked."""

    status = 400
    type = "invalid_request_error"
    metric = "invalid_request"


class RequestTooLarge(InvalidRequest):
    """The request's body is over the router's limit."""

    status = 413
    code = "request_too_large"


class UnsupportedEncoding(InvalidRequest):
    """The request's `content-encoding` is none that the router reads."""

    status = 415
    code = "unsupported_content_encoding"


class ForeignPage(InvalidRequest):
    """A browser asks for a web page of another site."""

    status = 403
    code = "foreign_origin"


class AccessRefused(RouterError):
    """Who asks gives none of the keys that let a client in."""

    status = 401
    type = "invalid_request_error"
    code = "invalid_access_key"
    metric = "access_refused"


class ForbiddenAddress(RouterError):
    """The proxy is asked to reach what nobody may reach through it."""

    status = 403
    type = "invalid_request_error"
    code = "forbidden_address"
    metric = "forbidden_address"


class NoTarget(RouterError):
    """No target may answer the requested model."""

    status = 404
    type = "invalid_request_error"
    code = "model_not_found"
    metric = "no_target"


class NoPage(RouterError):
    """The router has no page of its own there."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"
    metric = "no_page"


class WrongMethod(RouterError):
    """The router's own pages are only read."""

    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"
    metric = "wrong_method"


class NoAnswer(RouterError):
    """Every target that may answer failed or rests."""

    status = 503
    type = "server_error"
    code = "no_provider_available"
    metric = "no_answer"

    def __init__(self, message: str, *, retry_after_s: float | None = None, rate_limited: bool = False) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        if rate_limited:
            self.status, self.type, self.code = 429, "rate_limit_error", "rate_limit_exceeded"


class NotConfigured(RouterError):
    """The configuration gives no target that could be asked for anything."""

    status = 503
    type = "server_error"
    code = "no_target_configured"
    metric = "not_configured"


class Overloaded(RouterError):
    """More is asked than the router takes on at the same time; a client may soon ask again."""

    status = 503
    type = "server_error"
    code = "overloaded"
    metric = "overloaded"
    is_worth_retrying = True


class ShuttingDown(RouterError):
    """The router ends; a client may ask again, and finds the next one that runs there."""

    status = 503
    type = "server_error"
    code = "shutting_down"
    metric = "shutting_down"
    is_worth_retrying = True


class NotCached(RouterError):
    """The client wants a kept answer only, and there is none (504, as RFC 9111, section 5.2.1.7, has it)."""

    status = 504
    type = "invalid_request_error"
    code = "not_cached"
    metric = "not_cached"


class RelayedError(RouterError):
    """A provider's own refusal of the request, handed on in OpenAI's shape."""

    metric = "relayed"

    def __init__(self, status: int, error: dict[str, Any]) -> None:
        super().__init__(str(error.get("message") or "The provider refused the request."), param=error.get("param"))
        self.status = status
        self.type = str(error.get("type") or "invalid_request_error")
        code = error.get("code")
        self.code = None if code is None else str(code)


class InternalError(RouterError):
    """A defect of the router itself; the request was not sent anywhere."""

    code = "llmrouter_internal_error"


class UpgradeRefused(RouterError):
    """A client asked for another protocol that the router does not speak there."""

    status = 426
    type = "invalid_request_error"
    code = "upgrade_refused"
    metric = "upgrade_refused"


class StateUnavailable(RouterError):
    """What the router keeps for clients cannot be read or written now."""

    status = 503
    type = "server_error"
    code = "state_unavailable"
    metric = "state_unavailable"


class StreamBroken(RouterError):
    """A stream broke off after its client had got some of it."""

    code = "stream_broken"


ROUTERS_OWN = (InternalError, NotConfigured, Overloaded)
"""What the router itself could not do, for which nothing was sent; `on_internal_error` says what comes then."""


class Outcome(StrEnum):
    """What an attempt came to; the rows of design 6.2."""

    SUCCESS = "success"
    UNREACHABLE = "unreachable"  # refused, DNS, TLS: nothing was sent
    DISCONNECTED = "disconnected"  # closed or reset after the request was sent
    TIMED_OUT = "timed_out"  # before the first content
    SERVER_ERROR = "server_error"  # 5xx, 529, 408, 425
    BAD_REPLY = "bad_reply"  # 200 with an error, an empty or malformed body or stream
    RATE_LIMITED = "rate_limited"
    OUT_OF_CREDIT = "out_of_credit"  # 402, 429 insufficient_quota
    UNAUTHORIZED = "unauthorized"  # 401, 403, a bad key told as 400
    MODEL_GONE = "model_gone"  # 404, 410, decommissioned
    CONTEXT_EXCEEDED = "context_exceeded"
    UNSUPPORTED = "unsupported"  # a 4xx that names a member which the target does not take
    NOT_TRANSLATABLE = "not_translatable"  # never sent: the call cannot be said in the target's format
    REFUSED = "refused"  # other 4xx
    BROKEN_STREAM = "broken_stream"  # after content was sent
    OUT_OF_TIME = "out_of_time"  # the call's deadline came after content was sent
    CLIENT_GONE = "client_gone"
    HEDGED_OFF = "hedged_off"  # another target, asked beside this one, began to answer first


@dataclass(slots=True)
class AttemptFailed(Exception):
    """One attempt's failure.

    `message` is safe to show (no keys). `status` is the provider's HTTP status where it gave one; `error` its own
    error in OpenAI's shape, for the rows that hand it on; `retry_after_s` how long it asked to be left alone;
    `member` the one of the call that it does not take. `usage` is what an answer used that is no use, and `is_answer`
    tells that there was one, so that it is paid for.
    """

    outcome: Outcome
    message: str
    status: int | None = None
    error: dict[str, Any] | None = None
    retry_after_s: float | None = None
    member: str | None = None
    usage: Usage | None = None
    is_answer: bool = False

    def __str__(self) -> str:
        return self.message
