"""How runs end that nobody works on: those that wait for outputs, and those that a process left when it died."""

from collections.abc import Callable

from llmrouter.assisting.records import Records
from llmrouter.endpoints.assistants import objects, run_state
from llmrouter.endpoints.assistants.objects import Object
from llmrouter.endpoints.assistants.run_state import State

REASONS = {"cancelled": "run_cancelled", "expired": "run_expired", "failed": "run_failed"}
"""Why a message is incomplete, by the status of the run that wrote it."""


def claim_of(thread_id: str) -> str:
    """The name of the lock that lets one run work on a thread."""
    return f"run:{thread_id}"


async def end_run(records: Records, state: State, status: str, now: float, error: Object | None = None) -> State:
    """Ends a run, its steps and its message, whatever it was left in; then its thread is free."""
    run = state["run"]
    await _end_steps(records, run, status, now, error)
    members = {} if error is None else {"last_error": error}
    after = await records.change_run(run["id"], run_state.ended(status, now, **members))
    await records.store.release(records.caller, claim_of(run["thread_id"]), run["id"])
    return after or state


async def _end_steps(records: Records, run: Object, status: str, now: float, error: Object | None) -> None:
    for document in await records.store.every(records.caller, "run_step", run["id"]):
        details = document.data["step_details"]
        if details["type"] == "message_creation":
            message_id = details["message_creation"]["message_id"]
            await records.store.change(records.caller, "message", message_id, _incomplete(REASONS[status], now))
        if document.data["status"] == "in_progress":
            await records.save("run_step", objects.ended_step(document.data, status, now, error))


def _incomplete(reason: str, now: float) -> Callable[[Object], Object | None]:
    def change(message: Object) -> Object | None:
        return objects.ended_message(message, reason, now) if message["status"] == "in_progress" else None

    return change
