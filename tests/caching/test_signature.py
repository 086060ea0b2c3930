"""Signatures: equal meaning gives equal ones, any other change another one."""

import json
import random
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrouter.caching.signature import SIGNATURE_BYTES, signature
from llmrouter.calls import JsonObject
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
        ('"temperature":0.5', '"temperature":0.50'),
        ('"x":10', '"x":1E+1'),
        ('"x":-120', '"x":-1.20e2'),
        ('"x":[9007199254740993]', '"x":[9007199254740993.0]'),
        ('"x":[100000000000000000000000]', '"x":[1e23]'),
        ('"x":-18446744073709551617', '"x":-1.8446744073709551617e19'),
        ('"max_tokens":5', '"max_completion_tokens":5'),
        ('"stop":"x"', '"stop":["x"]'),
        ('"seed":1,"seed":2', '"seed":2'),
    ],
)
def test_ways_to_write_the_same(one: str, other: str) -> None:
    assert signed("{" + one + "," + A + "}") == signed("{" + A + "," + other + "}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "true"),
        ("0", "false"),
        ("1", '"1"'),
        ("0.5", '"5e-1"'),
        ("1", "-1"),
        ("0.1", "0.10000000000000000001"),
        ("9007199254740993.0", "9007199254740992"),
        ("18446744073709551616", "18446744073709551617"),
        ("[1e300]", "[1.0000000000000000001e300]"),
        ("12", "[1,2]"),
        ('"é"', '"é"'),
        ('"\\\\u0041"', '"A"'),
    ],
)
def test_values_that_look_alike_are_different(one: str, other: str) -> None:
    for around in ('"x":%s', '"x":{"y":[%s]}', '"temperature":%s'):
        assert signed("{" + A + "," + around % one + "}") != signed("{" + A + "," + around % other + "}")


def test_null_in_a_message_is_absent() -> None:
    one, other = {"role": "assistant", "content": None, "refusal": None}, {"role": "assistant"}
    assert signature(call_of(messages=[one])) == signature(call_of(messages=[other]))


def test_null_is_a_value_in_members_of_messages_that_nobody_knows() -> None:
    message = ASKED["messages"][0]
    assert signature(call_of(messages=[message | {"thinking": None}])) != PLAIN
    part = {"type": "text", "text": "ping"}
    parts = [[{"role": "user", "content": [part | more]}] for more in ({}, {"thinking": None})]
    assert signature(call_of(messages=parts[0])) != signature(call_of(messages=parts[1]))


def test_a_call_is_not_changed() -> None:
    """Whoever sends it on reads the same objects."""
    request: dict[str, Any] = {
        "messages": [
            {"role": "assistant", "content": None, "refusal": None},
            {"role": "user", "content": [PICTURE | {"image_url": {"url": URL, "detail": "auto"}}]},
        ],
        "tools": [TOOL | {"function": FUNCTION | {"strict": False}}],
        "stop": "x",
        "x": [0.50],
    }
    call = call_of(**request)
    signature(call)
    assert {name: call.body[name] for name in request} == request


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


@pytest.mark.parametrize(
    "text",
    [b'"\xff"', b"1e999", b"1.0e-" + b"9" * 5000, b"[" * 900 + b"]" * 900],
    ids=["no UTF-8", "no float", "no exponent", "deep"],
)
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
    if isinstance(value, int | float) and not isinstance(value, bool):
        exact = Decimal(repr(value))
        return chance.choice((json.dumps(value), f"{exact:E}", f"{exact.scaleb(3):f}E-3", f"{exact:f}"))
    return json.dumps(value, ensure_ascii=chance.random() < 0.5)


def changed(value: Any, chance: random.Random) -> Any:
    """A value in which one thing, somewhere, is another: changed, added, left out, or moved."""
    if isinstance(value, dict | list) and value and chance.random() < 0.8:
        return changed_inside(value, chance)
    others = [0.5, "x", "X", 7, True, [value], {"more": value}, str(value)]
    if isinstance(value, dict):
        others = [value | {"another": None}, *({k: value[k] for k in value if k != name} for name in value)]
    elif isinstance(value, list):
        others = [[*value, None], value[1:], value[1:] + value[:1]]
    return chance.choice([other for other in others if not is_same(other, value)])


def changed_inside(value: Any, chance: random.Random) -> Any:
    at = chance.choice(sorted(value) if isinstance(value, dict) else range(len(value)))
    items = value.items() if isinstance(value, dict) else enumerate(value)
    inner = {name: changed(item, chance) if name == at else item for name, item in items}
    return inner if isinstance(value, dict) else list(inner.values())


def is_same(one: Any, other: Any) -> bool:
    """Whether two values mean the same: as JSON text, where all numbers are floats."""
    return json.dumps(json.loads(json.dumps(one), parse_int=float), sort_keys=True) == json.dumps(
        json.loads(json.dumps(other), parse_int=float), sort_keys=True
    )


def with_body(body: dict[str, Any]) -> bytes:
    return signature(replace(call_of(), body=JsonObject(json.dumps(body).encode())))


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


CALLED = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": null}'}}
LONG: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "what is it?"}, PICTURE]},
        {"role": "assistant", "content": "", "tool_calls": [CALLED]},
        {"role": "tool", "tool_call_id": "call_1", "content": "pong"},
    ],
    "tools": [TOOL, {"type": "custom", "custom": {"name": "c"}}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}},
    "logit_bias": {"50256": -100},
    "max_tokens": 20,
    "temperature": 0.5,
    "seed": 1,
    "something_new": {"a": [None, 1.5, True]},
}


@settings(max_examples=500, deadline=None)
@given(MEMBERS, st.integers())
def test_any_change_anywhere_in_a_request_changes_its_signature(members: dict[str, Any], seed: int) -> None:
    """In messages, tools, schemas, options and what nobody knows alike."""
    chance = random.Random(seed)
    request = LONG | {name: value for name, value in members.items() if value is not None}
    name = chance.choice(sorted(request))
    other = changed(request[name], chance)
    assert with_body(request) != with_body(request | {name: other}), (name, other)


@settings(max_examples=100, deadline=None)
@given(MEMBERS, st.integers())
def test_a_long_request_has_one_signature_however_it_is_written(members: dict[str, Any], seed: int) -> None:
    """With what may be left out in place, too: null, defaults, and who asks."""
    chance = random.Random(seed)
    request = LONG | members
    spare = dict(DEFAULTS) | {name: "any" for name in WITHOUT_INFLUENCE} | {"audio": None, "new": None}
    told = {name: spare[name] for name in chance.sample(sorted(spare), 6) if name not in request}
    body = JsonObject(rewritten(request | told, chance).encode())
    assert signature(replace(call_of(), body=body)) == with_body(request)
