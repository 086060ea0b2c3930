"""Streams put together: every kind of piece, and what must not be stored because its meaning is not sure."""

import tracemalloc
from base64 import b64decode
from typing import Any

import orjson
import pytest
from openai.types.chat import ChatCompletion

from llmrouter.caching.collecting import Collector
from llmrouter.replies import Chunk, Reply, Usage

FRAME = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}


def chunk(delta: Any, finish_reason: str | None = None, *, index: int = 0, more: Any = None, **frame: Any) -> Chunk:
    choice = {"index": index, "delta": delta, "finish_reason": finish_reason, **(more or {})}
    return Chunk(orjson.dumps({**FRAME, "choices": [choice], **frame}), True)


START, END = chunk({"role": "assistant", "content": ""}), chunk({}, "stop")


def collected(*chunks: Chunk, limit_bytes: int = 2**20) -> Reply | None:
    collector = Collector(limit_bytes)
    collector.add(chunks)
    return collector.reply()


def completion(*chunks: Chunk) -> dict[str, Any]:
    reply = collected(*chunks)
    assert reply is not None
    ChatCompletion.model_validate_json(reply.data)
    whole = orjson.loads(reply.data)
    assert isinstance(whole, dict)
    return whole


def message(*deltas: dict[str, Any]) -> dict[str, Any]:
    whole = completion(*map(chunk, deltas), END)["choices"][0]["message"]
    return {name: value for name, value in whole.items() if value is not None and name != "role"}


def calls(*fragments: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"tool_calls": [fragment]} for fragment in fragments]


def test_a_plain_stream_is_the_completion_that_it_tells() -> None:
    whole = completion(START, chunk({"content": "po"}), chunk({"content": "ng"}), END)
    assert whole == {
        "id": "c1",
        "created": 1,
        "model": "gpt-4o",
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "pong", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
    }


def test_the_usage_is_the_providers_own_or_that_of_a_chunk_that_the_client_does_not_see() -> None:
    own = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "cost": 0.01}
    hidden, usage = Chunk(b"", False, Usage(3, 2)), Usage(3, 2)
    seen = Chunk(orjson.dumps({**FRAME, "choices": [], "usage": own}), False)
    assert completion(START, END, hidden, seen)["usage"] == own
    assert completion(START, END, hidden)["usage"] == usage.to_openai()
    reply = collected(START, END, hidden)
    assert reply is not None
    assert reply.usage == usage


def test_tool_calls_are_put_together_by_their_index() -> None:
    told = message(
        {"role": "assistant", "content": None},
        *calls(
            {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
            {"index": 1, "id": "b", "type": "custom", "custom": {"name": "g", "input": "x"}},
            {"index": 0, "function": {"arguments": '{"a"'}},
            {"index": 1, "custom": {"input": "y"}},
            {"index": 0, "function": {"arguments": ":1}"}, "extra_content": {"google": {"thought_signature": "s"}}},
        ),
    )
    function = {"name": "f", "arguments": '{"a":1}'}
    assert told == {
        "tool_calls": [
            {
                "id": "a",
                "type": "function",
                "function": function,
                "extra_content": {"google": {"thought_signature": "s"}},
            },
            {"id": "b", "type": "custom", "custom": {"name": "g", "input": "xy"}},
        ]
    }


def test_function_calls_of_old_are_put_together() -> None:
    deltas = [{"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}}]
    assert message(*deltas) == {"function_call": {"name": "f", "arguments": "{}"}}


def test_reasoning_and_refusals_are_texts() -> None:
    deltas: list[dict[str, Any]] = [{"reasoning_content": "h", "content": None}, {"reasoning_content": "m"}]
    assert message(*deltas, {"refusal": "N"}, {"refusal": "o."}, {"reasoning": "x"}) == {
        "reasoning_content": "hm",
        "refusal": "No.",
        "reasoning": "x",
    }


def test_reasoning_details_go_on_while_index_and_type_stay() -> None:
    text = {"type": "reasoning.text", "format": "a-v1", "index": 0}
    secret = {"type": "reasoning.encrypted", "data": "AAAA", "index": 1}
    summary = {"type": "reasoning.summary", "summary": "s"}
    items = [text | {"text": "h"}, text | {"text": "m"}, text | {"signature": "sig"}, secret, summary, summary]
    assert message(*({"reasoning_details": [item]} for item in items)) == {
        "reasoning_details": [text | {"text": "hm", "signature": "sig"}, secret, summary, summary]
    }


def test_sound_in_pieces_with_ends_of_their_own_is_the_same_sound() -> None:
    pieces: list[dict[str, Any]] = [{"id": "a"}, {"data": "AQ=="}, {"data": "AgM="}, {"transcript": "p"}]
    pieces += [{"transcript": "ong"}, {"expires_at": 7}]
    audio = message(*({"audio": piece} for piece in pieces))["audio"]
    assert b64decode(audio.pop("data")) == b"\x01\x02\x03"
    assert audio == {"id": "a", "transcript": "pong", "expires_at": 7}
    rest = {"id": "a", "transcript": "", "expires_at": 7}
    assert message({"audio": {"data": "AQ"}}, {"audio": {"data": "ID", **rest}})["audio"]["data"] == "AQID"


def test_log_probabilities_are_appended() -> None:
    token = {"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": []}
    some = {"logprobs": {"content": [token], "refusal": None}}
    more = {"logprobs": {"content": [token], "refusal": [token]}}
    whole = completion(START, chunk({"content": "a"}, more=some), chunk({"content": "a"}, more=more), END)
    assert whole["choices"][0]["logprobs"] == {"content": [token, token], "refusal": [token]}


def test_choices_stand_in_the_order_of_their_index() -> None:
    chunks = [chunk({"content": "b"}, index=1), chunk({"content": "a"}), chunk({}, "length", index=1), END]
    told = [(c["index"], c["message"]["content"], c["finish_reason"]) for c in completion(*chunks)["choices"]]
    assert told == [(0, "a", "stop"), (1, "b", "length")]


def test_members_that_nobody_knows_are_kept_and_padding_is_not() -> None:
    filters = {"content_filter_results": {"hate": {"filtered": False}}}
    one: dict[str, Any] = {"x_late": "", "x_one": {"a": 1}}
    chunks = [
        chunk({"content": "a", **one, "token_id": 7}, more=filters, provider="P", p="abc", obfuscation="x"),
        chunk({"content": "b", "token_id": 8, "x_late": "c", "x_one": {}}, more=filters, p="a", x_groq={"id": "r"}),
        chunk({}, "stop", more={"stop_reason": 5}, system_fingerprint="fp", x_groq={"id": "r", "usage": {}}),
    ]
    whole = completion(*chunks)
    choice = whole["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": "ab", "refusal": None, **one, "x_late": "c"}
    assert (choice["stop_reason"], choice["content_filter_results"]) == (5, filters["content_filter_results"])
    assert whole.keys() == {
        *("id", "object", "created", "model", "choices"),
        *("provider", "x_groq", "system_fingerprint"),
    }
    assert whole["x_groq"] == {"id": "r", "usage": {}}


def test_what_is_told_anew_as_it_grows_counts_as_it_was_told_last() -> None:
    grown = ("system_fingerprint", "service_tier", "moderation", "time_info", "timings")
    early, late = (dict[str, Any](dict.fromkeys(grown, when)) for when in ("early", "late"))
    chunks = [chunk({}, **early), chunk({}, "stop", **late)]
    reply = collected(*chunks)
    assert reply is not None
    whole = orjson.loads(reply.data)
    assert {name: whole[name] for name in grown} == late


def test_what_was_read_is_not_held() -> None:
    collector = Collector()
    tracemalloc.start()
    try:
        for _ in range(10_000):
            collector.add([chunk({"content": "pong"})])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The chunks are 1.4 MB.
    assert held < 900_000


FIRST_CALL = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
UNSOUND: dict[str, list[Chunk]] = {
    "nothing": [],
    "no choice": [Chunk(orjson.dumps({**FRAME, "choices": []}), False)],
    "no end": [START],
    "one choice without an end": [START, chunk({"content": "b"}, index=1), END],
    "more after the end": [START, END, chunk({"content": "more"})],
    "two ends": [START, END, END],
    "an end that is no text": [chunk({}, 7)],  # type: ignore[arg-type] # what is not sound
    "another id": [START, chunk({}, "stop", id="c2")],
    "another model": [START, chunk({}, "stop", model="m2")],
    "another date": [START, chunk({}, "stop", created=2)],
    "no id": [chunk({}, "stop", id=None)],
    "an error": [START, chunk({}, "stop", error={"message": "overloaded"})],
    "no chunk": [START, Chunk(b'{"object":"chat.completion"}', True), END],
    "no JSON": [START, Chunk(b'{"id":', True), END],
    "no object": [START, Chunk(b"[]", True), END],
    "choices that are none": [START, chunk({}, "stop", choices=[7])],
    "no index": [START, chunk({}, "stop", more={"index": None})],
    "another role": [chunk({"role": "user"}), END],
    "content that is no text": [chunk({"content": [{"type": "text"}]}), END],
    "a delta that is no object": [chunk("text"), END],
    "a tool call without an index": [chunk({"tool_calls": [{"id": "a"}]}), END],
    "a tool call before the first": [chunk({"tool_calls": [{**FIRST_CALL, "index": -1}]}), END],
    "a tool call without an id": [chunk({"tool_calls": [{"index": 0, "function": {"name": "f"}}]}), END],
    "a tool call without a name": [chunk({"tool_calls": [{"index": 0, "id": "a", "function": {}}]}), END],
    "a tool call of nothing": [chunk({"tool_calls": [{"index": 0, "id": "a"}]}), END],
    "tool calls that are no list": [chunk({"tool_calls": {"index": 0}}), END],
    "a name in pieces": [chunk({"tool_calls": [FIRST_CALL]}), chunk({"tool_calls": [FIRST_CALL]}), END],
    "an id that changes": [chunk({"tool_calls": [FIRST_CALL]}), chunk({"tool_calls": [{"index": 0, "id": "b"}]}), END],
    "a function call without a name": [chunk({"function_call": {"arguments": "{}"}}), END],
    "an unknown text in pieces": [chunk({"x_text": "ab"}), chunk({"x_text": "ab"}), END],
    "an unknown list in pieces": [chunk({}, more={"token_ids": [5]}), chunk({}, more={"token_ids": [5]}), END],
    "an unknown member that changes": [chunk({}, x_state="a"), chunk({}, "stop", x_state="b")],
    "a filter that changes": [
        chunk({}, more={"content_filter_results": {"hate": {"severity": "low"}}}),
        chunk({}, "stop", more={"content_filter_results": {"hate": {"severity": "safe"}}}),
    ],
    "annotations told anew": [chunk({"annotations": [{"a": 1}]}), chunk({"annotations": [{"a": 1}, {"b": 1}]}), END],
    "secret reasoning in pieces": [
        chunk({"reasoning_details": [{"type": "e", "index": 0, "data": "AAAA"}]}),
        chunk({"reasoning_details": [{"type": "e", "index": 0, "data": "BBBB"}]}),
        END,
    ],
    "sound that is no base64": [chunk({"audio": {"data": "A="}}), chunk({"audio": {"data": "AAAA"}}), END],
    "sound with noise": [chunk({"audio": {"data": "AQ=="}}), chunk({"audio": {"data": "AA!AA"}}), END],
    "log probabilities that are a number": [chunk({"content": "a"}, more={"logprobs": 1.0}), END],
}


@pytest.mark.parametrize("chunks", UNSOUND.values(), ids=UNSOUND)
def test_what_cannot_be_put_together_faithfully_is_none(chunks: list[Chunk]) -> None:
    assert collected(*chunks) is None


def test_a_deeply_nested_member_is_none_and_no_error() -> None:
    deep = b"{" + b'"a":{' * 1000 + b"}" * 1001
    data = orjson.dumps({**FRAME, "choices": []})[:-1] + b',"x_deep":%b}' % deep
    assert collected(START, Chunk(data, False), Chunk(data.replace(b"{}", b'{"b":1}'), False), END) is None


def test_a_stream_over_the_limit_is_given_up() -> None:
    text = chunk({"content": "x" * 1000})
    size = len(START.data) + 10 * len(text.data) + len(END.data)
    assert collected(START, *[text] * 10, END, limit_bytes=size) is not None
    assert collected(START, *[text] * 10, END, limit_bytes=size - 1) is None


def test_a_long_stream_is_read_on_the_way_and_the_limit_holds_over_all() -> None:
    pieces = [f"{number} " for number in range(5000)]
    chunks = [START, *(chunk({"content": piece}) for piece in pieces), END]
    size = sum(len(each.data) for each in chunks)
    for limit, is_whole in ((size, True), (size - 1, False)):
        collector = Collector(limit)
        for each in chunks:
            collector.add([each])
        reply = collector.reply()
        assert (reply is not None) is is_whole
        assert reply is None or orjson.loads(reply.data)["choices"][0]["message"]["content"] == "".join(pieces)
