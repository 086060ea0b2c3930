"""A Responses request as a chat completion's (provider reference, section 10.1)."""

from collections.abc import Sequence
from typing import Any

from llmrouter.endpoints.responses.chat_messages import messages_of
from llmrouter.endpoints.responses.request import Item, ResponsesRequest
from llmrouter.endpoints.responses.request_tools import APP_TOOLS
from llmrouter.errors import InvalidRequest

_LOGPROBS = "message.output_text.logprobs"
_WITHOUT_COUNTERPART = frozenset(
    {
        "background",
        "context_management",
        "conversation",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "previous_response_id",
        "prompt",
        "reasoning",
        "store",
        "stream",
        "stream_options",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "truncation",
    }
)
"""What stands elsewhere in a chat, or is the router's own business; all else goes along as it is."""


def chat_body(request: ResponsesRequest, history: Sequence[Item]) -> bytes:
    """The JSON of the chat completion that answers a request, after what was said before.

    What only OpenAI can do is left out: such a request is forwarded as it is, and this tells its size and its needs.
    Raises `InvalidRequest` where there is nothing to answer.
    """
    fields = request.fields
    messages = messages_of(request.instructions, [*history, *request.input])
    if not messages and not request.hosted_tools:
        raise InvalidRequest("There is nothing to answer: 'input' is empty.", param="input")
    body: dict[str, Any] = {"messages": messages or [{"role": "user", "content": ""}]}
    body |= _options(request) | _tools(request)
    if request.stream or request.background:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    body["model"] = request.model
    return fields.encode(body, without=_WITHOUT_COUNTERPART | _nulls(request))


def _nulls(request: ResponsesRequest) -> frozenset[str]:
    return frozenset(name for name in request.fields if request.fields.is_null(name))


def _options(request: ResponsesRequest) -> dict[str, Any]:
    fields = request.fields
    text, reasoning = fields.get("text") or {}, fields.get("reasoning") or {}
    options: dict[str, Any] = {}
    if (limit := fields.get("max_output_tokens")) is not None:
        options["max_completion_tokens"] = limit
    if (effort := reasoning.get("effort")) is not None:
        options["reasoning_effort"] = effort
    if (verbosity := text.get("verbosity")) is not None:
        options["verbosity"] = verbosity
    if (form := text.get("format")) is not None and form["type"] != "text":
        options["response_format"] = _format(form)
    wanted = fields.get("top_logprobs")
    if wanted or _LOGPROBS in request.include:
        options["logprobs"] = True
        if wanted:
            options["top_logprobs"] = wanted
    return options


def _format(form: dict[str, Any]) -> dict[str, Any]:
    if form["type"] == "json_object":
        return {"type": "json_object"}
    schema = {name: value for name, value in form.items() if name != "type" and value is not None}
    return {"type": "json_schema", "json_schema": schema}


def _tools(request: ResponsesRequest) -> dict[str, Any]:
    given = request.fields.get("tools") or []
    choice = request.fields.get("tool_choice")
    if isinstance(choice, dict) and choice["type"] == "allowed_tools":
        allowed = {tool.get("name") for tool in choice["tools"]}
        given = [tool for tool in given if tool.get("name") in allowed]
        choice = choice.get("mode") or "auto"
    given = [tool for tool in given if tool["type"] in APP_TOOLS]
    if not given:
        return {}
    told: dict[str, Any] = {"tools": [_tool(tool) for tool in given]}
    if isinstance(choice, dict) and choice["type"] not in APP_TOOLS:
        return told
    if isinstance(choice, dict):
        told["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    elif choice is not None:
        told["tool_choice"] = choice
    return told


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool["type"] == "custom":
        return {"type": "function", "function": _bridge(tool)}
    # Responses takes a missing `strict` for true where the schema allows it, chat for false; whoever wants it says so.
    members = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {name: tool[name] for name in members if tool.get(name) is not None}}


def _bridge(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool that takes a text as a function with one text: few providers know any other."""
    form = tool.get("format") or {}
    description = tool.get("description") or ""
    if form.get("type") == "grammar":
        rule = f"The input must match this {form.get('syntax', '')} grammar:\n{form.get('definition', '')}"
        description = f"{description}\n\n{rule}".strip()
    parameters = {
        "type": "object",
        "properties": {"input": {"type": "string", "description": "The whole input of the tool."}},
        "required": ["input"],
        "additionalProperties": False,
    }
    told = {"name": tool["name"], "description": description, "parameters": parameters}
    return {name: value for name, value in told.items() if value}
