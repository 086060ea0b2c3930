"""A body of a call as a page: what was said, by whom, what it took, and what is missing; of any bytes whatever."""

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from llmrouter.viewing.page import page_of

CONTRACT = Path(__file__).resolve().parents[1] / "contract"
TOOL_CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}


def sse(*events: Any, named: bool = False, done: bool = True) -> bytes:
    """Events as a stream."""
    frames = []
    for event in events:
        name = f"event: {event.get('type') or event.pop('name', '')}\n" if named else ""
        frames.append(f"{name}data: {json.dumps(event)}\n\n")
    return ("".join(frames) + ("data: [DONE]\n\n" if done else "")).encode()


def delta(**members: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": 0, "delta": members, "finish_reason": None}]}


def request_page(body: Any, path: str = "/v1/chat/completions") -> str:
    return page_of(json.dumps(body).encode(), path=path, is_request=True)


def test_a_chat_request_reads_as_a_conversation() -> None:
    page = request_page(
        {
            "model": "gpt-4o",
            "stream": True,
            "temperature": 0.2,
            "tools": [{"type": "function", "function": {"name": "weather"}}],
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Sun?"}, image("data:image/png;base64,AAAA")]},
                {"role": "assistant", "tool_calls": [TOOL_CALL | {"function": {"name": "weather", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
            ],
        }
    )

    assert page.splitlines()[:4] == [
        "Chat request",
        "Model: gpt-4o, streamed",
        "temperature=0.2",
        "Tools: weather",
    ]
    order = ["── system", "Be brief.", "── user", "Sun?", "[image_url: data:image/png;base64, 26 characters]"]
    order += ["── assistant", "→ weather({})  [call_1]", "── tool · call_1", "sunny"]
    assert sorted(order, key=page.index) == order


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def test_a_stream_is_shown_as_the_text_that_it_became() -> None:
    chunks = [delta(role="assistant", content="Hel"), delta(content="lo"), delta(tool_calls=[TOOL_CALL])]
    chunks += [delta(tool_calls=[{"index": 0, "function": {"arguments": '{"city":'}}])]
    chunks += [delta(tool_calls=[{"index": 0, "function": {"arguments": '"Rome"}'}}])]
    chunks += [{"choices": [], "usage": {"prompt_tokens": 1200, "completion_tokens": 3}}]
    page = page_of(sse(*chunks), footer=["Cost: $0.000100, saved: unknown"])

    assert 'Hello\n→ weather({"city":"Rome"})  [call_1]\n' in page
    assert "Usage: 1,200 tokens in, 3 out\nCost: $0.000100" in page
    assert "cut" not in page


def test_what_the_body_does_not_tell_of_the_usage_is_told_below_it() -> None:
    footer = ["Usage: 5 tokens in, 6 out", "Cost: unknown, saved: unknown"]

    assert "\nUsage: 5 tokens in, 6 out\nCost" in page_of(sse(delta(content="hi")), footer=footer)
    told = page_of(sse({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}), footer=footer)
    assert "\nUsage: 1 tokens in, 2 out\nCost" in told


def test_half_a_stream_shows_what_there_is_and_says_that_it_is_cut() -> None:
    whole = sse(delta(content="Hel"), delta(content="lo"))
    page = page_of(whole[: whole.index(b"lo")])

    assert "Hel" in page
    assert "⚠ The stream is cut: what is kept of it has no end." in page
    assert "⚠ Events that could not be read: 1." in page


def test_truncated_json_shows_what_there_is_and_says_that_it_is_cut() -> None:
    text = json.dumps({"messages": [{"role": "user", "content": "first"}, {"role": "user", "content": "second"}]})
    page = page_of(text[: text.index("ond")].encode(), is_request=True)

    assert "first" in page
    assert "\nsec" in page
    assert "⚠ The body is cut" in page


def test_responses_are_shown_whole_or_as_far_as_they_came() -> None:
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}
    call = {"type": "function_call", "name": "weather", "arguments": "{}", "call_id": "c1"}
    whole: dict[str, Any] = {"object": "response", "status": "completed", "model": "m", "output": [message, call]}
    whole["usage"] = {"input_tokens": 7, "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 1}}
    begin = {"type": "response.created", "response": {"object": "response", "status": "in_progress", "output": []}}
    added = {"type": "response.output_item.added", "output_index": 0, "item": message | {"content": []}}
    text = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hel"}
    end = {"type": "response.completed", "response": whole}

    told = page_of(json.dumps(whole).encode())
    assert "Hello" in told
    assert "→ weather({})  [c1]" in told
    assert "Usage: 7 tokens in, 2 out (1 thinking)" in told
    streamed = page_of(sse(begin, added, text, end, named=True, done=False))
    assert "Hello" in streamed
    assert "cut" not in streamed
    half = page_of(sse(begin, added, text, named=True, done=False))
    assert "Hel\n" in half
    assert "cut" in half


def test_a_responses_request_shows_its_items() -> None:
    items = [{"role": "user", "content": "hi"}, {"type": "function_call_output", "call_id": "c1", "output": "42"}]
    page = request_page({"model": "m", "instructions": "Be brief.", "input": items}, "/v1/responses")

    order = ["── instructions", "Be brief.", "── user", "hi", "← 42  [c1]"]
    assert sorted(order, key=page.index) == order


def test_a_run_that_streams_shows_its_messages_and_what_it_waits_for() -> None:
    calls = [TOOL_CALL | {"function": {"name": "weather", "arguments": "{}"}}]
    events = [
        {"name": "thread.message.delta", "id": "msg_1", "delta": {"content": [{"text": {"value": "Hel"}}]}},
        {"name": "thread.message.delta", "id": "msg_1", "delta": {"content": [{"text": {"value": "lo"}}]}},
        {
            "name": "thread.run.requires_action",
            "id": "run_1",
            "object": "thread.run",
            "status": "requires_action",
            "required_action": {"submit_tool_outputs": {"tool_calls": calls}},
        },
    ]
    page = page_of(sse(*events, named=True))

    assert "Run, streamed\nEnded: requires_action" in page
    assert "Hello" in page
    assert "→ weather({})  [call_1]" in page


def test_embeddings_are_told_and_not_listed() -> None:
    vectors = [{"object": "embedding", "embedding": [0.25] * 300, "index": 0}] * 2
    page = page_of(json.dumps({"object": "list", "model": "m", "data": vectors}).encode())

    assert "Vectors: 2, of 300 dimensions" in page
    assert "0.25" not in page


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param({"choices": [{"text": "once upon", "index": 0}]}, ["Completion", "once upon"], id="legacy"),
        pytest.param({"error": {"message": "no", "code": "x"}}, ["Error", "no", "(x)"], id="error"),
        pytest.param({"candidates": [{"content": {"parts": [{"text": "hi"}]}}]}, ["Gemini", "hi"], id="gemini"),
        pytest.param({"what": "is this"}, ["JSON", '"what": "is this"'], id="anything"),
        pytest.param([1, 2], ["JSON", "1,"], id="no object"),
    ],
)
def test_other_answers(body: Any, words: list[str]) -> None:
    page = page_of(json.dumps(body).encode())

    assert not [word for word in words if word not in page]


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe\x00", b"data: \xff\n\n", b"[" * 100_000, b'{"messages": 7}', b"plain"]
)
def test_any_bytes_have_a_page(data: bytes) -> None:
    assert page_of(data)
    assert page_of(data, is_request=True)


def test_what_providers_say_is_read_and_any_part_of_it_too() -> None:
    """Every body of the contract tests, cut anywhere and with bytes exchanged."""
    chance = random.Random(8)
    files = [file for kind in ("*.sse", "upstream_reply.json") for file in CONTRACT.glob(f"*/*/{kind}")]
    assert len(files) > 40
    for file in files:
        data = file.read_bytes()
        assert "not shown as a conversation" not in page_of(data), file
        for _ in range(4):
            broken = bytearray(data[: chance.randrange(1, len(data) + 1)])
            broken[chance.randrange(len(broken))] = chance.randrange(256)
            assert page_of(bytes(broken)), file


def test_large_bodies_take_bounded_work() -> None:
    """10 MB of one message, of many and of a stream: at most two seconds of CPU each, and a page of bounded length."""
    long = json.dumps({"messages": [{"role": "user", "content": "x" * 10_000_000}]}).encode()
    many = json.dumps({"messages": [{"role": "user", "content": "hello " * 10}] * 110_000}).encode()
    stream = sse(*[delta(content="word ")] * 100_000)
    for data in (long, many, stream):
        before = time.process_time()
        page = page_of(data, is_request=data is not stream)
        assert time.process_time() - before < 2
        assert len(page) < 250_000
        assert "not shown …" in page
