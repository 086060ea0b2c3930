"""What becomes of a run, whoever comes first."""

from typing import Any

import pytest

from llmrouter.endpoints.assistants import objects, run_state
from llmrouter.endpoints.assistants.requests import run
from llmrouter.errors import InternalError, NoAnswer, NoTarget, RelayedError, RouterError
from llmrouter.replies import Usage

_ASSISTANT = objects.assistant("asst_1", 1.0, "gpt-4o", {})
_SPENT = {"prompt": 1, "completion": 2, "is_known": True}
_CALLS = [{"id": "a", "name": "f", "arguments": "{}"}, {"id": "b", "name": "g", "arguments": "[]"}]
_EXCHANGE = {"after": 1, "message_id": None, "tool_calls": _CALLS}


def _state(status: str = "queued") -> run_state.State:
    made = objects.run("run_1", 100.0, "thread_1", _ASSISTANT, run({"assistant_id": "asst_1"}))
    state = run_state.new(made | {"status": status})
    if status == "requires_action":
        state["work"] |= {"pending": _EXCHANGE, "step_id": "step_1"}
    return state


def test_a_run_that_waits_says_for_what() -> None:
    state = run_state.began(101.0)(_state())
    assert state is not None and (state["run"]["status"], state["run"]["started_at"]) == ("in_progress", 101)
    state = run_state.waits(_EXCHANGE, "step_1", _SPENT, 102.0)(state)
    assert state is not None and state["run"]["status"] == "requires_action"
    calls = state["run"]["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert calls[1] == {"id": "b", "type": "function", "function": {"name": "g", "arguments": "[]"}}
    assert state["run"]["usage"] is None
    submit = run_state.Submit([("b", "2"), ("a", "1")])
    state = submit(state)
    assert state is not None and submit.refusal is None
    assert (state["run"]["status"], state["run"]["required_action"]) == ("queued", None)
    assert [call["output"] for call in state["work"]["exchanges"][0]["tool_calls"]] == ["1", "2"]
    again = run_state.began(109.0)(state)
    assert again is not None and again["run"]["started_at"] == 101


@pytest.mark.parametrize("status", sorted(run_state.ENDED))
def test_what_has_ended_stays_as_it_is(status: str) -> None:
    state = _state(status)
    assert run_state.began(1.0)(state) is None
    assert run_state.ended("failed", 1.0)(state) is None
    assert run_state.waits(_EXCHANGE, "step_1", _SPENT, 1.0)(state) is None
    for refusable in (run_state.Cancel(), run_state.Submit([])):
        assert refusable(state) is None
        assert refusable.refusal is not None and status in refusable.refusal.message


@pytest.mark.parametrize("end", ["completed", "incomplete", "expired", "cancelled"])
def test_a_cancel_that_came_first_wins(end: str) -> None:
    state = run_state.ended(end, 105.0, _SPENT)(_state("cancelling"))
    assert state is not None
    assert (state["run"]["status"], state["run"]["cancelled_at"]) == ("cancelled", 105)
    assert state["run"]["usage"] == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    waiting = run_state.waits(_EXCHANGE, "step_1", _SPENT, 105.0)(_state("cancelling"))
    assert waiting is not None and waiting["run"]["status"] == "cancelled"


def test_one_that_died_while_it_was_cancelled_has_failed() -> None:
    error = run_state.last_error(InternalError("restarted"))
    state = run_state.ended("failed", 105.0, last_error=error)(_state("cancelling"))
    assert state is not None
    assert (state["run"]["status"], state["run"]["last_error"]) == ("failed", error)


@pytest.mark.parametrize("status", ["queued", "in_progress", "requires_action"])
def test_what_has_not_ended_can_be_cancelled(status: str) -> None:
    state = run_state.Cancel()(_state(status))
    assert state is not None
    assert (state["run"]["status"], state["run"]["required_action"]) == ("cancelling", None)


def test_usage_adds_up_as_long_as_all_of_it_is_known() -> None:
    spent = run_state.spend(_SPENT, Usage(10, 20), (0, 0))
    assert spent == {"prompt": 11, "completion": 22, "is_known": True}
    assert run_state.spend(spent, None, (5, 6)) == {"prompt": 16, "completion": 28, "is_known": False}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NoAnswer("", rate_limited=True), "rate_limit_exceeded"),
        (NoAnswer(""), "server_error"),
        (NoTarget(""), "invalid_prompt"),
        (RelayedError(401, {"message": "bad key"}), "server_error"),
    ],
)
def test_why_a_run_failed(error: RouterError, code: str) -> None:
    told: dict[str, Any] = run_state.last_error(error)
    assert told["code"] == code


def test_when_a_run_is_overdue() -> None:
    waiting = _state("requires_action")["run"]
    assert not run_state.is_overdue(waiting, 699.9)
    assert run_state.is_overdue(waiting, 700.0)
    assert not run_state.is_overdue(_state("completed")["run"], 900.0)
