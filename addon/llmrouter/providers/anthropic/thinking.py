"""How long the model may answer, and how hard it is told to think (provider reference, sections 3.2 and 9.1)."""

from dataclasses import dataclass, field
from typing import Any

from llmrouter.brands.dialect import Thinking
from llmrouter.providers.anthropic.notes import Notes, untold
from llmrouter.providers.wire import Job

_DEFAULT_LIMIT = 4096
_LEAST_BUDGET = 1024
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}
_LEVELS = frozenset({"low", "medium", "high", "xhigh", "max"})
_LOWEST = "low"
_MEMBER = "reasoning_effort"


@dataclass(frozen=True, slots=True)
class Effort:
    """`max_tokens`, and where they are said `thinking` and `output_config.effort`.

    `is_told` says that the model is told to think, which forbids a forced tool and sampling. `goes_without` says that
    it must not think, so that what it thought in earlier turns must not be brought back.
    """

    max_tokens: int
    thinking: dict[str, Any] | None = None
    level: str | None = None
    goes_without: bool = False
    names: dict[str, str] = field(default_factory=dict)

    @property
    def is_told(self) -> bool:
        return self.thinking is not None and self.thinking["type"] != "disabled"


def effort_of(job: Job, withheld: frozenset[str], notes: Notes, *, is_prefilled: bool) -> Effort:
    """What the call and the target allow; thinking counts inside `max_tokens`.

    `is_prefilled` tells that the answer goes on with a message of the assistant, which excludes thinking. Raises
    `AttemptFailed` with NOT_TRANSLATABLE for an effort that Anthropic has no word for.
    """
    limit, names = _limit(job, withheld, notes)
    kind = job.dialect.thinking
    plain = Effort(limit, goes_without=kind in (Thinking.NONE, Thinking.BUDGET), names=names)
    if _MEMBER not in job.call.members or _MEMBER in withheld:
        return plain
    asked = _asked(job)
    if asked == "none":
        return _without_thinking(plain, kind, notes)
    if asked == "" or kind is Thinking.NONE or is_prefilled or (kind is Thinking.BUDGET and _lost_its_thread(job)):
        notes.add(f"without {_MEMBER}")
        return plain
    if kind is Thinking.BUDGET:
        return _with_budget(plain, asked, notes)
    level = _LOWEST if asked == "minimal" else asked
    return _with_level(plain, asked, level, notes)


def _limit(job: Job, withheld: frozenset[str], notes: Notes) -> tuple[int, dict[str, str]]:
    """The client's limit; where that was refused as too large, it is no larger than the usual one."""
    usual = job.dialect.max_output_tokens or _DEFAULT_LIMIT
    asked = job.call.max_output_tokens
    if asked is None:
        return usual, {}
    name = "max_completion_tokens" if job.call.body.get("max_completion_tokens") is not None else "max_tokens"
    if name in withheld and asked > usual:
        notes.add(f"{name} {asked} as {usual}")
        return usual, {}
    return asked, {"max_tokens": name}


def _asked(job: Job) -> str:
    """The effort by the name that this model has for it; "" where it must not be told."""
    value = job.call.body[_MEMBER]
    effort = dict(job.dialect.efforts).get(value, value) if isinstance(value, str) else None
    if effort is None or (effort not in _BUDGETS and effort not in ("", "none")):
        raise untold(f"it knows no such '{_MEMBER}'")
    return effort


def _without_thinking(plain: Effort, kind: Thinking, notes: Notes) -> Effort:
    if kind is Thinking.ALWAYS:
        return _with_level(plain, "none", _LOWEST, notes)
    if kind is Thinking.LEVEL:
        return Effort(plain.max_tokens, {"type": "disabled"}, None, True, plain.names | {"thinking": _MEMBER})
    return plain


def _with_level(plain: Effort, asked: str, level: str, notes: Notes) -> Effort:
    if level != asked:
        notes.add(f"{_MEMBER} {asked} as {level}")
    names = plain.names | dict.fromkeys(("thinking", "effort", "output_config.effort"), _MEMBER)
    return Effort(plain.max_tokens, {"type": "adaptive", "display": "summarized"}, level, False, names)


def _with_budget(plain: Effort, asked: str, notes: Notes) -> Effort:
    """A number of tokens that leaves room for the answer: half of the limit where it would not fit below it."""
    budget = _BUDGETS[asked]
    if budget >= plain.max_tokens:
        budget = max(_LEAST_BUDGET, plain.max_tokens // 2)
        if budget >= plain.max_tokens:
            notes.add(f"without {_MEMBER}")
            return plain
        notes.add(f"{_MEMBER} {asked} as {budget} tokens")
    names = plain.names | {"thinking": _MEMBER, "budget_tokens": _MEMBER}
    return Effort(plain.max_tokens, {"type": "enabled", "budget_tokens": budget}, None, False, names)


def _lost_its_thread(job: Job) -> bool:
    """Whether the last turn called tools and what it thought before is not at hand.

    With a budget Anthropic demands that such a turn begin with its signed thinking, and so it has to go on without.
    """
    first = None
    messages = job.call.body["messages"]
    for place in range(len(messages) - 1, -1, -1):
        message = messages[place]
        is_new_turn = message["role"] == "user" and (place == 0 or messages[place - 1]["role"] != "tool")
        if is_new_turn:
            break
        calls = message.get("tool_calls")
        if message["role"] == "assistant" and isinstance(calls, list) and calls:
            first = calls[0]
    id = first.get("id") if isinstance(first, dict) else None
    if first is None:
        return False
    return not isinstance(id, str) or job.memory.recall(job.call, job.target, id) is None
