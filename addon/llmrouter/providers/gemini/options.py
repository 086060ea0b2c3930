"""How an answer is made and in which form: Gemini's `generationConfig`."""

from typing import Any

from llmrouter.brands.dialect import Structured, Thinking
from llmrouter.providers.gemini.media import untold
from llmrouter.providers.structured import Emulation, wanted
from llmrouter.providers.wire import Job

_SAME = {"temperature": "temperature", "top_p": "topP"}
"""Members with OpenAI's meaning and another default than OpenAI's, so that OpenAI's default is sent, too."""

_SAME_UNLESS_DEFAULT = {
    "frequency_penalty": "frequencyPenalty",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
}

OPTIONS = frozenset(
    {
        *_SAME,
        *_SAME_UNLESS_DEFAULT,
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "reasoning_effort",
        "response_format",
        "seed",
        "stop",
        "top_logprobs",
    }
)
"""The members of a call that this module tells Gemini."""

_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
"""Thinking tokens of Gemini 2.5 (provider reference, section 3.8)."""

_LEVELS = ("minimal", "low", "medium", "high")
_OVER_HIGH = {"xhigh": "high", "max": "high"}
_JSON = "application/json"
_SEEDS = 2**31


class Options:
    """A generation config while it is written; `withheld` are members that are not sent.

    `config` is the result, `changes` what was told in another way, `names` maps the config's names to the call's
    members, and `emulation` says what the answer has to be checked for.
    """

    __slots__ = ("_job", "_withheld", "changes", "config", "emulation", "names")

    def __init__(self, job: Job, withheld: frozenset[str]) -> None:
        self._job = job
        self._withheld = withheld
        self.config: dict[str, Any] = {}
        self.names: dict[str, str] = {}
        self.changes: list[str] = []
        self.emulation: Emulation | None = None
        self._set_plain()
        self._set_limits()
        self._set_logprobs()
        self._set_thinking()
        self._set_form()

    def _set(self, name: str, value: Any, member: str) -> None:
        self.config[name] = value
        self.names[name] = member

    def _asked(self, member: str) -> Any:
        """What the call asks for by this member; None where nothing, or where it is not to be sent."""
        return self._job.call.body.get(member) if member in self._job.call.members - self._withheld else None

    def _set_plain(self) -> None:
        for member, name in _SAME.items():
            if member not in self._withheld and (value := self._job.call.body.get(member)) is not None:
                self._set(name, value, member)
        for member, name in _SAME_UNLESS_DEFAULT.items():
            if (value := self._asked(member)) is not None:
                self._set(name, value, member)
        if (seed := self._asked("seed")) is not None:
            if isinstance(seed, int) and not -_SEEDS <= seed < _SEEDS:
                # Gemini's are 32-bit integers, OpenAI's are longer.
                seed %= _SEEDS
                self.changes.append("seed as its last 31 bits")
            self._set("seed", seed, "seed")

    def _set_limits(self) -> None:
        member = "max_completion_tokens" if "max_completion_tokens" in self._job.call.members else "max_tokens"
        limit = self._job.call.max_output_tokens if member not in self._withheld else None
        limit = self._job.dialect.max_output_tokens if limit is None else limit
        if limit is not None:
            self._set("maxOutputTokens", limit, member)
        stop = self._asked("stop")
        ends = [end for end in (stop if isinstance(stop, list) else [stop]) if end]
        if ends:
            self._set("stopSequences", ends, "stop")

    def _set_logprobs(self) -> None:
        if self._asked("logprobs"):
            self._set("responseLogprobs", True, "logprobs")
            if top := self._asked("top_logprobs"):
                self._set("logprobs", top, "logprobs")

    def _set_thinking(self) -> None:
        member = "reasoning_effort"
        asked, kind = self._asked(member), self._job.dialect.thinking
        if asked is None or (kind is Thinking.NONE and asked == "none"):
            return
        effort = "" if kind is Thinking.NONE else self._effort(asked)
        if effort == "":
            self.changes.append(f"without {member}")
            return
        if effort != asked:
            self.changes.append(f"{member} {asked} as {effort}")
        thinking: dict[str, Any] = {"thinkingLevel": effort}
        if kind is Thinking.BUDGET or effort == "none":
            thinking = {"thinkingBudget": _BUDGETS[effort]}
        if asked != "none":
            thinking["includeThoughts"] = True
        self._set("thinkingConfig", thinking, member)
        self.names |= dict.fromkeys(thinking, member)

    def _effort(self, asked: Any) -> str:
        """The word for it that this model knows; "" where it must not be told."""
        words = dict(self._job.dialect.efforts)
        effort = words.get(asked, asked) if isinstance(asked, str) else None
        effort = _OVER_HIGH.get(effort, effort) if effort is not None else None
        if effort == "none" and self._job.dialect.thinking is Thinking.ALWAYS:
            effort = words.get(_LEVELS[0], _LEVELS[0])
        if effort is None or effort not in (*_LEVELS, "none", ""):
            raise untold("it knows no such 'reasoning_effort'")
        return effort

    def _set_form(self) -> None:
        """The form of the answer by Gemini's own members, or else by words."""
        member, job = "response_format", self._job
        if member not in job.call.members:
            return
        form = wanted(job.call)
        if form is None:
            raise untold("it knows no such 'response_format'")
        structured = Structured.PROMPT if member in self._withheld else job.dialect.structured
        if structured in (Structured.SCHEMA, Structured.OBJECT):
            self._set("responseMimeType", _JSON, member)
        if structured is Structured.SCHEMA and form.schema is not None:
            self._set("responseJsonSchema", _described(form.schema, form.description), member)
        elif form.schema is not None or structured not in (Structured.SCHEMA, Structured.OBJECT):
            self.emulation = form
            self.changes.append(f"{job.call.body[member]['type']} by the prompt")


def _described(schema: dict[str, Any], description: Any) -> dict[str, Any]:
    """The schema with the description that OpenAI has beside it; beside `$ref` Gemini takes nothing else."""
    if not isinstance(description, str) or not description or schema.keys() & {"$ref", "description"}:
        return schema
    return {**schema, "description": description}
