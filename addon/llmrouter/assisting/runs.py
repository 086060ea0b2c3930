"""The operations on runs and their steps, and all runs that are worked on here."""

import asyncio

from llmrouter.assisting.asked import Asked
from llmrouter.assisting.ending import claim_of, end_run
from llmrouter.assisting.listening import Listener
from llmrouter.assisting.records import Records
from llmrouter.assisting.running import Means, Running
from llmrouter.endpoints.assistants import events, objects, refusals, requests, run_state
from llmrouter.endpoints.assistants.events import Event
from llmrouter.endpoints.assistants.objects import Object
from llmrouter.endpoints.assistants.requests import NewRun
from llmrouter.endpoints.assistants.run_state import ENDED, RESTING, State
from llmrouter.endpoints.assistants.turn import tool_details
from llmrouter.errors import InternalError
from llmrouter.operations import Result
from llmrouter.tasks import spawn

_POLL_AFTER = {"openai-poll-after-ms": "500"}
"""How soon openai-python's `poll` helpers look again, as OpenAI said it."""
_STOPPED = run_state.last_error(InternalError("The router was stopped while the run was on."))


class Runs:
    """The runs of all callers."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._running: dict[str, Running] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    async def create(self, asked: Asked) -> Result:
        """POST /v1/threads/{thread}/runs."""
        new = requests.run(asked.fields())
        await asked.records.find("thread", asked.ids[0])
        return await self.begin(asked, asked.ids[0], new, [])

    async def begin(self, asked: Asked, thread_id: str, new: NewRun, before: list[Event]) -> Result:
        """Starts a run on a thread; `before` is what a listener hears first."""
        records, means = asked.records, self._means
        assistant = await records.find("assistant", new.assistant_id)
        run = objects.run(means.new_id("run_"), means.clock.wall(), thread_id, assistant, new)
        await self._claim(records, thread_id, run["id"])
        try:
            ids = [means.new_id("msg_") for _ in new.additional_messages]
            await records.add_messages(thread_id, new.additional_messages, ids, means.clock.wall())
            state = run_state.new(run)
            await records.store.add(records.caller, "run", [(run["id"], state)], thread_id)
        except BaseException:
            await records.store.release(records.caller, claim_of(thread_id), run["id"])
            raise
        told = [*before, events.of_run(run, "created"), events.of_run(run)]
        return self._start(asked, state, told if new.stream else None)

    async def _claim(self, records: Records, thread_id: str, run_id: str) -> None:
        """Takes the thread for a run; raises `ActiveRun`."""
        owner: str | None = None
        for _ in range(2):
            owner = await records.store.claim(records.caller, claim_of(thread_id), run_id)
            if owner is None:
                return
            document = await records.store.get(records.caller, "run", owner)
            if document is not None and document.data["run"]["status"] not in ENDED:
                seen = await self._look(records, document.data)
                if seen["run"]["status"] not in ENDED:
                    break
            if document is not None:
                # It has ended, and whoever ended it did not come to let go of the thread.
                await records.store.release(records.caller, claim_of(thread_id), owner)
        raise refusals.ActiveRun(thread_id, owner or "")

    def _start(self, asked: Asked, state: State, told: list[Event] | None) -> Result:
        """Lets a run work; a client that streams hears `told` first, and then all that happens."""
        running = Running(self._means, asked.records, state, asked.operation)
        run = state["run"]
        listener = None if told is None else Listener()
        if listener is not None:
            running.listen(listener)
            for event in told or ():
                listener.put(event)
        self._running[run["id"]] = running
        running.start()
        spawn(self._forget(run["id"], running), f"run {run['id']} end")
        self.watch(asked.records, run)
        return asked.json(run) if listener is None else asked.stream(listener)

    async def _forget(self, run_id: str, running: Running) -> None:
        await running.ended()
        if self._running.get(run_id) is running:
            del self._running[run_id]
        if running.state["run"]["status"] in ENDED and (timer := self._timers.pop(run_id, None)) is not None:
            timer.cancel()

    def watch(self, records: Records, run: Object) -> None:
        """Sees to it that a run ends when its time is up."""
        if (timer := self._timers.pop(run["id"], None)) is not None:
            timer.cancel()
        delay = max(0.0, run["expires_at"] - self._means.clock.wall())
        self._timers[run["id"]] = asyncio.get_running_loop().call_later(delay, self._ring, records, run["id"])

    def _ring(self, records: Records, run_id: str) -> None:
        self._timers.pop(run_id, None)
        spawn(self._time_is_up(records, run_id), f"run {run_id} expiry")

    async def _time_is_up(self, records: Records, run_id: str) -> None:
        document = await records.store.get(records.caller, "run", run_id)
        if document is None or document.data["run"]["status"] in ENDED:
            return
        state = await self._look(records, document.data)
        if state["run"]["status"] not in ENDED:
            self.watch(records, state["run"])

    async def _look(self, records: Records, state: State) -> State:
        """The run as it is now: one whose time is up has expired."""
        if not run_state.is_overdue(state["run"], self._means.clock.wall()):
            return state
        return await self.end(records, state, "expired")

    async def end(self, records: Records, state: State, status: str, error: Object | None = None) -> State:
        """Ends a run that has not ended, worked on or not."""
        run_id = state["run"]["id"]
        if (running := self._running.get(run_id)) is not None:
            running.stop(status, error)
            await running.ended()
            if (document := await records.store.get(records.caller, "run", run_id)) is not None:
                state = document.data
        if state["run"]["status"] in ENDED:
            return state
        if (timer := self._timers.pop(run_id, None)) is not None:
            timer.cancel()
        return await end_run(records, state, status, self._means.clock.wall(), error)

    async def active(self, records: Records, thread_id: str) -> State | None:
        """The run of a thread that has not ended."""
        found = await records.active_run(thread_id)
        seen = None if found is None else await self._look(records, found)
        return seen if seen is not None and seen["run"]["status"] not in ENDED else None

    async def list_runs(self, asked: Asked) -> Result:
        """GET /v1/threads/{thread}/runs."""
        listing = requests.listing(asked.operation.query)
        await asked.records.find("thread", asked.ids[0])
        states, has_more = await asked.records.page("run", asked.ids[0], listing)
        seen = [await self._look(asked.records, state) for state in states]
        return asked.json(objects.page([state["run"] for state in seen], has_more))

    async def read(self, asked: Asked) -> Result:
        """GET /v1/threads/{thread}/runs/{run}."""
        run = (await self._state(asked))["run"]
        return asked.json(run, {} if run["status"] in RESTING else _POLL_AFTER)

    async def _state(self, asked: Asked) -> State:
        thread_id, run_id = asked.ids[:2]
        await asked.records.find("thread", thread_id)
        return await self._look(asked.records, await asked.records.find("run", run_id, thread_id))

    async def change(self, asked: Asked) -> Result:
        """POST /v1/threads/{thread}/runs/{run}."""
        given = requests.only_metadata(asked.fields())
        run_id = (await self._state(asked))["run"]["id"]
        after = await asked.records.change_run(run_id, lambda state: state | {"run": state["run"] | given})
        if after is None:
            raise refusals.NotFound("run", run_id)
        return asked.json(after["run"])

    async def cancel(self, asked: Asked) -> Result:
        """POST /v1/threads/{thread}/runs/{run}/cancel; the run is `cancelling` until its provider is closed."""
        run_id = (await self._state(asked))["run"]["id"]
        state = await self._refusable(asked.records, run_id, run_state.Cancel())
        if (running := self._running.get(run_id)) is not None:
            running.changed(state)
        spawn(self._cancel(asked.records, state), f"run {run_id} cancel")
        return asked.json(state["run"])

    async def _cancel(self, records: Records, state: State) -> None:
        await self.end(records, state, "cancelled")

    async def _refusable(self, records: Records, run_id: str, change: run_state.Refusable) -> State:
        after = await records.change_run(run_id, change)
        if change.refusal is not None:
            raise change.refusal
        if after is None:
            raise refusals.NotFound("run", run_id)
        return after

    async def submit(self, asked: Asked) -> Result:
        """POST /v1/threads/{thread}/runs/{run}/submit_tool_outputs."""
        given = requests.tool_outputs(asked.fields())
        run_id = (await self._state(asked))["run"]["id"]
        change = run_state.Submit(given.outputs)
        state = await self._refusable(asked.records, run_id, change)
        told = [] if change.before is None else await self._end_step(asked.records, change.before, state)
        await asked.records.keep_exchange(self._means.new_id("exchange_"), state)
        told.append(events.of_run(state["run"]))
        return self._start(asked, state, told if given.stream else None)

    async def _end_step(self, records: Records, before: State, after: State) -> list[Event]:
        """Completes the step of the calls whose outputs came."""
        details = tool_details(after["work"]["exchanges"][-1]["tool_calls"])
        now = self._means.clock.wall()

        def change(step: Object) -> Object:
            return objects.ended_step(step | {"step_details": details}, "completed", now)

        document = await records.store.change(records.caller, "run_step", before["work"]["step_id"], change)
        return [] if document is None else [events.of_step(document.data)]

    async def list_steps(self, asked: Asked) -> Result:
        """GET /v1/threads/{thread}/runs/{run}/steps."""
        listing = requests.listing(asked.operation.query)
        await self._state(asked)
        found, has_more = await asked.records.page("run_step", asked.ids[1], listing)
        return asked.json(objects.page(found, has_more))

    async def read_step(self, asked: Asked) -> Result:
        """GET /v1/threads/{thread}/runs/{run}/steps/{step}."""
        await self._state(asked)
        return asked.json(await asked.records.find("run_step", asked.ids[2], asked.ids[1]))

    @property
    def under_way(self) -> int:
        """How many are worked on."""
        return len(self._running)

    async def close(self) -> None:
        """Stops all runs; each is failed, and says why."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        running = list(self._running.values())
        for run in running:
            run.stop("failed", _STOPPED)
        for run in running:
            await run.ended()
