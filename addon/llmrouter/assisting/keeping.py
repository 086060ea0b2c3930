"""The operations on assistants, threads and messages: what is kept, and nothing that runs."""

from llmrouter.assisting.asked import Asked
from llmrouter.assisting.records import Records
from llmrouter.assisting.running import Means
from llmrouter.assisting.runs import Runs
from llmrouter.endpoints.assistants import objects, refusals, requests
from llmrouter.endpoints.assistants.objects import Object
from llmrouter.endpoints.assistants.requests import NewThread
from llmrouter.errors import InvalidRequest
from llmrouter.operations import Result


async def create_thread(means: Means, records: Records, new: NewThread) -> Object:
    """Keeps a new thread with its first messages."""
    now = means.clock.wall()
    thread = objects.thread(means.new_id("thread_"), now, new.metadata)
    await records.add("thread", [thread])
    await records.add_messages(thread["id"], new.messages, [means.new_id("msg_") for _ in new.messages], now)
    return thread


class Keeping:
    """Assistants, threads and messages of all callers."""

    def __init__(self, means: Means, runs: Runs) -> None:
        self._means = means
        self._runs = runs

    async def create_assistant(self, asked: Asked) -> Result:
        """POST /v1/assistants."""
        given = requests.assistant(asked.fields())
        made = objects.assistant(
            self._means.new_id("asst_"), self._means.clock.wall(), self._means.default_model(), given
        )
        await asked.records.add("assistant", [made])
        return asked.json(made)

    async def list_assistants(self, asked: Asked) -> Result:
        """GET /v1/assistants."""
        found, has_more = await asked.records.page("assistant", "", requests.listing(asked.operation.query))
        return asked.json(objects.page(found, has_more))

    async def read_assistant(self, asked: Asked) -> Result:
        """GET /v1/assistants/{id}."""
        return asked.json(await asked.records.find("assistant", asked.ids[0]))

    async def change_assistant(self, asked: Asked) -> Result:
        """POST /v1/assistants/{id}."""
        given = requests.assistant(asked.fields())
        records = asked.records
        document = await records.store.change(
            records.caller, "assistant", asked.ids[0], lambda before: objects.changed_assistant(before, given)
        )
        if document is None:
            raise refusals.NotFound("assistant", asked.ids[0])
        return asked.json(document.data)

    async def delete_assistant(self, asked: Asked) -> Result:
        """DELETE /v1/assistants/{id}; its runs and threads stay."""
        return await self._delete(asked, "assistant", asked.ids[0])

    async def _delete(self, asked: Asked, kind: str, id: str) -> Result:
        if not await asked.records.store.delete(asked.records.caller, kind, id):
            raise refusals.NotFound(kind, id)
        return asked.json(objects.deleted(kind, id))

    async def create_thread(self, asked: Asked) -> Result:
        """POST /v1/threads."""
        return asked.json(await create_thread(self._means, asked.records, requests.thread(asked.fields())))

    async def read_thread(self, asked: Asked) -> Result:
        """GET /v1/threads/{id}."""
        return asked.json(await asked.records.find("thread", asked.ids[0]))

    async def change_thread(self, asked: Asked) -> Result:
        """POST /v1/threads/{id}."""
        return asked.json(await asked.records.set("thread", asked.ids[0], requests.only_metadata(asked.fields())))

    async def delete_thread(self, asked: Asked) -> Result:
        """DELETE /v1/threads/{id}, with its messages and runs; a run that is active is stopped first."""
        await asked.records.find("thread", asked.ids[0])
        active = await self._runs.active(asked.records, asked.ids[0])
        if active is not None:
            await self._runs.end(asked.records, active, "cancelled")
        return await self._delete(asked, "thread", asked.ids[0])

    async def create_message(self, asked: Asked) -> Result:
        """POST /v1/threads/{thread}/messages; refused while a run reads them."""
        [thread_id] = asked.ids
        new = requests.message(asked.fields())
        await asked.records.find("thread", thread_id)
        active = await self._runs.active(asked.records, thread_id)
        if active is not None:
            raise refusals.thread_is_busy(thread_id, active["run"]["id"])
        made = objects.message(self._means.new_id("msg_"), self._means.clock.wall(), thread_id, new)
        await asked.records.add("message", [made], thread_id)
        return asked.json(made)

    async def list_messages(self, asked: Asked) -> Result:
        """GET /v1/threads/{thread}/messages, of one run where `run_id` says so."""
        [thread_id] = asked.ids
        listing = requests.listing(asked.operation.query)
        await asked.records.find("thread", thread_id)
        if run_id := asked.operation.query.get("run_id"):
            found, has_more = await asked.records.messages_of_run(thread_id, run_id, listing)
        else:
            found, has_more = await asked.records.page("message", thread_id, listing)
        return asked.json(objects.page(found, has_more))

    async def read_message(self, asked: Asked) -> Result:
        """GET /v1/threads/{thread}/messages/{message}."""
        return asked.json(await self._message(asked))

    async def _message(self, asked: Asked) -> Object:
        thread_id, message_id = asked.ids
        await asked.records.find("thread", thread_id)
        return await asked.records.find("message", message_id, thread_id)

    async def change_message(self, asked: Asked) -> Result:
        """POST /v1/threads/{thread}/messages/{message}."""
        given = requests.only_metadata(asked.fields())
        await self._message(asked)
        return asked.json(await asked.records.set("message", asked.ids[1], given))

    async def delete_message(self, asked: Asked) -> Result:
        """DELETE /v1/threads/{thread}/messages/{message}; not one that is being written."""
        message = await self._message(asked)
        if message["status"] == "in_progress":
            raise InvalidRequest(f"Can't delete message {message['id']} while a run writes it.")
        return await self._delete(asked, "message", asked.ids[1])
