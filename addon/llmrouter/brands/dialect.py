"""How one model at one provider wants to be spoken to: everything in which companies differ, as data."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from llmrouter.calls import Need


class Structured(StrEnum):
    """How a target gives the JSON that `response_format` asks for.

    SCHEMA takes `json_schema` itself. OBJECT takes `json_object` only: the schema is told in the prompt. TOOL is forced
    to call a tool whose parameters are the schema. PROMPT is told in the prompt alone. What is not the target's own
    doing is validated before the client gets it.
    """

    SCHEMA = "schema"
    OBJECT = "object"
    TOOL = "tool"
    PROMPT = "prompt"


class Thinking(StrEnum):
    """How a model of the Anthropic and Gemini formats is told to think.

    NONE cannot. BUDGET takes a number of tokens. LEVEL takes a word for the effort. ALWAYS takes the word, too, and
    cannot be kept from thinking.
    """

    NONE = "none"
    BUDGET = "budget"
    LEVEL = "level"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What one model at one provider takes, and by which names.

    Members are those of a chat completion request. `renames` are (ours, theirs). `drops` are members without meaning to
    the answer, or mere hints, that it refuses or ignores: they are left out, and the decision record names them.
    `refuses` are members with meaning that it cannot honour, as in `Call.members`, and `lacks` needs that it cannot
    serve: a call that asks for one goes elsewhere. `detours` are tried in order for calls that this way cannot serve.

    `key_header` is given where it is another one than the brand's. `message_drops` are members of messages that it
    refuses. `flattens` turns content lists that hold only text into strings.
    `takes_custom_tools` tells whether it knows tools of the type `custom` and the choice `allowed_tools`,
    `takes_functions` whether it knows `functions`, which came before tools.
    `tool_choices` says which word it has for one of OpenAI's. `tool_id_length` is the exact length that it wants tool
    call ids to have. `wants_reasoning_back` tells that a turn with tool calls must come with its `reasoning_content`.
    `efforts` maps values of `reasoning_effort`; a value that maps to "" is not sent, and for `none` the members of
    `no_thinking` stand in where there are any. `extras` are members that are sent unless the client sent its own.
    `max_output_tokens` is sent where a limit is required and the client gave none. `tells_cost` says that `usage.cost`
    is what the account is charged, in US dollars.
    """

    wire_format: str
    key_header: str | None = None
    renames: tuple[tuple[str, str], ...] = ()
    drops: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()
    lacks: frozenset[Need] = frozenset()
    detours: "tuple[Detour, ...]" = ()
    structured: Structured = Structured.SCHEMA
    asks_for_usage: bool = True
    knows_developer: bool = False
    message_drops: frozenset[str] = frozenset()
    flattens: bool = False
    tool_choices: tuple[tuple[str, str], ...] = ()
    takes_strict: bool = True
    takes_custom_tools: bool = False
    takes_functions: bool = False
    forces_tools: bool = True
    tool_id_length: int | None = None
    wants_reasoning_back: bool = False
    efforts: tuple[tuple[str, str], ...] = ()
    no_thinking: tuple[tuple[str, Any], ...] = ()
    extras: tuple[tuple[str, Any], ...] = ()
    thinking: Thinking = Thinking.NONE
    takes_prefill: bool = True
    tells_cost: bool = False
    max_output_tokens: int | None = None

    def for_members(self, members: frozenset[str]) -> "Dialect":
        """The dialect for a call that asks for these members: this one, or that of the first detour that is made for
        it."""
        for detour in self.detours:
            if detour.when <= members:
                return detour.dialect
        return self


@dataclass(frozen=True, slots=True)
class Detour:
    """Another way to the same model, for calls that ask for all of these members."""

    when: frozenset[str]
    dialect: Dialect
