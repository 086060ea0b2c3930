"""The bodies of requests as conversations: chat, Responses, Anthropic, Gemini, completions, embeddings, Assistants."""

from collections.abc import Iterator
from typing import Any

from llmrouter.viewing.content import message_pieces, pieces
from llmrouter.viewing.conversation import Conversation, Turn
from llmrouter.viewing.shapes import Json, as_json, items_of, object_of, objects_of, text_of

_SHOWN = (
    *("temperature", "top_p", "n", "seed", "stop", "max_tokens", "max_completion_tokens", "max_output_tokens"),
    *("reasoning_effort", "reasoning", "thinking", "response_format", "tool_choice", "service_tier"),
    *("previous_response_id", "conversation", "background", "store", "assistant_id", "dimensions"),
)
_LONGEST_FACT = 200


def request_view(body: Json, path: str) -> Conversation | None:
    """What a request asks, None where its body is of none of the known shapes; `path` is without its query."""
    if path.endswith("/embeddings"):
        return _embeddings(body)
    for member, title, turns in (
        ("messages", "Chat request", _messages),
        ("contents", "Gemini request", _contents),
        ("input", "Responses request", _items),
        ("prompt", "Completion request", _prompts),
        ("assistant_id", "Run request", _run),
        ("role", "Message", _message),
    ):
        if member in body:
            return Conversation(title, _facts(body), list(turns(body)))
    return None


def item_turns(items: Any) -> Iterator[Turn]:
    """The items of a Responses input or output, each as a turn."""
    for item in items_of(items):
        if isinstance(item, dict) and ("role" in item or item.get("type") == "message"):
            yield Turn(text_of(item.get("role")) or "message", list(pieces(item.get("content"))))
        else:
            role = "tool" if text_of(object_of(item).get("type")).endswith("_output") else "assistant"
            yield Turn(role, list(pieces([item])))


def _messages(body: Json) -> Iterator[Turn]:
    if system := body.get("system"):
        yield Turn("system", list(pieces(system)))
    for message in objects_of(body.get("messages")):
        yield from _message(message)


def _message(message: Json) -> Iterator[Turn]:
    name = message.get("name") or message.get("tool_call_id")
    yield Turn(text_of(message.get("role")) + (f" · {text_of(name)}" if name else ""), message_pieces(message))


def _contents(body: Json) -> Iterator[Turn]:
    system = object_of(body.get("systemInstruction") or body.get("system_instruction"))
    if system:
        yield Turn("system", list(pieces(system.get("parts"))))
    for content in objects_of(body.get("contents")):
        yield Turn(text_of(content.get("role")) or "user", list(pieces(content.get("parts"))))


def _items(body: Json) -> Iterator[Turn]:
    if instructions := body.get("instructions"):
        yield Turn("instructions", list(pieces(instructions)))
    asked = body.get("input")
    if isinstance(asked, str):
        yield Turn("user", [asked])
    yield from item_turns(asked)


def _prompts(body: Json) -> Iterator[Turn]:
    prompt = body.get("prompt")
    for text in items_of(prompt) or [prompt]:
        yield Turn("prompt", [text_of(text)])


def _run(body: Json) -> Iterator[Turn]:
    for name in ("instructions", "additional_instructions"):
        if text := body.get(name):
            yield Turn(name.replace("_", " "), list(pieces(text)))
    for message in objects_of(body.get("additional_messages")):
        yield from _message(message)
    yield from _messages(object_of(body.get("thread")))


def _embeddings(body: Json) -> Conversation:
    texts = body.get("input")
    listed = items_of(texts) if isinstance(texts, list) else [texts]
    shown = [Turn(f"text {number}", [text_of(text)]) for number, text in enumerate(listed, 1)]
    return Conversation("Embeddings request", [*_facts(body), f"Texts: {len(listed)}"], shown)


def _facts(body: Json) -> list[str]:
    streamed = ", streamed" if body.get("stream") is True else ""
    facts = [f"Model: {text_of(body.get('model')) or 'not named'}{streamed}"]
    settings = [f"{name}={_brief(body[name])}" for name in _SHOWN if body.get(name) is not None]
    facts += [", ".join(settings)] * bool(settings)
    names = [text_of(_tool_name(tool)) for tool in objects_of(body.get("tools"))]
    facts += [f"Tools: {', '.join(names)}"] * bool(names)
    return facts


def _tool_name(tool: Json) -> Any:
    kind = text_of(tool.get("type"))
    return tool.get("name") or object_of(tool.get(kind)).get("name") or kind or "unnamed"


def _brief(value: Any) -> str:
    text = as_json(value)
    return text if len(text) <= _LONGEST_FACT else f"{text[:_LONGEST_FACT]}…"
