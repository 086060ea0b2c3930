"""Signatures: equal meaning gives equal ones, any other change another one."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrouter.caching.signature import SIGNATURE_BYTES, signature
from llmrouter.chat_members import DEFAULTS, WITHOUT_INFLUENCE
from tests.caching.requests import ASKED, call_of

SCHEMA = {"type": "object", "properties": {"a": {"enum": [None, 1]}}}
FUNCTION: dict[str, Any] = {"name": "f", "parameters": SCHEMA}
TOOL: dict[str, Any] = {"type": "function", "function": FUNCTION}
URL = "data:image/png;base64," + "A" * 5000
PICTURE: dict[str, Any] = {"type": "image_url", "image_url": {"url": URL}}

PLAIN = signature(call_of())


def signed(text: str) -> bytes:
    return signature(call_of(text.encode()))


@pytest.mark.parametrize("name", sorted(WITHOUT_INFLUENCE - {"stream", "stream_options"}))
def test_what_has_no_influence_does_not_matter(name: str) -> None:
    member: dict[str, Any] = {name: "anything"}
    assert signature(call_of(**member)) == PLAIN


def test_how_the_answer_comes_and_which_model_was_named_do_not_matter() -> None:
    assert signature(call_of(stream=True, stream_options={"include_usage": True}, model="other")) == PLAIN


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_what_is_done_anyway_does_not_matter(name: str) -> None:
    assert signature(call_of(**{name: DEFAULTS[name]})) == PLAIN
    assert signature(call_of(**{name: None})) == PLAIN


A = '"messages":[{"role":"user","content":"a"}]'


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('"model":"m"', ' "model" :\n"m"\t'),
        ('"x":"\u00e9\\n"', '"x":"\\u00e9\\u000a"'),
        ('"x":{"a":1,"b":[2]}', '"x":{"b" : [ 2 ],"a":1}'),
        ('"temperature":0', '"temperature":-0.0'),
        ('"temperature":2', '"temperature":2.0'),
        ('"temperature":0.5', '"temperature":5e-1'),
        ('"max_tokens":5', '"max_completion_tokens":5'),
        ('"stop":"x"', '"stop":["x"]'),
        ('"seed":1,"seed":2', '"seed":2'),
    ],
)
def test_ways_to_write_the_same(one: str, other: str) -> None:
    assert signed("{" + one + "," + A + "}") == signed("{" + A + "," + other + "}")


def test_null_in_a_message_is_absent() -> None:
    one, other = {"role": "assistant", "content": None, "refusal": None}, {"role": "assistant"}
    assert signature(call_of(messages=[one])) == signature(call_of(messages=[other]))


def test_nested_defaults_do_not_matter() -> None:
    strict = TOOL | {"function": FUNCTION | {"strict": False, "description": None}}
    assert signature(call_of(tools=[strict])) == signature(call_of(tools=[TOOL]))
    detail = PICTURE | {"image_url": {"url": URL, "detail": "auto"}}
    parts = [[{"role": "user", "content": [picture]}] for picture in (PICTURE, detail)]
    assert signature(call_of(messages=parts[0])) == signature(call_of(messages=parts[1]))
    schema = {"name": "n", "schema": {"type": "object"}}
    formats = [
        {"type": "json_schema", "json_schema": schema | more} for more in ({}, {"strict": False}, {"strict": None})
    ]
    assert len({signature(call_of(response_format=form)) for form in formats}) == 1


@pytest.mark.parametrize(
    "members",
    [
        {"temperature": 0},
        {"temperature": "1"},
        {"frequency_penalty": False},
        {"seed": 1},
        {"n": 2},
        {"max_tokens": 5},
        {"stop": ["x"]},
        {"tools": [TOOL]},
        {"response_format": {"type": "json_object"}},
        {"reasoning_effort": "medium"},
        {"something_new": 1},
        {"something_new": "1"},
        {"something_new": True},
        {"something_new": [None]},
        {"something_new": {"a": None}},
        {"something_new": {}},
        {"something_new": 10**30},
        {"messages": [{"role": "user", "content": "ping "}]},
        {"messages": [{"role": "user", "content": "Ping"}]},
        {"messages": [{"role": "system", "content": "ping"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "ping"}]}]},
        {"messages": [{"role": "user", "content": "ping", "name": "ann"}]},
        {"messages": [{"role": "user", "content": "ping"}, {"role": "user", "content": "ping"}]},
        {"messages": [{"role": "user", "content": [PICTURE]}]},
    ],
    ids=str,
)
def test_everything_else_matters(members: dict[str, Any]) -> None:
    others: list[dict[str, Any]] = [{"temperature": 0}, {"something_new": 1}, {"seed": 1}, {"tools": [TOOL]}]
    different = {signature(call_of(**other)) for other in others if other != members}
    assert signature(call_of(**members)) not in different | {PLAIN}


def test_null_is_a_value_within_a_schema_and_within_what_nobody_knows() -> None:
    without = json.loads(json.dumps(TOOL).replace("[null, 1]", "[1]"))
    assert signature(call_of(tools=[TOOL])) != signature(call_of(tools=[without]))
    assert signature(call_of(new={"a": None})) != signature(call_of(new={}))


def test_one_letter_in_a_picture_matters_and_the_picture_is_not_kept() -> None:
    other = PICTURE | {"image_url": {"url": URL[:-1] + "B"}}
    one, two = (signature(call_of(messages=[{"role": "user", "content": [part]}])) for part in (PICTURE, other))
    assert one != two
    assert len(one) == SIGNATURE_BYTES


@pytest.mark.parametrize("text", [b'"\xff"', b"1e999", b"[" * 900 + b"]" * 900], ids=["no UTF-8", "no float", "deep"])
def test_what_cannot_be_read_counts_by_its_text(text: bytes) -> None:
    """Never an error, and never the same as something else."""
    request = b'{%b,"odd":%b}'
    assert signature(call_of(request % (A.encode(), text))) == signature(call_of(request % (A.encode(), text)))
    assert signature(call_of(request % (A.encode(), text))) != signature(call_of(request % (A.encode(), b'"else"')))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)
NAMES = st.text(min_size=1, max_size=8).map(lambda name: f"x_{name}")
MEMBERS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(NAMES, JSON, max_size=4)


def rewritten(value: Any, chance: random.Random) -> str:
    """JSON text of the same meaning: keys in another order, spaces, escapes, numbers written in another way."""
    space = chance.choice(("", " ", "\n\t"))
    if isinstance(value, dict):
        items = list(value.items())
        chance.shuffle(items)
        return (
            "{"
            + f",{space}".join(f"{rewritten(k, chance)}{space}:{rewritten(v, chance)}" for k, v in items)
            + space
            + "}"
        )
    if isinstance(value, list):
        return "[" + f"{space},".join(rewritten(item, chance) for item in value) + "]"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return chance.choice((str(value), f"{value}.0", f"{value}e0"))
    return json.dumps(value, ensure_ascii=chance.random() < 0.5)


def changed(value: Any, chance: random.Random) -> Any:
    """A value in which one thing, somewhere, is another."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        name = chance.choice(sorted(value))
        return value | {name: changed(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        at = chance.randrange(len(value))
        return [*value[:at], changed(value[at], chance), *value[at + 1 :]]
    changes: dict[type, Any] = {
        bool: lambda: not value,
        str: lambda: value + "x",
        int: lambda: value + 1,
        float: lambda: 0.5 if value != 0.5 else 1.5,
        list: lambda: [*value, "more"],
        dict: lambda: value | {"more": "member"},
    }
    return changes.get(type(value), lambda: "null")()


@settings(max_examples=300, deadline=None)
@given(MEMBERS, st.integers())
def test_any_request_has_one_signature_however_it_is_written(members: dict[str, Any], seed: int) -> None:
    request = ASKED | {"temperature": 0.5, "tools": [TOOL], **members}
    text = rewritten(request, random.Random(seed))
    assert signed(text) == signature(call_of(**{k: v for k, v in request.items() if v is not None}))


@settings(max_examples=300, deadline=None)
@given(MEMBERS.filter(lambda members: any(value is not None for value in members.values())), st.integers())
def test_any_change_to_a_request_changes_its_signature(members: dict[str, Any], seed: int) -> None:
    chance = random.Random(seed)
    name = chance.choice(sorted(name for name, value in members.items() if value is not None))
    other = members | {name: changed(members[name], chance)}
    assert signature(call_of(**members)) != signature(call_of(**other))
