"""The content of messages in words: texts as they are, thoughts, tool calls and results, attachments by their size.

The parts are those of OpenAI's chat and Responses, of Anthropic's Messages and of Gemini; they are told apart by their
`type`, or by what they hold.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from llmrouter.viewing.shapes import Json, as_json, items_of, object_of, objects_of, text_of

_TEXTS = frozenset({"text", "input_text", "output_text", "summary_text", "reasoning_text"})
_LONGEST_NAME = 100


def pieces(content: Any) -> Iterator[str]:
    """The pieces of a message's content: a string, one part, or a list of parts."""
    if isinstance(content, str):
        if content:
            yield content
        return
    for part in items_of(content) or [content]:
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            yield from _part(part)


def tool_call(name: Any, arguments: Any, id: Any = None) -> str:
    """A call of a tool: its name, what it is called with, and by which id its result is known."""
    of = f"  [{text_of(id)}]" if id else ""
    return f"→ {text_of(name) or 'unnamed tool'}({text_of(arguments)}){of}"


def tool_calls(message: Json) -> Iterator[str]:
    """The tool calls of a chat message."""
    for call in objects_of(message.get("tool_calls")):
        kind = text_of(call.get("type")) or "function"
        called = object_of(call.get(kind))
        yield tool_call(called.get("name") or kind, called.get("arguments", called.get("input")), call.get("id"))
    if called := object_of(message.get("function_call")):
        yield tool_call(called.get("name"), called.get("arguments"))


def message_pieces(message: Json) -> list[str]:
    """All that a chat message says."""
    thought = message.get("reasoning_content") or message.get("reasoning")
    said = [thinking(text_of(thought))] if thought else []
    said += pieces(message.get("content"))
    if refusal := message.get("refusal"):
        said.append(f"(refusal) {text_of(refusal)}")
    if transcript := object_of(message.get("audio")).get("transcript"):
        said.append(f"(sound) {text_of(transcript)}")
    return [*said, *tool_calls(message)]


def thinking(text: str) -> str:
    """A model's thoughts."""
    return f"(thinking) {text}"


def _part(part: Json) -> Iterator[str]:
    kind = text_of(part.get("type"))
    if kind in _TEXTS or (not kind and "text" in part):
        text = part.get("text")
        yield text_of(object_of(text).get("value")) if isinstance(text, dict) else text_of(text)
    elif kind in _KINDS:
        yield _KINDS[kind](part)
    elif called := object_of(part.get("functionCall")):
        yield tool_call(called.get("name"), called.get("args"))
    elif result := object_of(part.get("functionResponse")):
        yield _result(result.get("name"), result.get("response"))
    else:
        yield f"[{kind[:_LONGEST_NAME] or 'part'}: {_brief(part)}]"


def _result(id: Any, content: Any) -> str:
    told = "\n".join(pieces(content)) if isinstance(content, (str, list)) else text_of(content)
    return f"← {told}" + (f"  [{text_of(id)}]" if id else "")


def _thoughts(part: Json) -> str:
    return thinking(text_of(part.get("thinking")) or "\n".join(pieces(part.get("summary") or part.get("content"))))


def _brief(part: Json) -> str:
    """An attachment by where it is or how large it is: its bytes tell people nothing."""
    text = as_json(part)
    for start in ("data:", "http://", "https://"):
        if (at := text.find(start)) >= 0:
            address = text[at:].partition('"')[0]
            if start == "data:":
                return f"{address[:_LONGEST_NAME].partition(',')[0]}, {len(address):,} characters"
            return address[: 2 * _LONGEST_NAME]
    return text if len(text) <= 2 * _LONGEST_NAME else f"{len(text):,} characters"


_KINDS: Mapping[str, Callable[[Json], str]] = {
    "tool_use": lambda part: tool_call(part.get("name"), part.get("input"), part.get("id")),
    "server_tool_use": lambda part: tool_call(part.get("name"), part.get("input"), part.get("id")),
    "tool_result": lambda part: _result(part.get("tool_use_id"), part.get("content")),
    "function_call": lambda part: tool_call(part.get("name"), part.get("arguments"), part.get("call_id")),
    "custom_tool_call": lambda part: tool_call(part.get("name"), part.get("input"), part.get("call_id")),
    "function_call_output": lambda part: _result(part.get("call_id"), part.get("output")),
    "custom_tool_call_output": lambda part: _result(part.get("call_id"), part.get("output")),
    "thinking": _thoughts,
    "reasoning": _thoughts,
    "redacted_thinking": lambda _: "(thinking, which the provider hides)",
    "refusal": lambda part: f"(refusal) {text_of(part.get('refusal'))}",
}
