"""Whatever quirks a provider's stream has, OpenAI's own SDK puts together from ours what the model said."""

from dataclasses import dataclass
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from llmrouter.providers.openai_compatible.stream import StreamDecoder
from tests.providers.samples import call_of, job_of, sse

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@dataclass(frozen=True)
class Said:
    """What a model says: pieces of reasoning and text, and calls with pieces of their arguments."""

    reasoning: list[str]
    text: list[str]
    calls: list[tuple[str, list[str]]]


@dataclass(frozen=True)
class Quirks:
    """How a server tells it."""

    repeats_role: bool
    repeats_tool_head: bool
    always_index_0: bool
    without_index: bool
    without_type: bool
    changes_id: bool
    reasoning_name: str
    says_stop: bool
    usage_beside: bool
    ends_twice: bool
    without_done: bool


TEXTS = st.lists(st.text(min_size=1), max_size=3)
SAID = st.builds(Said, TEXTS, TEXTS, st.lists(st.tuples(st.sampled_from(["f", "g"]), TEXTS), max_size=3))
QUIRKS = st.builds(
    Quirks,
    *[st.booleans()] * 6,
    st.sampled_from(["reasoning", "reasoning_content"]),
    *[st.booleans()] * 4,
)


def deltas(said: Said, quirks: Quirks) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    out += [{quirks.reasoning_name: piece} for piece in said.reasoning]
    out += [{"content": piece} for piece in said.text]
    for number, (name, pieces) in enumerate(said.calls):
        head: dict[str, Any] = {"id": f"call_{number}", "function": {"name": name, "arguments": ""}}
        for place, piece in enumerate(["", *pieces]):
            is_head = place == 0 or quirks.repeats_tool_head
            fragment: dict[str, Any] = dict(head) if is_head else {}
            fragment["function"] = {**(head["function"] if is_head else {}), "arguments": piece}
            if is_head and not quirks.without_type:
                fragment["type"] = "function"
            if not quirks.without_index:
                fragment["index"] = 0 if quirks.always_index_0 else number
            out.append({"tool_calls": [fragment]})
    return [{"role": "assistant", **delta} if quirks.repeats_role else delta for delta in out]


def stream(said: Said, quirks: Quirks) -> bytes:
    events: list[Any] = []
    for number, delta in enumerate([*deltas(said, quirks), None, *([None] if quirks.ends_twice else [])]):
        finish = None if delta is not None else "tool_calls" if said.calls and not quirks.says_stop else "stop"
        events.append(
            {
                "id": f"c{number}" if quirks.changes_id else "c",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "m",
                "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}],
                **({"usage": USAGE} if quirks.usage_beside else {}),
            }
        )
    if not quirks.usage_beside:
        events.append({**events[-1], "choices": [], "usage": USAGE})
    return sse(*events, *([] if quirks.without_done else ["[DONE]"]))


@given(SAID, QUIRKS)
def test_the_sdk_puts_together_what_the_model_said(said: Said, quirks: Quirks) -> None:
    decoder = StreamDecoder(job_of(call_of(include_usage=True)))
    chunks = decoder.feed(stream(said, quirks))
    chunks += decoder.finish()
    state: Any = ChatCompletionStreamState()
    reasoning = ""
    for chunk in chunks:
        if chunk.data:
            fields = orjson.loads(chunk.data)
            state.handle_chunk(ChatCompletionChunk.model_validate(fields, strict=True))
            for choice in fields["choices"]:
                reasoning += choice["delta"].get("reasoning_content") or ""
    completion = state.get_final_completion()
    (choice,) = completion.choices
    calls = choice.message.tool_calls or []
    assert choice.message.role == "assistant"
    assert (choice.message.content or "") == "".join(said.text)
    assert reasoning == "".join(said.reasoning)
    assert [(c.id, c.type, c.function.name) for c in calls] == [
        (f"call_{number}", "function", name) for number, (name, _) in enumerate(said.calls)
    ]
    assert [call.function.arguments for call in calls] == ["".join(pieces) or "{}" for _, pieces in said.calls]
    assert choice.finish_reason == ("tool_calls" if said.calls else "stop")
    assert completion.usage.total_tokens == 5
