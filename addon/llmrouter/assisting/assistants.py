"""The Assistants API, which OpenAI shut down on 2026-08-26, on chat completions: which operation goes where."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence

from llmrouter.assisting.asked import Asked
from llmrouter.assisting.ending import end_run
from llmrouter.assisting.keeping import Keeping, create_thread
from llmrouter.assisting.records import Records
from llmrouter.assisting.running import Ask, Means
from llmrouter.assisting.runs import Runs
from llmrouter.calls import Caller
from llmrouter.clock import Clock
from llmrouter.endpoints.assistants import events, refusals, requests, run_state
from llmrouter.endpoints.assistants.run_state import ENDED
from llmrouter.errors import InternalError, RouterError
from llmrouter.operations import Operation, Result
from llmrouter.storage.state.store import Claim, StateStore
from llmrouter.tasks import spawn

_CLAIM = "run:"
_LOST = run_state.last_error(InternalError("The router was restarted while the run was on."))

type _Handler = Callable[[Asked], Awaitable[Result]]


def _new_id(prefix: str) -> str:
    return prefix + secrets.token_hex(12)


class Assistants:
    """Answers the operations of /v1/assistants and /v1/threads.

    `ask` answers chat calls, `caller_key` tells callers apart, `default_model` is for assistants that name none.
    """

    def __init__(
        self,
        ask: Ask,
        store: StateStore,
        clock: Clock,
        default_model: Callable[[], str],
        caller_key: Callable[[Caller], str],
    ) -> None:
        self._store = store
        self._caller_key = caller_key
        self._means = Means(ask, clock, _new_id, default_model)
        self._runs = Runs(self._means)
        self._table = _table(Keeping(self._means, self._runs), self._runs, self._create_and_run)

    async def answer(self, operation: Operation) -> Result | None:
        """What a client gets; None where the path is none of this API. Raises `RouterError`."""
        segments = tuple(operation.path.strip("/").split("/"))
        for pattern, handlers in self._table:
            if (ids := _match(pattern, segments)) is None:
                continue
            if (handler := handlers.get(operation.method)) is None:
                raise refusals.NotAllowed(operation.method, operation.path)
            asked = Asked(operation, Records(self._store, self._caller_key(operation.caller)), ids)
            return await (handler(asked) if operation.method == "GET" else _wholly(handler, asked))
        return None

    async def _create_and_run(self, asked: Asked) -> Result:
        """POST /v1/threads/runs."""
        fields = asked.fields()
        new, thread = requests.run(fields), requests.thread_of_run(fields)
        await asked.records.find("assistant", new.assistant_id)
        made = await create_thread(self._means, asked.records, thread)
        return await self._runs.begin(asked, made["id"], new, [events.of_thread(made)])

    async def recover(self) -> None:
        """What a process that died left of its runs: at the start, and again and again where others share the store.

        A run that was worked on is failed, one that waits for outputs still waits, and a thread whose run is over or
        was never kept is free.
        """
        for claim in await self._store.abandoned(_CLAIM):
            await self._recover(claim)

    async def _recover(self, claim: Claim) -> None:
        records = Records(self._store, claim.caller)
        document = await self._store.get(claim.caller, "run", claim.owner)
        if document is None or document.data["run"]["status"] in ENDED:
            await self._store.release(claim.caller, claim.name, claim.owner)
        elif document.data["run"]["status"] == "requires_action":
            self._runs.watch(records, document.data["run"])
        else:
            await end_run(records, document.data, "failed", self._means.clock.wall(), _LOST)

    @property
    def under_way(self) -> int:
        """How many runs are worked on."""
        return self._runs.under_way

    async def close(self) -> None:
        """Stops all runs; each is failed, and says why."""
        await self._runs.close()


async def _wholly(handler: _Handler, asked: Asked) -> Result:
    """What an operation that changes something comes to; it is done to its end when the client leaves meanwhile."""

    async def outcome() -> Result | RouterError:
        try:
            return await handler(asked)
        except RouterError as error:
            return error

    found = await asyncio.shield(spawn(outcome(), f"{asked.operation.method} {asked.operation.path}"))
    if isinstance(found, RouterError):
        raise found
    return found


def _match(pattern: Sequence[str], segments: Sequence[str]) -> tuple[str, ...] | None:
    """The ids in a path, None where it is another one; `*` stands for an id."""
    if len(pattern) != len(segments):
        return None
    pairs = list(zip(pattern, segments, strict=True))
    if any(not text if want == "*" else want != text for want, text in pairs):
        return None
    return tuple(text for want, text in pairs if want == "*")


def _table(
    keeping: Keeping, runs: Runs, create_and_run: _Handler
) -> list[tuple[tuple[str, ...], Mapping[str, _Handler]]]:
    """Paths and their methods; the first that matches counts."""
    paths: dict[str, Mapping[str, _Handler]] = {
        "assistants": {"POST": keeping.create_assistant, "GET": keeping.list_assistants},
        "assistants/*": {
            "GET": keeping.read_assistant,
            "POST": keeping.change_assistant,
            "DELETE": keeping.delete_assistant,
        },
        "threads": {"POST": keeping.create_thread},
        "threads/runs": {"POST": create_and_run},
        "threads/*": {"GET": keeping.read_thread, "POST": keeping.change_thread, "DELETE": keeping.delete_thread},
        "threads/*/messages": {"POST": keeping.create_message, "GET": keeping.list_messages},
        "threads/*/messages/*": {
            "GET": keeping.read_message,
            "POST": keeping.change_message,
            "DELETE": keeping.delete_message,
        },
        "threads/*/runs": {"POST": runs.create, "GET": runs.list_runs},
        "threads/*/runs/*": {"GET": runs.read, "POST": runs.change},
        "threads/*/runs/*/cancel": {"POST": runs.cancel},
        "threads/*/runs/*/submit_tool_outputs": {"POST": runs.submit},
        "threads/*/runs/*/steps": {"GET": runs.list_steps},
        "threads/*/runs/*/steps/*": {"GET": runs.read_step},
    }
    return [(("v1", *path.split("/")), handlers) for path, handlers in paths.items()]
