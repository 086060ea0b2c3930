"""A complete answer of Anthropic's as a chat completion (provider reference, section 9.2)."""

from typing import Any

from llmrouter.providers.anthropic.answer import (
    custom_input,
    finish_reason,
    json_text,
    object_in,
    refusal_of,
    tool_use_of,
    usage_of,
)
from llmrouter.providers.anthropic.request import Expected
from llmrouter.providers.anthropic.turns import TurnOrder
from llmrouter.providers.bodies import bad
from llmrouter.providers.chunk_writer import choice_json, completion_json, tool_call_json
from llmrouter.providers.structured import TOOL_NAME
from llmrouter.providers.wire import Job
from llmrouter.replies import Reply

_BOM = b"\xef\xbb\xbf"


def read_reply(data: bytes, job: Job, expected: Expected) -> Reply:
    """The complete answer in this body.

    Raises `AttemptFailed`: BAD_REPLY where the body is empty, no JSON, no message, or has no end, or where a demanded
    tool call is missing; else what an error inside it tells.
    """
    fields = object_in(data.removeprefix(_BOM).strip())
    content, stop_reason = fields.get("content"), fields.get("stop_reason")
    if not isinstance(content, list) or not isinstance(stop_reason, str):
        raise bad("the provider's answer is no message with an end")
    blocks = _Blocks(job, expected)
    for block in content:
        blocks.add(block)
    reason = finish_reason(stop_reason, has_calls=bool(blocks.calls))
    if expected.must_call and reason == "stop":
        raise bad("the model was asked to call a tool and did not")
    blocks.order.keep(job)
    message = blocks.message(refusal_of(stop_reason, fields.get("stop_details")))
    return completion_json(job.call, job.created, [choice_json(message, reason)], usage_of(fields.get("usage")))


class _Blocks:
    """The blocks of one answer, sorted by what they say; `order` is theirs."""

    def __init__(self, job: Job, expected: Expected) -> None:
        self.calls: list[dict[str, Any]] = []
        self.order = TurnOrder()
        self._job = job
        self._expected = expected
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._answer: str | None = None

    def add(self, block: Any) -> None:
        """One block; those of Anthropic's own tools say nothing to a client."""
        kind = block.get("type") if isinstance(block, dict) else None
        match kind:
            case "text":
                text = _text(block, "text")
                self.order.text(len(text))
                self._texts.append(text)
            case "thinking":
                self._thoughts.append(_text(block, "thinking"))
                self.order.thought(block)
            case "redacted_thinking":
                self.order.thought(block)
            case "tool_use":
                self._add_call(block)
            case None:
                raise bad("the provider's answer has a block that is no object with a type")
            case _:
                pass

    def message(self, refusal: str | None) -> dict[str, Any]:
        """The message for the client."""
        text = "".join(self._texts) if self._answer is None else self._answer
        message: dict[str, Any] = {"content": None if not text and (self.calls or refusal) else text}
        if self.calls:
            message["tool_calls"] = self.calls
        if refusal is not None:
            message["refusal"] = refusal
        if thoughts := "".join(self._thoughts):
            message["reasoning_content"] = thoughts
        return message

    def _add_call(self, block: dict[str, Any]) -> None:
        id, told = tool_use_of(block, len(self.calls), self._job)
        arguments = json_text(block.get("input"))
        if self._expected.by_tool and told == TOOL_NAME:
            self._answer = arguments
            return
        self.order.tool_call(id)
        name = self._expected.names.meant(told)
        if name in self._expected.names.custom:
            custom = {"name": name, "input": custom_input(arguments)}
            self.calls.append({"id": id, "type": "custom", "custom": custom})
        else:
            self.calls.append(tool_call_json(id, name, arguments))


def _text(block: dict[str, Any], name: str) -> str:
    text = block.get(name)
    if not isinstance(text, str):
        raise bad("the provider's answer has a text that is none")
    return text
