"""Keys: one caller never finds what another one got, and no key tells who a caller is."""

from pydantic import SecretStr

from llmrouter.caching.keys import GROUP_BYTES, group_of
from llmrouter.calls import Call, Caller
from tests.caching.requests import call_of

SECRET = b"s" * 32


def of_caller(caller: Caller) -> bytes:
    call = call_of()
    return group_of(
        Call(**{name: getattr(call, name) for name in Call.__slots__} | {"caller": caller}),
        SECRET,
    )


def test_callers_are_apart_and_without_a_secret_together() -> None:
    mine, other, nobody = call_of(key="mine"), call_of(key="other"), call_of(key=None)
    assert len({group_of(call, SECRET) for call in (mine, other, nobody)}) == 3
    assert len({group_of(call, None) for call in (mine, other, nobody)}) == 1
    assert group_of(mine, SECRET) == group_of(call_of(key="mine", stream=True), SECRET)


def test_each_prompt_has_its_own() -> None:
    for secret in (SECRET, None):
        assert group_of(call_of(seed=1), secret) != group_of(call_of(seed=2), secret)


def test_organisations_of_one_key_are_apart() -> None:
    key = SecretStr("Bearer key")
    callers = [
        Caller(key),
        Caller(key, {"openai-organization": "a"}),
        Caller(key, {"openai-organization": "b"}),
        Caller(key, {"openai-project": "a"}),
        Caller(SecretStr("Bearer keyopenai-organizationa")),
    ]
    assert len(set(map(of_caller, callers))) == len(callers)
    assert of_caller(Caller(key, {"OpenAI-Organization": "a"})) == of_caller(callers[1])


def test_another_installation_has_other_keys() -> None:
    key = group_of(call_of(), SECRET)
    assert key != group_of(call_of(), b"t" * 32)
    assert len(key) == GROUP_BYTES


def test_a_credential_that_is_no_text_is_a_caller_like_others() -> None:
    """HTTP headers are bytes; those that are no UTF-8 come as halves of surrogate pairs."""
    keys = ["key-\udce9", "key-\udcea", "key-\u00e9"]
    assert len({group_of(call_of(key=key), SECRET) for key in keys}) == len(keys)
