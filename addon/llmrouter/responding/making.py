"""Makes one response: asks the gateway, tells the events, and keeps what it came to before the client sees the end."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

import orjson

from llmrouter import calls
from llmrouter.call_record import Answer
from llmrouter.calls import Call
from llmrouter.clock import Clock
from llmrouter.endpoints import chat
from llmrouter.endpoints.responses.chat_request import chat_body
from llmrouter.endpoints.responses.events import Event
from llmrouter.endpoints.responses.failures import error_code
from llmrouter.endpoints.responses.relayed import relayed_response
from llmrouter.endpoints.responses.request import ResponsesRequest, custom_tools
from llmrouter.endpoints.responses.request_items import held_elsewhere
from llmrouter.endpoints.responses.response import ResponseShape
from llmrouter.endpoints.responses.streams import ResponseStream
from llmrouter.endpoints.responses.whole import response_of
from llmrouter.errors import RouterError
from llmrouter.operations import Operation
from llmrouter.replies import Chunk
from llmrouter.responding.archive import Archive, Response, document
from llmrouter.responding.conversations import Conversations
from llmrouter.responding.items import Item, new_id
from llmrouter.responding.turns import Turn
from llmrouter.tasks import spawn

logger = logging.getLogger(__name__)

Keep = Callable[[Response, list[Event]], Awaitable[None]]
"""Keeps a response whose last events are given, empty where none are told."""

_MOST_CUTS = 5
_CALLS, _OUTPUTS = ("function_call", "custom_tool_call"), ("function_call_output", "custom_tool_call_output")
_CONTEXT_EXCEEDED = "context_length_exceeded"


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes responses; `ask` is the gateway's `answer`."""

    ask: Callable[[Call], Awaitable[Answer]]
    archive: Archive
    conversations: Conversations
    clock: Clock
    default_model: Callable[[], str]

    def call_of(self, operation: Operation, request: ResponsesRequest, items: list[Item]) -> Call:
        """The chat call that a request becomes with these items as its whole prompt; the request itself goes along.

        In the background it is always a stream, so that a cancel ends it at once and its state can be looked at.
        """
        stream = request.stream or request.background
        call = chat.parse(
            chat_body(replace(request, input=items, stream=stream), []),
            self.default_model(),
            id=operation.id,
            caller=operation.caller,
            preferences=operation.preferences,
        )
        hosted = frozenset(hosted_in(request, items))
        asked = calls.ResponsesRequest(request.fields, items, hosted, bool(custom_tools(request)))
        return replace(call, surface="responses", responses=asked)

    async def answer(self, turn: Turn) -> Answer:
        """The gateway's answer; with `truncation: auto` a prompt that is too long is cut and asked again.

        Each time half of what is left goes, the oldest first, up to five times, and never all of it.
        """
        items, began = turn.items, self.clock.monotonic()
        answer = await self.ask(self.call_of(turn.operation, turn.request, items))
        for _ in range(_MOST_CUTS if turn.request.truncation == "auto" else 0):
            shorter = without_oldest(items)
            if answer.error is None or answer.error.code != _CONTEXT_EXCEEDED or len(shorter) == len(items):
                break
            items = shorter
            answer = await self.ask(replace(self.call_of(turn.operation, turn.request, items), began=began))
        return answer

    async def whole(self, turn: Turn, answer: Answer) -> Response:
        """The response to an answer that came as a whole, once it is kept."""
        assert answer.reply is not None
        reply, shape, now = answer.reply, shape_of(turn), self.clock.wall()
        if reply.native:
            response = relayed_response(reply.native, shape, new_id, now)
        else:
            response = response_of(orjson.loads(reply.data), shape, new_id, now)
        await self._kept(turn.id, response, [], self.keeper(turn))
        return response

    async def events(
        self, turn: Turn, answer: Answer, stream: ResponseStream, keep: Keep
    ) -> AsyncGenerator[list[Event]]:
        """The events after the first ones, as the answer's chunks come; the last of them once the response is kept.

        An answer that is an error, or breaks off, ends in `response.failed`. The answer's chunks are closed at once
        where this is closed.
        """
        try:
            async with aclosing(_chunks(answer)) as batches:
                async for chunks in batches:
                    try:
                        events = [event for chunk in chunks for event in stream.feed(chunk)]
                    except Exception as error:
                        # Whoever answers books why nobody reads on: it is no client that left.
                        await batches.athrow(error)
                        raise
                    if events:
                        yield events
            last = stream.end(self.clock.wall())
        except RouterError as error:
            last = stream.fail(error_code(error), error.message)
        except Exception:
            logger.exception("the response %s failed", turn.id)
            last = stream.fail("server_error", "The router failed on this response.")
        await self._kept(turn.id, last[-1].data["response"], last, keep)
        yield last

    def keeper(self, turn: Turn) -> Keep:
        """Keeps a response that is not made in the background, where the request does not forbid it."""

        async def keep(response: Response, _: list[Event]) -> None:
            if turn.request.store:
                await self.archive.add(turn.caller, document(response, turn.given, is_streamed=False))
            await self.prolong(turn, response)

        return keep

    async def prolong(self, turn: Turn, response: Response) -> None:
        """Adds what was given and said to the response's conversation, where it has one and nothing failed."""
        if turn.request.conversation is not None and response["status"] in ("completed", "incomplete"):
            items = [*turn.given, *response["output"]]
            await self.conversations.append(turn.caller, turn.request.conversation, items)

    async def _kept(self, id: str, response: Response, last: list[Event], keep: Keep) -> None:
        """Keeps a response to its end, even where the client leaves meanwhile.

        An answer that is made is never lost: where the store fails the client gets it all the same, and `store` is
        false in it, which tells that no later turn can go on from it.
        """
        keeping = spawn(_is_kept(keep(response, last), id), f"keeping {id}")
        try:
            is_kept = await asyncio.shield(keeping)
        except asyncio.CancelledError:
            await asyncio.wait([keeping])
            raise
        if not is_kept:
            response["store"] = False


async def _is_kept(keeping: Awaitable[None], id: str) -> bool:
    try:
        await keeping
    except RouterError as error:
        logger.warning("the response %s could not be kept: %s", id, error.message)
        return False
    return True


def _chunks(answer: Answer) -> AsyncGenerator[list[Chunk]]:
    """The answer's chunks; raises its error where it is one."""
    if answer.error is not None:
        raise answer.error
    assert answer.chunks is not None
    return answer.chunks


def hosted_in(request: ResponsesRequest, items: list[Item]) -> list[str]:
    """What of a request with these items as its prompt only OpenAI can do."""
    return list(dict.fromkeys([*request.hosted_tools, *held_elsewhere(items)]))


def shape_of(turn: Turn) -> ResponseShape:
    """What the response repeats of its request."""
    request = turn.request
    names = custom_tools(request)
    return ResponseShape(turn.id, turn.created_at, request.model, request.fields, names, request.background)


def without_oldest(items: list[Item]) -> list[Item]:
    """The items without the older half of them, for a model whose context is too small.

    What the app itself says as system or developer stays, and so do the last item and what the user said last; the
    output of a call whose call is gone goes with it.
    """
    is_standing = [item.get("role") in ("system", "developer") for item in items]
    said = [number for number, item in enumerate(items) if item.get("role") == "user"]
    if said:
        is_standing[said[-1]] = True
    rest = len(items) - sum(is_standing)
    to_go, kept = (rest + 1) // 2, []
    calls = set[str]()
    for item, stays in zip(items, is_standing, strict=True):
        if not stays and to_go > 0:
            to_go -= 1
            continue
        if item.get("type") in _CALLS:
            calls.add(str(item.get("call_id")))
        if item.get("type") in _OUTPUTS and str(item.get("call_id")) not in calls:
            continue
        kept.append(item)
    return kept if len(kept) > sum(is_standing) else items
