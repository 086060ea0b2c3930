"""Structured output where the target has none of its own: what is asked, what is accepted, what reaches the client."""

import json
from typing import Any

import orjson
import pytest

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.chunk_writer import ChunkWriter, choice_json, completion_json
from llmrouter.providers.structured import Emulation, wanted
from llmrouter.providers.validated import ValidatedDecoder, validated_reply
from llmrouter.replies import Chunk, Usage
from tests.providers.samples import call_of

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
NUMBER = Emulation("number", SCHEMA)
ANY_OBJECT = Emulation("json_object", None)


def asking(schema: Any, **members: Any) -> Any:
    return call_of(response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema, **members}})


def test_what_a_call_asks_for() -> None:
    assert wanted(call_of()) is None
    assert wanted(call_of(response_format={"type": "text"})) is None
    assert wanted(call_of(response_format={"type": "json_object"})) == ANY_OBJECT
    assert wanted(asking(SCHEMA, description="d")) == Emulation("a", SCHEMA, "d", SCHEMA)
    assert wanted(asking(SCHEMA, description=5)) == Emulation("a", SCHEMA, None, SCHEMA)


@pytest.mark.parametrize("schema", [None, "x", {"type": "oops"}, {"properties": 1}])
def test_what_is_no_schema_cannot_be_asked(schema: Any) -> None:
    with pytest.raises(AttemptFailed) as caught:
        wanted(asking(schema))
    assert caught.value.outcome == Outcome.NOT_TRANSLATABLE


def test_the_model_is_told_the_schema() -> None:
    told = Emulation("number", SCHEMA, "a count").instruction
    assert json.dumps(SCHEMA, separators=(",", ":")) in told
    assert "a count" in told
    assert "JSON" in ANY_OBJECT.instruction


ACCEPTED = {
    "as it is": ('{"n": 1}', '{"n": 1}'),
    "in a fence": ('```json\n{"n": 1}\n```', '{"n": 1}'),
    "in a plain fence with space": ('\n ```\n{"n": 1}\n```\n', '{"n": 1}'),
    "with space": ('  {"n": 1}\n', '{"n": 1}'),
    "with more": ('{"n": 1, "m": "é"}', '{"n": 1, "m": "é"}'),
}


@pytest.mark.parametrize(("text", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_what_fits_is_given_without_what_stands_around_it(text: str, expected: str) -> None:
    assert NUMBER.checked(text) == expected


@pytest.mark.parametrize("text", ["", "no", '{"n": "1"}', "{}", "[1]", '{"n": 1} and more', '{"n": 1', "NaN"])
def test_what_does_not_fit_is_a_bad_reply(text: str) -> None:
    with pytest.raises(AttemptFailed) as caught:
        NUMBER.checked(text)
    assert caught.value.outcome == Outcome.BAD_REPLY


@pytest.mark.parametrize("text", ["[1]", "1", '"a"', "oops"])
def test_a_json_object_is_an_object(text: str) -> None:
    assert ANY_OBJECT.checked('{"any": 1}') == '{"any": 1}'
    with pytest.raises(AttemptFailed):
        ANY_OBJECT.checked(text)


def test_the_failure_says_where_and_not_what() -> None:
    with pytest.raises(AttemptFailed) as caught:
        NUMBER.checked('{"n": "a secret"}')
    assert caught.value.message == "the model's JSON does not fit the schema at $.n (type)"


def nested(levels: int) -> Any:
    schema: Any = {"type": "integer"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


BRANCHING = {f"n{i}": {"anyOf": [{"$ref": f"#/$defs/n{i + 1}"}, {"$ref": f"#/$defs/n{i + 1}"}]} for i in range(20)}
UNFIT: dict[str, Any] = {
    "a reference to elsewhere": {"properties": {"n": {"$ref": "http://127.0.0.1:9/schema"}}},
    "a reference to nowhere": {"properties": {"n": {"$ref": "#/$defs/n"}}},
    "a circle": {"$ref": "#"},
    "a circle of two": {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    "a circle in a choice": {"anyOf": [{"$ref": "#"}, {"type": "string"}]},
    "branches without end": {"$defs": {**BRANCHING, "n20": {"type": "null"}}, "$ref": "#/$defs/n0", "not": {}},
    "deep nesting": nested(100),
    "deeper nesting": nested(300),
    "too large": {"description": "x" * 70_000},
}


@pytest.mark.parametrize("schema", UNFIT.values(), ids=UNFIT)
def test_a_schema_that_cannot_be_judged_is_refused_before_anything_is_sent(schema: Any) -> None:
    with pytest.raises(AttemptFailed) as caught:
        wanted(asking(schema))
    assert caught.value.outcome == Outcome.NOT_TRANSLATABLE


def emulated(schema: Any) -> Emulation:
    found = wanted(asking(schema))
    assert found is not None
    return found


def test_references_within_the_schema_are_followed() -> None:
    tree = {
        "$defs": {
            "node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "n": {"type": "integer"}}}
        },
        "$ref": "#/$defs/node",
    }
    assert emulated(tree).checked('{"n":1,"next":{"n":2}}')
    with pytest.raises(AttemptFailed):
        emulated(tree).checked('{"n":1,"next":{"n":"2"}}')


def test_patterns_are_not_judged_for_they_can_take_for_ever() -> None:
    schema = {
        "type": "object",
        "properties": {"pattern": {"type": "string", "pattern": "^(a+)+$"}},
        "patternProperties": {"^(b+)+$": {"type": "integer"}},
        "additionalProperties": False,
    }
    assert emulated(schema).checked('{"pattern":"' + "a" * 40 + '!","' + "b" * 40 + '!":1}')
    with pytest.raises(AttemptFailed):
        emulated(schema).checked('{"pattern":5}')
    assert "^(a+)+$" in emulated(schema).instruction


def test_an_answer_that_takes_too_many_steps_does_not_fit() -> None:
    schema = {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}}
    assert emulated(schema).checked("[" + ",".join("1" * 1000) + "]")
    with pytest.raises(AttemptFailed):
        emulated(schema).checked("[" + ",".join("1" * 30_000) + "]")


def whole(*choices: Any) -> Any:
    reply = completion_json(call_of(), 1, choices, Usage(3, 2))
    return [choice["message"] for choice in orjson.loads(validated_reply(reply, NUMBER).data)["choices"]]


def test_every_choice_of_a_whole_answer_is_validated() -> None:
    fine = choice_json({"content": '```\n{"n":1}\n```'}, "stop")
    assert [message["content"] for message in whole(fine, choice_json({"content": '{"n":2}'}, "stop", 1))] == [
        '{"n":1}',
        '{"n":2}',
    ]
    with pytest.raises(AttemptFailed):
        whole(fine, choice_json({"content": "no"}, "stop", 1))
    with pytest.raises(AttemptFailed):
        whole(choice_json({}, "stop"))


def test_what_ended_otherwise_is_given_as_it_is() -> None:
    assert whole(choice_json({"content": '{"n"'}, "length"))[0]["content"] == '{"n"'
    assert whole(choice_json({"refusal": "no"}, "stop"))[0]["refusal"] == "no"


class Told:
    """A decoder that gives chunks as they are listed."""

    done = False
    is_holding = False
    usage: Usage | None = None

    def __init__(self, *batches: list[Chunk]) -> None:
        self._batches = list(batches)

    def feed(self, data: bytes) -> list[Chunk]:
        chunks = self._batches.pop(0)
        self.usage = next((chunk.usage for chunk in chunks if chunk.usage is not None), self.usage)
        return chunks

    def finish(self) -> list[Chunk]:
        return self._batches.pop(0) if self._batches else []


def test_a_stream_is_held_back_until_it_is_whole() -> None:
    writer = ChunkWriter(call_of(), 1)
    told = Told([writer.text('{"n"')], [writer.text(":1}")], [writer.end("stop")], [writer.usage(Usage(3, 2))])
    decoder = ValidatedDecoder(told, NUMBER)
    assert not decoder.is_holding
    first = decoder.feed(b"")
    assert decoder.is_holding
    assert not any(chunk.is_content for chunk in first)
    assert [chunk.data for chunk in decoder.feed(b"") if chunk.data] == []
    last = [orjson.loads(chunk.data)["choices"][0] for chunk in decoder.feed(b"") if chunk.data]
    assert [(choice["delta"], choice["finish_reason"]) for choice in last] == [
        ({"content": '{"n":1}'}, None),
        ({}, "stop"),
    ]
    assert [chunk.usage for chunk in decoder.finish()] == [Usage(3, 2)]


def test_a_stream_that_does_not_fit_fails_before_anything_of_it_is_content() -> None:
    writer = ChunkWriter(call_of(), 1)
    decoder = ValidatedDecoder(Told([writer.text("Sure!"), writer.end("stop")], [writer.usage(Usage(3, 2))]), NUMBER)
    assert decoder.feed(b"") == []
    with pytest.raises(AttemptFailed) as caught:
        decoder.feed(b"")
    assert caught.value.is_answer and decoder.usage == Usage(3, 2)


def test_a_stream_that_does_not_fit_and_tells_no_usage_fails_at_its_end() -> None:
    writer = ChunkWriter(call_of(), 1)
    decoder = ValidatedDecoder(Told([writer.text("Sure!"), writer.end("stop")]), NUMBER)
    assert decoder.feed(b"") == []
    with pytest.raises(AttemptFailed, match="did not give any"):
        decoder.finish()


def test_a_stream_that_was_cut_by_its_length_is_given_as_it_is() -> None:
    writer = ChunkWriter(call_of(), 1)
    decoder = ValidatedDecoder(Told([writer.text('{"n"'), writer.end("length")]), NUMBER)
    choices = [orjson.loads(chunk.data)["choices"][0] for chunk in decoder.feed(b"") if chunk.data]
    assert [choice["delta"].get("content") for choice in choices] == [None, '{"n"', None]
    assert choices[-1]["finish_reason"] == "length"


def test_reasoning_does_not_make_an_answer_that_is_not_whole_the_clients() -> None:
    writer = ChunkWriter(call_of(), 1)
    decoder = ValidatedDecoder(Told([writer.reasoning("hm")]), NUMBER)
    (chunk, _) = decoder.feed(b"")
    assert not chunk.is_content
    assert decoder.is_holding
    assert orjson.loads(chunk.data)["choices"][0]["delta"]["reasoning_content"] == "hm"


def test_a_null_member_is_no_content_and_holds_nothing() -> None:
    frame = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choice = {"index": 0, "delta": {"role": "assistant", "content": "", "refusal": None}, "finish_reason": None}
    decoder = ValidatedDecoder(Told([Chunk(orjson.dumps({**frame, "choices": [choice]}), False)]), NUMBER)
    assert not any(chunk.is_content for chunk in decoder.feed(b""))
    assert not decoder.is_holding
