"""What one response is made of: the request, what comes before it, and the conversation that it holds."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from llmrouter.clock import Clock
from llmrouter.endpoints.responses import request as requests
from llmrouter.endpoints.responses.request import ResponsesRequest
from llmrouter.operations import Operation
from llmrouter.responding import refusals
from llmrouter.responding.archive import Archive, check_bounds, find
from llmrouter.responding.conversations import Conversations
from llmrouter.responding.items import Item, kept_items, new_id


@dataclass(slots=True)
class Turn:
    """One response to be made: `given` are its own input items as they are kept, `history` what comes before them.

    `created_at` is Unix seconds. `held` lets go of the conversation, which is the response's alone until its end.
    """

    operation: Operation
    caller: str
    request: ResponsesRequest
    id: str
    created_at: float
    history: list[Item]
    given: list[Item]
    held: AsyncExitStack

    @property
    def items(self) -> list[Item]:
        """All that the response answers."""
        return [*self.history, *self.given]


@dataclass(frozen=True, slots=True)
class Turns:
    """Makes turns out of requests."""

    archive: Archive
    conversations: Conversations
    clock: Clock
    default_model: Callable[[], str]

    async def of(self, operation: Operation, caller: str) -> Turn | None:
        """The turn that a request asks for; None where only OpenAI can answer it.

        That is so where it goes on from what the router does not know. Raises `RouterError`, and holds nothing then.
        """
        request = requests.parse(operation.body, self.default_model())
        async with AsyncExitStack() as held:
            id = new_id("resp")
            if request.conversation is not None:
                await self._hold(caller, request.conversation, id, held)
            history = await self.history(request, caller)
            if history is None:
                return None
            try:
                given = await self._given(request, caller, history)
            except refusals.UnknownId:
                if request.hosted_tools:
                    return None
                raise
            check_bounds(0, len(history) + len(given))
            return Turn(operation, caller, request, id, self.clock.wall(), history, given, held.pop_all())

    async def history(self, request: ResponsesRequest, caller: str) -> list[Item] | None:
        """What comes before the request's own input; None where the router does not know it."""
        if (conversation := request.conversation) is not None:
            if await self.conversations.get(caller, conversation) is None:
                return None
            return await self.conversations.items(caller, conversation)
        if (previous := request.previous_response_id) is not None:
            return await self.archive.history(caller, previous)
        return []

    async def input_of(self, request: ResponsesRequest, caller: str, history: list[Item]) -> list[Item]:
        """The request's own items, with what they refer to in its place; raises `UnknownId` where that is not kept."""
        if isinstance(request.input, str):
            return [{"role": "user", "content": request.input}]
        return [await self._referred(item, caller, history) for item in request.input]

    async def _referred(self, item: Item, caller: str, history: list[Item]) -> Item:
        if item.get("type") != "item_reference":
            return item
        id = str(item.get("id"))
        found = find(history, id) or await self.archive.item(caller, id) or await self.conversations.item(caller, id)
        if found is None:
            raise refusals.unknown_item(id, "input")
        return found

    async def _given(self, request: ResponsesRequest, caller: str, history: list[Item]) -> list[Item]:
        async def is_taken(id: str) -> bool:
            return await self.archive.is_taken(caller, id) or await self.conversations.is_taken(caller, id)

        return await kept_items(await self.input_of(request, caller, history), is_taken)

    async def _hold(self, caller: str, conversation: str, owner: str, held: AsyncExitStack) -> None:
        if await self.conversations.get(caller, conversation) is not None:
            await self.conversations.lock(caller, conversation, owner)
            held.push_async_callback(self.conversations.unlock, caller, conversation, owner)
