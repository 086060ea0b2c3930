"""Access keys and forbidden addresses, request by request."""

import base64
from collections.abc import Mapping, Sequence

import pytest
from mitmproxy import http
from mitmproxy.test import taddons, tflow

from llmrouter.proxy import listening
from llmrouter.proxy.access import Access, access_of, hash_of_key
from llmrouter.proxy.starting import is_safe
from llmrouter.settings.operating import AccessSettings

KEY = "key-of-a-client"
KEYED = AccessSettings(keys=(hash_of_key("another"), hash_of_key(KEY)))
ELSEWHERE, HERE = ("192.0.2.7", 8000), ("127.0.0.1", 8000)
BASIC = "Basic " + base64.b64encode(f"llmrouter:{KEY}".encode()).decode()


def access(settings: AccessSettings = KEYED) -> Access:
    return Access(lambda: settings, lambda: {8080, 8000, 8081})


def a_flow(
    sockname: tuple[str, int] = ELSEWHERE, address: tuple[str, int] = ("api.openai.com", 443), **headers: str
) -> http.HTTPFlow:
    flow = tflow.tflow()
    flow.client_conn.sockname = sockname
    flow.request.host, flow.request.port = address
    return with_headers(flow, headers)


def with_headers(flow: http.HTTPFlow, headers: Mapping[str, str]) -> http.HTTPFlow:
    flow.request.headers = http.Headers([(n.replace("_", "-").encode(), v.encode()) for n, v in headers.items()])
    return flow


def on_api_port(guard: Access, flow: http.HTTPFlow) -> int:
    refusal = guard.check_request(flow, on_api_port=True, is_page=False)
    return 200 if refusal is None else refusal.status_code


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": BASIC},
        {"api_key": KEY},
        {"x_llmrouter_key": KEY},
        {"authorization": "Bearer key-of-openai", "x_llmrouter_key": KEY},
    ],
)
def test_a_client_of_the_api_port_comes_in_by_its_key_which_goes_no_further(headers: dict[str, str]) -> None:
    flow = with_headers(a_flow(), headers)
    assert on_api_port(access(), flow) == 200
    told = dict(flow.request.headers.items())
    assert KEY not in str(told)
    assert BASIC not in told.values()
    is_openais = "key-of-openai" in headers.get("authorization", "")
    assert ("authorization" in told) == is_openais
    assert access_of(flow.request) == ("" if is_openais else hash_of_key(KEY))


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic %%%"}, {"authorization": KEYED.keys[1]}]
)
def test_whoever_has_none_is_told_how_to_give_one(headers: dict[str, str]) -> None:
    refusal = access().check_request(with_headers(a_flow(), headers), on_api_port=True, is_page=False)
    assert refusal is not None
    assert refusal.status_code == 401
    assert refusal.headers["www-authenticate"].startswith("Basic")
    assert "x-llmrouter-key" in (refusal.text or "")
    assert "invalid_access_key" in (refusal.text or "")


def test_a_proxy_asks_once_for_each_connection() -> None:
    guard, flow = access(), a_flow()
    guard.check_connect(flow)
    assert flow.response is not None
    assert flow.response.status_code == 407
    assert flow.response.headers["proxy-authenticate"].startswith("Basic")
    flow.response = None
    flow.request.headers["proxy-authorization"] = BASIC
    guard.check_connect(flow)
    assert flow.response is None
    assert "proxy-authorization" not in flow.request.headers
    inside = a_flow(authorization="Bearer key-of-openai")
    inside.client_conn = flow.client_conn
    assert guard.check_request(inside, on_api_port=False, is_page=False) is None
    assert inside.request.headers["authorization"] == "Bearer key-of-openai"
    guard.forget(flow.client_conn)
    refusal = guard.check_request(inside, on_api_port=False, is_page=False)
    assert refusal is not None
    assert refusal.status_code == 407


def test_a_key_of_the_proxy_does_not_open_the_api_port_of_the_same_connection() -> None:
    guard, flow = access(), a_flow(proxy_authorization=BASIC)
    assert guard.check_request(flow, on_api_port=False, is_page=True) is None
    again = a_flow()
    again.client_conn = flow.client_conn
    assert on_api_port(guard, again) == 401


@pytest.mark.parametrize(
    ("settings", "sockname", "status"),
    [
        (KEYED, HERE, 200),
        (KEYED, ("::1", 8000), 200),
        (KEYED.model_copy(update={"local": False}), HERE, 401),
        (AccessSettings(), HERE, 200),
        (AccessSettings(), ELSEWHERE, 401),
        (AccessSettings(open=True), ELSEWHERE, 200),
    ],
)
def test_who_needs_a_key(settings: AccessSettings, sockname: tuple[str, int], status: int) -> None:
    assert on_api_port(access(settings), a_flow(sockname)) == status


def test_an_access_key_is_no_credential_even_where_none_is_needed() -> None:
    flow = a_flow(HERE, authorization=f"Bearer {KEY}")
    assert on_api_port(access(), flow) == 200
    assert "authorization" not in flow.request.headers


@pytest.mark.parametrize(
    ("host", "port", "is_refused"),
    [
        ("169.254.169.254", 80, True),
        ("metadata.google.internal", 80, True),
        ("127.0.0.1", 8081, True),
        ("localhost", 8000, True),
        ("0.0.0.0", 8080, True),
        ("192.0.2.7", 8081, True),
        ("127.0.0.1", 11434, False),
        ("192.0.2.8", 8081, False),
        ("example.com", 443, False),
    ],
)
def test_addresses_that_nobody_may_reach(host: str, port: int, is_refused: bool) -> None:
    guard = access(AccessSettings(open=True))
    connect, plain = a_flow(address=(host, port)), a_flow(address=(host, port))
    guard.check_connect(connect)
    refusal = guard.check_request(plain, on_api_port=False, is_page=False)
    for answer in (connect.response, refusal):
        assert (answer is not None) == is_refused
        if answer is not None:
            assert (answer.status_code, "forbidden_address" in (answer.text or "")) == (403, True)


@pytest.mark.parametrize(
    ("modes", "host", "exposed"),
    [
        (["regular"], "", []),
        (["regular", "reverse:https://api.openai.com@8000"], "", []),
        (["regular@127.0.0.1:1"], "", []),
        (["regular@0.0.0.0:1"], "", ["regular@0.0.0.0:1"]),
        (["regular"], "0.0.0.0", ["regular"]),
        (["regular"], "::1", []),
        (["local"], "", []),
        (["transparent"], "", ["transparent"]),
    ],
)
def test_the_router_does_not_start_beyond_this_machine_without_keys(
    modes: Sequence[str], host: str, exposed: list[str]
) -> None:
    with taddons.context() as context:
        context.options.update(mode=list(modes), listen_host=host)
        assert listening.exposed() == exposed
        assert is_safe(AccessSettings()) == (not exposed)
        assert is_safe(KEYED)
        assert is_safe(AccessSettings(open=True))
