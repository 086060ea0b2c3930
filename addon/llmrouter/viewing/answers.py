"""The bodies of answers as conversations: what was said, why it ended, and the tokens that it took."""

from collections.abc import Callable, Iterator
from typing import Any

from llmrouter.viewing.content import message_pieces, pieces, tool_calls
from llmrouter.viewing.conversation import Conversation, Turn
from llmrouter.viewing.requests import item_turns
from llmrouter.viewing.shapes import Json, items_of, object_of, objects_of, text_of
from llmrouter.viewing.usage import usage_line


def answer_view(body: Json) -> Conversation | None:
    """What an answer says, None where its body is of none of the known shapes."""
    view = _view(body)
    if view is None:
        return None
    if model := body.get("model") or body.get("modelVersion"):
        view.facts.insert(0, f"Model: {text_of(model)}")
    if line := usage_line(body):
        view.footer.append(line)
    return view


def error_turn(error: Any) -> Turn:
    """An error in the words of whoever told it."""
    told = object_of(error)
    names = [text_of(told[name]) for name in ("type", "code", "param") if told.get(name)]
    return Turn("error", [text_of(told.get("message")) or text_of(error), *([f"({', '.join(names)})"] * bool(names))])


def _view(body: Json) -> Conversation | None:
    kind = text_of(body.get("object"))
    known: tuple[tuple[bool, str, Callable[[Json], Iterator[Turn]]], ...] = (
        ("choices" in body, "Chat answer" if _has_messages(body) else "Completion", _choices),
        (kind == "response" or ("output" in body and "status" in body), "Response", _output),
        (body.get("type") == "message" and "content" in body, "Anthropic answer", _message),
        ("candidates" in body, "Gemini answer", _candidates),
        (kind.startswith("thread."), _thread_title(kind), _thread),
        (bool(body.get("error")), "Error", lambda _: iter([error_turn(body["error"])])),
    )
    for is_it, title, turns in known:
        if is_it:
            return Conversation(title, _state(body), list(turns(body)))
    return _list(body) if kind == "list" else None


def _has_messages(body: Json) -> bool:
    return any("message" in choice or "delta" in choice for choice in objects_of(body.get("choices")))


def _state(body: Json) -> list[str]:
    status = body.get("status") or body.get("stop_reason")
    return [f"Ended: {text_of(status)}"] if status else []


def _choices(body: Json) -> Iterator[Turn]:
    choices = list(objects_of(body.get("choices")))
    for number, choice in enumerate(choices):
        message = object_of(choice.get("message"))
        said = message_pieces(message) if message else list(pieces(choice.get("text")))
        name = text_of(message.get("role")) or "assistant"
        reason = text_of(choice.get("finish_reason"))
        numbered = f" {number + 1} of {len(choices)}" if len(choices) > 1 else ""
        yield Turn(f"{name}{numbered}" + (f" · {reason}" if reason else ""), said)
    if error := body.get("error"):
        yield error_turn(error)


def _output(body: Json) -> Iterator[Turn]:
    yield from item_turns(body.get("output"))
    if error := body.get("error"):
        yield error_turn(error)
    if reason := object_of(body.get("incomplete_details")).get("reason"):
        yield Turn("incomplete", [text_of(reason)])


def _message(body: Json) -> Iterator[Turn]:
    yield Turn(text_of(body.get("role")) or "assistant", list(pieces(body.get("content"))))
    if error := body.get("error"):
        yield error_turn(error)


def _candidates(body: Json) -> Iterator[Turn]:
    for candidate in objects_of(body.get("candidates")):
        reason = text_of(candidate.get("finishReason"))
        said = list(pieces(object_of(candidate.get("content")).get("parts")))
        yield Turn("model" + (f" · {reason}" if reason else ""), said)


def _thread_title(kind: str) -> str:
    return {"thread.message": "Message of a thread", "thread.run": "Run"}.get(kind, kind)


def _thread(body: Json) -> Iterator[Turn]:
    """A run, one of its steps or a message of a thread; a streamed run has its messages in `messages`."""
    if "role" in body:
        yield Turn(text_of(body["role"]), list(pieces(body.get("content"))))
    for message in objects_of(body.get("messages")):
        yield Turn(text_of(message.get("role")) or "assistant", list(pieces(message.get("content"))))
    asked = object_of(object_of(body.get("required_action")).get("submit_tool_outputs"))
    called = [*tool_calls(asked), *tool_calls(object_of(body.get("step_details")))]
    if called:
        yield Turn("assistant", called)
    if error := body.get("last_error") or body.get("error"):
        yield error_turn(error)


def _list(body: Json) -> Conversation | None:
    items = items_of(body.get("data"))
    kinds = {text_of(item.get("object")) for item in objects_of(items)}
    if kinds == {"embedding"}:
        sizes = sorted({_dimensions(item.get("embedding")) for item in objects_of(items)})
        return Conversation("Embeddings", [f"Vectors: {len(items)}, of {', '.join(sizes)}"])
    if kinds == {"thread.message"}:
        return Conversation(
            "Messages of a thread", turns=[turn for item in objects_of(items) for turn in _thread(item)]
        )
    if any(text_of(object_of(item).get("type")) == "message" for item in items):
        return Conversation("Items", turns=list(item_turns(items)))
    return None


def _dimensions(vector: Any) -> str:
    if isinstance(vector, str):
        return f"{len(vector):,} characters of base64"
    return f"{len(items_of(vector)):,} dimensions"
