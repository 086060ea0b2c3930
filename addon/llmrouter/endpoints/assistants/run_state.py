"""What becomes of a run: each function takes its kept state and gives the next one, or refuses.

    queued -> in_progress -> completed | failed | incomplete | expired
                          -> requires_action -> queued (outputs came) | expired
    queued, in_progress, requires_action -> cancelling -> cancelled

The kept state is `{"run": the object, "work": what only the router needs}`; `work` holds

    exchanges   tool calls that were answered: {"after": position of the last message before them, "message_id" of the
                text that came with them or None, "tool_calls": [{"id", "name", "arguments", "output"}]}
    pending     the exchange that waits for outputs (no outputs yet), or None
    step_id     the step of those calls
    spent       tokens so far: {"prompt", "completion", "is_known"}

Several may change a run at once (it ends, it is cancelled, it expires): whoever comes first wins, so every function
looks at the status it finds. A function that leaves the run as it is gives None.
"""

from collections.abc import Callable
from typing import Any

from llmrouter.endpoints.assistants import refusals
from llmrouter.endpoints.assistants.objects import Object
from llmrouter.errors import InvalidRequest, RouterError
from llmrouter.replies import Usage

ENDED = frozenset({"completed", "failed", "incomplete", "expired", "cancelled"})
RESTING = ENDED | {"requires_action"}

type State = dict[str, Any]
type Change = Callable[[State], State | None]


def new(run: Object) -> State:
    """The state of a run that was just created."""
    spent = {"prompt": 0, "completion": 0, "is_known": True}
    return {"run": run, "work": {"exchanges": [], "pending": None, "step_id": None, "spent": spent}}


def _with(state: State, run: Object, **work: Any) -> State:
    return {"run": state["run"] | run, "work": state["work"] | work}


def began(now: float) -> Change:
    """A worker takes the run up."""

    def change(state: State) -> State | None:
        if state["run"]["status"] != "queued":
            return None
        started = state["run"]["started_at"] or int(now)
        return _with(state, {"status": "in_progress", "started_at": started})

    return change


def waits(exchange: Object, step_id: str, spent: Object, now: float) -> Change:
    """The model called functions; the client must say what they gave."""

    def change(state: State) -> State | None:
        if state["run"]["status"] != "in_progress":
            return ended("cancelled", now, spent)(state)
        calls = [_required(call) for call in exchange["tool_calls"]]
        action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": calls}}
        run = {"status": "requires_action", "required_action": action}
        return _with(state, run, pending=exchange, step_id=step_id, spent=spent)

    return change


def _required(call: Object) -> Object:
    function = {"name": call["name"], "arguments": call["arguments"]}
    return {"id": call["id"], "type": "function", "function": function}


def ended(status: str, now: float, spent: Object | None = None, **members: Any) -> Change:
    """The run is over; one that is being cancelled is cancelled, whatever it came to meanwhile, unless it failed with
    the process that ran it (`members` holds a `last_error`)."""

    def change(state: State) -> State | None:
        found = state["run"]["status"]
        if found in ENDED:
            return None
        final = "cancelled" if found == "cancelling" and not members.get("last_error") else status
        used = spent or state["work"]["spent"]
        run: Object = {"status": final, "required_action": None, "usage": _usage(used)}
        if final == status:
            run |= members
        if final in ("completed", "failed", "cancelled"):
            run[f"{final}_at"] = int(now)
        return _with(state, run, pending=None, step_id=None, spent=used)

    return change


def _usage(spent: Object) -> Object | None:
    if not spent["is_known"]:
        return None
    return _counts(spent["prompt"], spent["completion"])


def _counts(prompt: int, completion: int) -> Object:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def usage_of(usage: Usage | None) -> Object | None:
    """What one chat call used, as a step tells it."""
    return None if usage is None else _counts(usage.input_tokens, usage.output_tokens)


def spend(spent: Object, usage: Usage | None, guess: tuple[int, int]) -> Object:
    """What a run has used after one more call; what is guessed counts for its limits, and is never shown."""
    prompt, completion = guess if usage is None else (usage.input_tokens, usage.output_tokens)
    return {
        "prompt": spent["prompt"] + prompt,
        "completion": spent["completion"] + completion,
        "is_known": spent["is_known"] and usage is not None,
    }


def is_overdue(run: Object, now: float) -> bool:
    """Whether the run's time is up."""
    return run["status"] not in ENDED and now >= run["expires_at"]


class Refusable:
    """A change that a client asks for: either it happens, or `refusal` says why not."""

    def __init__(self) -> None:
        self.refusal: InvalidRequest | None = None
        self.before: State | None = None

    def __call__(self, state: State) -> State | None:
        self.before = state
        self.refusal = self._refuse(state)
        return None if self.refusal is not None else self._next(state)

    def _refuse(self, state: State) -> InvalidRequest | None:
        raise NotImplementedError

    def _next(self, state: State) -> State:
        raise NotImplementedError


class Cancel(Refusable):
    """The client wants the run to stop."""

    def _refuse(self, state: State) -> InvalidRequest | None:
        status = state["run"]["status"]
        return None if status in ("queued", "in_progress", "requires_action") else refusals.cannot_cancel(status)

    def _next(self, state: State) -> State:
        return _with(state, {"status": "cancelling", "required_action": None})


class Submit(Refusable):
    """The client says what its functions gave; ids may come in any order, each once."""

    def __init__(self, outputs: list[tuple[str, str]]) -> None:
        super().__init__()
        self._outputs = outputs

    def _refuse(self, state: State) -> InvalidRequest | None:
        if (status := state["run"]["status"]) != "requires_action":
            return refusals.takes_no_outputs(status)
        wanted = [call["id"] for call in state["work"]["pending"]["tool_calls"]]
        given = [id for id, _ in self._outputs]
        return None if sorted(wanted) == sorted(given) else refusals.wrong_outputs(wanted, given)

    def _next(self, state: State) -> State:
        work, outputs = state["work"], dict(self._outputs)
        calls = [call | {"output": outputs[call["id"]]} for call in work["pending"]["tool_calls"]]
        answered = work["pending"] | {"tool_calls": calls}
        run = {"status": "queued", "required_action": None}
        return _with(state, run, pending=None, step_id=None, exchanges=[*work["exchanges"], answered])


def last_error(error: RouterError) -> Object:
    """Why a run failed, in the three words that the API has for it."""
    if error.status == 429:
        code = "rate_limit_exceeded"
    elif error.status in (400, 404, 413, 422):
        code = "invalid_prompt"
    else:
        code = "server_error"
    return {"code": code, "message": error.message}
