"""Headers and addresses of requests to providers."""

from pydantic import SecretStr

from llmrouter.calls import Caller
from llmrouter.providers.headers import headers_for, url_for
from tests.providers.samples import call_of, job_of, target_of


def test_each_brand_gets_its_key_where_it_looks_for_it() -> None:
    caller = Caller(SecretStr("Bearer key-of-the-app"))
    found = {
        brand: {name: value for name, value in headers_for(job_of(call_of(caller=caller), target_of(brand))).items()}
        for brand in ("groq", "anthropic", "azure", "gemini")
    }
    assert found["groq"]["authorization"] == "Bearer key-of-groq"
    assert found["anthropic"]["x-api-key"] == "key-of-anthropic"
    assert found["anthropic"]["anthropic-version"] == "2023-06-01"
    assert found["azure"]["api-key"] == "key-of-azure"
    assert found["gemini"]["authorization"] == "Bearer key-of-gemini"
    for brand in ("anthropic", "azure"):
        assert "authorization" not in found[brand]


def test_a_detour_may_want_the_key_elsewhere() -> None:
    call = call_of(tools=[{"type": "function", "function": {"name": "f"}}])
    headers = headers_for(job_of(call, target_of("gemini", model="gemini-3.5-flash")))
    assert headers["x-goog-api-key"] == "key-of-gemini"
    assert "authorization" not in headers


def test_a_slash_at_the_end_of_the_address_does_no_harm() -> None:
    assert url_for("http://a/v1/", "/x") == url_for("http://a/v1", "/x") == "http://a/v1/x"
