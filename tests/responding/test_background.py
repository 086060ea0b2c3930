"""Responses that are made in the background: looked at, followed, cancelled, and what a restart finds of them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from llmrouter.errors import StateUnavailable
from llmrouter.responding import background
from llmrouter.storage.state.store import Document
from tests.fakes.provider import CUT, PAUSE, Answer, FakeProvider, Stall, Status, StreamSteps, sse_chunk
from tests.fakes.state_store import FakeStateStore
from tests.gateways import provider
from tests.responding.world import Heard, World, read, world


def halting(*before: str) -> StreamSteps:
    return StreamSteps([*map(sse_chunk, before), PAUSE, sse_chunk("the end"), sse_chunk(finish="stop")])


async def followed(w: World, id: str, **query: str) -> Heard:
    return await w.ask("GET", f"/responses/{id}", stream="true", **query)


async def test_it_goes_on_without_its_client_and_can_be_looked_at(tmp_path: Path) -> None:
    steps = halting("half ")
    async with FakeProvider(steps) as fake, world(tmp_path, provider("a", fake)) as w:
        made = await w.create(background=True)
        assert (made.response.status, made.response.background) == ("queued", True)
        await steps.reached.wait()
        assert (await w.ask("GET", f"/responses/{made.response.id}")).response.status == "in_progress"
        steps.resume.set()
        ended = await _ended(w, made.response.id)
        assert (ended.response.status, ended.response.output_text) == ("completed", "half the end")
        assert ended.response.completed_at == w.now
        assert await w.store.claims() == []


async def test_its_stream_can_be_left_and_taken_up_again(tmp_path: Path) -> None:
    steps = halting("half ")
    async with FakeProvider(steps) as fake, world(tmp_path, provider("a", fake)) as w:
        result = await w.begin(background=True, stream=True)
        assert result.frames is not None
        begun = Heard(200, {}, await anext(result.frames))
        assert begun.kinds == ["created", "queued", "in_progress"]
        id = begun.events[0]["response"]["id"]
        await result.frames.aclose()
        await steps.reached.wait()
        live = asyncio.ensure_future(followed(w, id, starting_after="2"))
        steps.resume.set()
        told = await live
        numbers = [event["sequence_number"] for event in told.events]
        assert numbers == list(range(3, 3 + len(numbers)))
        assert told.kinds[-1] == "completed"
        whole = await followed(w, id)
        assert whole.body == begun.body + told.body
        assert (await followed(w, id, starting_after=str(numbers[-1]))).events == []
        assert (await followed(w, id, starting_after="9999")).events == []


async def test_only_what_was_streamed_can_be_streamed_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        several: list[dict[str, Any]] = [{"background": True}, {"stream": True}, {}]
        for members in several:
            made = await w.create(**members)
            id = made.events[0]["response"]["id"] if "stream" in members else made.response.id
            told = await followed(w, id)
            assert (told.status, told.error["param"]) == (400, "stream")


@pytest.mark.parametrize("after", ["-1", "x", "1" * 20])
async def test_a_bad_starting_after_is_refused(tmp_path: Path, after: str) -> None:
    async with world(tmp_path) as w:
        made = await w.create(background=True, stream=True)
        told = await followed(w, made.events[0]["response"]["id"], starting_after=after)
        assert (told.status, told.error["param"]) == (400, "starting_after")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cancel_ends_it_at_once_and_for_good(tmp_path: Path, stream: bool) -> None:
    steps = halting("half ")
    async with FakeProvider(steps) as fake, world(tmp_path, provider("a", fake)) as w:
        result = await w.begin(background=True, stream=stream)
        id = await _id_of(result)
        await steps.reached.wait()
        told = await w.ask("POST", f"/responses/{id}/cancel")
        assert told.response.status == "cancelled"
        assert told.response.error is None
        await steps.client_left.wait()
        assert (await w.ask("POST", f"/responses/{id}/cancel")).json == told.json
        assert (await w.ask("GET", f"/responses/{id}")).json == told.json
        assert await w.store.claims() == []
        if stream:
            kinds = (await followed(w, id)).kinds
            assert kinds[-1] == "error"
            assert not {"completed", "failed", "incomplete"} & set(kinds)


async def test_a_cancel_of_what_has_ended_changes_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        id = (await w.create(background=True)).response.id
        ended = await _ended(w, id)
        assert (await w.ask("POST", f"/responses/{id}/cancel")).json == ended.json
        assert ended.response.status == "completed"


async def test_what_is_not_in_the_background_cannot_be_cancelled(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        told = await w.ask("POST", f"/responses/{(await w.create()).response.id}/cancel")
        assert told.status == 400


async def test_a_cancel_before_any_answer_works_too(tmp_path: Path) -> None:
    stall = Stall()
    async with FakeProvider(stall) as fake, world(tmp_path, provider("a", fake)) as w:
        id = (await w.create(background=True)).response.id
        await stall.reached.wait()
        assert (await w.ask("POST", f"/responses/{id}/cancel")).response.status == "cancelled"
        await stall.client_left.wait()
        # Even one that has not taken its first step.
        id = (await w.create(background=True)).response.id
        assert (await w.ask("POST", f"/responses/{id}/cancel")).response.status == "cancelled"


async def test_a_deleted_response_is_cancelled_first(tmp_path: Path) -> None:
    steps = halting("half ")
    async with FakeProvider(steps) as fake, world(tmp_path, provider("a", fake)) as w:
        id = (await w.create(background=True)).response.id
        await steps.reached.wait()
        assert (await w.ask("DELETE", f"/responses/{id}")).json["deleted"] is True
        await steps.client_left.wait()
        assert (await w.ask("GET", f"/responses/{id}")).status == 0
        assert await w.store.claims() == []


@pytest.mark.parametrize("behaviour", [Status(400), Status(429), StreamSteps([sse_chunk("half"), CUT])], ids=str)
async def test_a_failure_is_told_and_kept(tmp_path: Path, behaviour: Any) -> None:
    async with FakeProvider(behaviour, default=behaviour) as fake, world(tmp_path, provider("a", fake)) as w:
        told = await w.create(background=True, stream=True)
        assert told.status == 200
        last = told.events[-1]
        assert last["type"] == "response.failed"
        kept = await w.ask("GET", f"/responses/{last['response']['id']}")
        assert kept.response.status == "failed"
        assert kept.response.error is not None
        expected = {400: "invalid_prompt", 429: "rate_limit_exceeded"}
        assert kept.response.error.code == expected.get(getattr(behaviour, "status", 0), "server_error")
        assert await w.store.claims() == []


async def test_it_cannot_be_built_on_before_its_end(tmp_path: Path) -> None:
    steps = halting("half ")
    async with FakeProvider(steps) as fake, world(tmp_path, provider("a", fake)) as w:
        id = (await w.create("one", background=True)).response.id
        await steps.reached.wait()
        told = await w.create("two", previous_response_id=id)
        assert (told.status, told.error["param"]) == (400, "previous_response_id")
        steps.resume.set()
        await _ended(w, id)
        assert (await w.create("two", previous_response_id=id)).status == 200
        assert w.said == ["one", "half the end", "two"]


async def test_it_holds_its_conversation_and_prolongs_it(tmp_path: Path) -> None:
    steps = halting("half ")
    async with FakeProvider(steps) as fake, world(tmp_path, provider("a", fake)) as w:
        conversation = (await w.ask("POST", "/conversations", {})).conversation.id
        id = (await w.create("one", background=True, conversation=conversation)).response.id
        await steps.reached.wait()
        assert (await w.create("two", conversation=conversation)).status == 409
        steps.resume.set()
        await _ended(w, id)
        listed = (await w.ask("GET", f"/conversations/{conversation}/items", order="asc")).json["data"]
        assert [item["content"][0]["text"] for item in listed] == ["one", "half the end"]
        assert (await w.create("two", conversation=conversation)).status == 200


async def test_what_a_dead_process_left_is_failed_and_freed(tmp_path: Path) -> None:
    steps, foreground = halting("half "), halting("half ")
    async with FakeProvider(steps, foreground) as fake, world(tmp_path, provider("a", fake)) as w:
        conversation = (await w.ask("POST", "/conversations", {})).conversation.id
        result = await w.begin(background=True, stream=True, conversation=conversation)
        id = await _id_of(result)
        await steps.reached.wait()
        other = (await w.ask("POST", "/conversations", {})).conversation.id
        left = await w.begin(stream=True, conversation=other)
        assert len(await w.store.claims()) == 3
        dead, store = w.responses, w.store
        w.store = _copy_of(store)
        w.responses = w.serve()
        assert (await w.ask("GET", f"/responses/{id}")).response.status == "queued"
        assert (await followed(w, id)).status == 409
        assert await w.responses.recover() == 1
        failed = (await w.ask("GET", f"/responses/{id}")).response
        assert failed.status == "failed"
        assert failed.error is not None
        assert (failed.error.code, "restarted" in failed.error.message) == ("server_error", True)
        told = await followed(w, id, starting_after="7")
        assert [(e["type"], e["sequence_number"]) for e in told.events] == [("response.failed", 8)]
        assert await w.store.claims() == []
        fake.default = Answer("on")
        for free in (conversation, other):
            assert (await w.create("on", conversation=free)).status == 200
        assert await w.responses.recover() == 0
        assert left.frames is not None
        await left.frames.aclose()
        await dead.close()


async def test_claims_of_others_are_left_alone(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.store.claim("somebody", "run:thread_1", "run_1")
        assert await w.responses.recover() == 0
        assert len(await w.store.claims()) == 1


async def test_a_stop_of_the_router_fails_what_is_under_way(tmp_path: Path) -> None:
    steps = halting("half ")
    async with FakeProvider(steps) as fake, world(tmp_path, provider("a", fake)) as w:
        result = await w.begin(background=True, stream=True)
        id = await _id_of(result)
        await steps.reached.wait()
        await w.responses.close()
        await steps.client_left.wait()
        kept = (await w.ask("GET", f"/responses/{id}")).response
        assert kept.status == "failed"
        assert (await followed(w, id)).kinds[-1] == "failed"
        assert await w.store.claims() == []


async def test_there_is_a_bound_on_how_many_run_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "MOST_RUNS", 1)
    stall = Stall()
    async with FakeProvider(stall) as fake, world(tmp_path, provider("a", fake)) as w:
        conversation = (await w.ask("POST", "/conversations", {})).conversation.id
        await w.create(background=True)
        await stall.reached.wait()
        told = await w.create(background=True, conversation=conversation)
        assert (told.status, told.error["code"]) == (429, "rate_limit_exceeded")
        assert [claim.name.partition(":")[0] for claim in await w.store.claims()] == ["response"]


async def test_it_does_not_begin_where_it_cannot_be_kept(tmp_path: Path) -> None:
    store = Failing()
    async with FakeProvider() as fake, world(tmp_path, provider("a", fake), store=store) as w:
        conversation = (await w.ask("POST", "/conversations", {})).conversation.id
        store.is_down = True
        assert (await w.create(background=True, conversation=conversation)).status == 503
        assert fake.requests == []
        assert await store.claims() == []


async def test_where_its_end_cannot_be_kept_it_is_shown_and_later_found(tmp_path: Path) -> None:
    steps, store = halting("half "), Failing()
    async with FakeProvider(steps) as fake, world(tmp_path, provider("a", fake), store=store) as w:
        result = await w.begin(background=True, stream=True)
        assert result.frames is not None
        begun = Heard(200, {}, await anext(result.frames))
        await steps.reached.wait()
        store.is_down = True
        steps.resume.set()
        told = await read(result)
        assert told.kinds[-1] == "completed"
        shown = await w.ask("GET", f"/responses/{begun.events[0]['response']['id']}")
        assert (shown.response.status, shown.json["store"]) == ("completed", False)
        assert len(await store.claims()) == 1


class Failing(FakeStateStore):
    """Reads, but writes nothing while it is down."""

    is_down = False

    async def add(self, *given: Any, **options: Any) -> list[Document]:
        self._check()
        return await super().add(*given, **options)

    async def change(self, *given: Any, **options: Any) -> Document | None:
        self._check()
        return await super().change(*given, **options)

    def _check(self) -> None:
        if self.is_down:
            raise StateUnavailable("What the router keeps cannot be reached.")


def _copy_of(store: Any) -> FakeStateStore:
    """The store as it is now, whatever the process that is dead would still have done to it."""
    copy = FakeStateStore()
    copy.documents, copy.locks = dict(store.documents), dict(store.locks)
    return copy


async def _id_of(result: Any) -> str:
    if result.frames is None:
        id: str = (await read(result)).response.id
        return id
    id = Heard(200, {}, await anext(result.frames)).events[0]["response"]["id"]
    return id


async def _ended(w: World, id: str) -> Heard:
    """The response once it has ended; its run tells when."""
    run = w.run_of(id)
    while run is not None and not run.is_over:
        await run.changed.wait()
    return await w.ask("GET", f"/responses/{id}")
