"""What a model reads of a thread."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmrouter.endpoints.assistants import objects
from llmrouter.endpoints.assistants.history import Past, Placed, chat_body
from llmrouter.endpoints.assistants.requests import NewMessage, run

_ASSISTANT = objects.assistant("asst_1", 1.0, "gpt-4o", {})


def _run(**members: Any) -> dict[str, Any]:
    return objects.run("run_1", 1.0, "thread_1", _ASSISTANT, run({"assistant_id": "asst_1"} | members))


def _text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": {"value": value, "annotations": []}}


def _placed(position: int, role: str, *parts: str | dict[str, Any], run_id: str | None = None) -> Placed:
    content = [_text(part) if isinstance(part, str) else part for part in parts]
    message = objects.message(f"msg_{position}", 1.0, "thread_1", NewMessage(role, content, {}))
    return Placed(position, message | {"run_id": run_id})


def _exchange(after: int, *ids: str, message_id: str | None = None) -> dict[str, Any]:
    calls = [{"id": id, "name": "f", "arguments": "{}", "output": f"output of {id}"} for id in ids]
    return {"after": after, "message_id": message_id, "tool_calls": calls}


def _read(past: Past, **members: Any) -> list[Any]:
    """Roles, each with what identifies the message."""
    body = chat_body(_run(**members), past, None, None)
    assert body is not None
    return [_short(message) for message in body["messages"]]


def _short(message: dict[str, Any]) -> Any:
    if "tool_calls" in message:
        return (message["content"], [call["id"] for call in message["tool_calls"]])
    return message.get("tool_call_id") or message["content"]


def test_parallel_calls_are_one_message_and_their_outputs_follow() -> None:
    past = Past([_placed(1, "user", "one"), _placed(2, "user", "two")], [], [_exchange(1, "a", "b")])
    assert _read(past) == ["one", (None, ["a", "b"]), "a", "b", "two"]


def test_calls_stand_with_the_text_that_came_with_them() -> None:
    messages = [_placed(1, "user", "one"), _placed(2, "assistant", "let me look", run_id="run_1")]
    past = Past(messages, [_exchange(2, "a", message_id="msg_2"), _exchange(2, "b")], [])
    assert _read(past) == ["one", ("let me look", ["a"]), "a", (None, ["b"]), "b"]


def test_calls_whose_text_was_deleted_stand_alone() -> None:
    past = Past([_placed(1, "user", "one"), _placed(3, "user", "two")], [], [_exchange(2, "a", message_id="msg_2")])
    assert _read(past) == ["one", (None, ["a"]), "a", "two"]


def test_parts_of_messages() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://images.test/a.png", "detail": "auto"}}
    messages = [
        _placed(1, "user", "what is", image),
        _placed(2, "assistant", "a", {"type": "refusal", "refusal": "b"}),
        _placed(3, "assistant"),
        _placed(4, "user", "x", "y"),
    ]
    assert _read(Past(messages, [], [])) == [
        [{"type": "text", "text": "what is"}, image],
        "a\nb",
        [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}],
    ]


def test_the_last_messages_are_counted_without_what_the_run_added() -> None:
    messages = [_placed(number, "user", str(number)) for number in range(1, 6)]
    messages.append(_placed(6, "assistant", "let me look", run_id="run_1"))
    past = Past(messages, [_exchange(6, "a", message_id="msg_6")], [_exchange(2, "x"), _exchange(4, "y")])
    strategy = {"type": "last_messages", "last_messages": 2}
    assert _read(past, truncation_strategy=strategy) == ["4", (None, ["y"]), "y", "5", ("let me look", ["a"]), "a"]


def test_text_and_usual_values_ask_for_nothing() -> None:
    body = chat_body(
        _run(response_format={"type": "text"}, temperature=1, top_p=1.0, tool_choice="none"),
        Past([_placed(1, "user", "one")], [], []),
        None,
        None,
    )
    assert body is not None
    assert sorted(body) == ["messages", "model", "stream", "stream_options"]


@given(st.lists(st.sampled_from(["message", "calls"]), min_size=1, max_size=12), st.integers(0, 3000))
def test_no_output_is_ever_without_its_call(kinds: list[str], characters: int) -> None:
    messages, exchanges = [_placed(1, "user", "first")], []
    for number, kind in enumerate(kinds, 2):
        if kind == "message":
            messages.append(_placed(number, "user", "text " * 10))
        else:
            exchanges.append(_exchange(number, f"a{number}", f"b{number}"))
    whole = chat_body(_run(), Past(messages, [], exchanges), None, None)
    body = chat_body(_run(), Past(messages, [], exchanges), characters, None)
    assert whole is not None
    if body is None:
        return
    assert body["messages"][-1] == whole["messages"][-1], "the newest is always read"
    waiting: list[str] = []
    for message in body["messages"]:
        if message["role"] == "tool":
            assert waiting.pop(0) == message["tool_call_id"]
        else:
            assert waiting == []
            waiting = [call["id"] for call in message.get("tool_calls", ())]
    assert waiting == []
