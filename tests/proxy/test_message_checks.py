"""Messages with right parts are made, and with a wrong one refused, in mitmproxy's own words."""

from collections.abc import Iterator
from typing import Any

import pytest
from mitmproxy import http

from llmrouter.proxy import message_checks

RIGHT: dict[str, Any] = {
    "host": "example.com",
    "port": 443,
    "method": b"GET",
    "scheme": b"https",
    "authority": b"",
    "path": b"/",
    "http_version": b"HTTP/1.1",
    "headers": http.Headers(),
    "content": b"",
    "trailers": None,
    "timestamp_start": 1.0,
    "timestamp_end": None,
}


class OwnHeaders(http.Headers):
    """Headers of an addon's own kind."""


class OwnText(str):
    """Text of an addon's own kind."""


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    message_checks.install()
    yield
    message_checks.remove()


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"content": None},
        {"timestamp_start": 1, "timestamp_end": 2},
        {"headers": OwnHeaders(), "host": OwnText("example.com"), "port": True},
        {"trailers": http.Headers()},
    ],
)
def test_what_mitmproxy_accepts_is_accepted(parts: dict[str, Any]) -> None:
    assert http.Request(**RIGHT | parts).method == "GET"


@pytest.mark.parametrize(
    "parts",
    [
        {"content": "text"},
        {"host": b"example.com"},
        {"port": "443"},
        {"headers": {}},
        {"timestamp_end": "now"},
        {"trailers": b""},
        {"method": None},
    ],
)
def test_what_mitmproxy_refuses_is_refused_in_the_same_words(parts: dict[str, Any]) -> None:
    with pytest.raises(TypeError) as ours:
        http.RequestData(**RIGHT | parts)
    message_checks.remove()
    with pytest.raises(TypeError) as mitmproxys:
        http.RequestData(**RIGHT | parts)
    assert str(ours.value) == str(mitmproxys.value)


def test_a_response_is_checked_as_well() -> None:
    def response(status: Any) -> http.Response:
        return http.Response(b"HTTP/1.1", status, b"OK", http.Headers(), b"", None, 1.0, 2.0)

    assert response(200).status_code == 200
    with pytest.raises(TypeError, match="status_code"):
        response("200")


def test_it_is_put_in_once_and_leaves_nothing_behind() -> None:
    message_checks.remove()
    own = vars(http.MessageData)["__post_init__"]
    for _ in range(2):
        message_checks.install()
    assert vars(http.MessageData)["__post_init__"] is not own
    for _ in range(2):
        message_checks.remove()
    assert vars(http.MessageData)["__post_init__"] is own
