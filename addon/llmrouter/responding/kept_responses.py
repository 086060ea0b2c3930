"""Operations on responses that are there already: look, follow, cancel, delete, list what went in."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

from llmrouter.endpoints.chat import headers_for
from llmrouter.endpoints.responses.events import Event, render
from llmrouter.errors import InvalidRequest
from llmrouter.operations import Operation, Result
from llmrouter.responding import paging, refusals
from llmrouter.responding.archive import UNFINISHED, Archive, Response
from llmrouter.responding.background import BackgroundRuns
from llmrouter.responding.conversations import ok

_MOST_DIGITS = 9
_TOLD_ENDS = ("completed", "incomplete")


@dataclass(frozen=True, slots=True)
class KeptResponses:
    """The kept responses of all callers, and those that are being made in the background."""

    archive: Archive
    runs: BackgroundRuns

    async def answer(self, operation: Operation, caller: str, id: str, what: list[str]) -> Result | None:
        """`what` is the method and the path's parts after the id; None where the id or the path is not known."""
        data = await self.archive.get(caller, id)
        if data is None:
            return None
        match what:
            case ["GET"] if operation.query.get("stream") == "true":
                return await self._follow(caller, data, operation.query)
            case ["GET"]:
                return ok(self._state(caller, data["response"]))
            case ["DELETE"]:
                return await self._delete(caller, id)
            case ["POST", "cancel"]:
                return await self._cancel(caller, data)
            case ["GET", "input_items"]:
                return ok(paging.page_of(data["input"], paging.list_query(operation.query)))
            case _:
                return None

    def _state(self, caller: str, response: Response) -> Response:
        run = self.runs.get(caller, response["id"])
        return response if run is None else run.state

    async def _delete(self, caller: str, id: str) -> Result:
        if (run := self.runs.get(caller, id)) is not None:
            await self.runs.cancel(run)
        await self.archive.delete(caller, id)
        return ok({"id": id, "object": "response", "deleted": True})

    async def _cancel(self, caller: str, data: dict[str, Any]) -> Result:
        """A response that has ended stays as it is, however often it is cancelled."""
        response = data["response"]
        if not data["background"]:
            raise InvalidRequest(
                f"Cannot cancel '{response['id']}': only responses with 'background' true can be cancelled.",
                param="response_id",
            )
        if (run := self.runs.get(caller, response["id"])) is not None:
            await self.runs.cancel(run)
            return ok(run.state)
        if response["status"] in UNFINISHED:
            raise _elsewhere(response["id"])
        return ok(response)

    async def _follow(self, caller: str, data: dict[str, Any], query: Mapping[str, str]) -> Result:
        start = _start(query.get("starting_after"))
        response = data["response"]
        if not (data["background"] and data["streamed"]):
            raise InvalidRequest(
                f"Cannot stream '{response['id']}': only responses that were created with 'background' and 'stream' "
                "true can be streamed again.",
                param="stream",
            )
        if (run := self.runs.get(caller, response["id"])) is not None:
            frames = self.runs.follow(run, start)
        elif response["status"] in UNFINISHED:
            raise _elsewhere(response["id"])
        else:
            kept = await self.archive.frames(caller, response["id"])
            # Where the router died its events died with it: what is left to tell is how the response ended.
            frames = _replay(kept[start:] if kept else [_end_of(response, start)])
        return Result(200, dict(headers_for(stream=True)), frames=frames)


async def _replay(frames: list[bytes]) -> AsyncGenerator[bytes]:
    if frames:
        yield b"".join(frames)


def _end_of(response: Response, number: int) -> bytes:
    kind = f"response.{response['status'] if response['status'] in _TOLD_ENDS else 'failed'}"
    return render(Event(kind, {"type": kind, "sequence_number": number, "response": response}))


def _start(starting_after: str | None) -> int:
    """The number of the first event that is wanted."""
    if not starting_after:
        return 0
    if not (starting_after.isascii() and starting_after.isdigit() and len(starting_after) <= _MOST_DIGITS):
        raise InvalidRequest(
            f"Invalid 'starting_after': expected a sequence number, but got '{starting_after[:40]}'.",
            param="starting_after",
        )
    return int(starting_after) + 1


def _elsewhere(id: str) -> refusals.ServedElsewhere:
    return refusals.ServedElsewhere(f"The response '{id}' is being made by another process of the router.")
