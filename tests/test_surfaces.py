"""The APIs that keep state, as a whole: opened once, tidied while they run, and tried again where their store fails."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import pytest

from llmrouter import surfaces
from llmrouter.call_record import Answer
from llmrouter.calls import Call
from llmrouter.clock import Clock
from llmrouter.errors import StateUnavailable
from llmrouter.operations import Operation
from llmrouter.responding.refusals import UnknownId
from llmrouter.settings.storage import StorageSettings
from llmrouter.storage.state.opening import NoState, place_of
from llmrouter.storage.state.store import LASTING_KINDS, Claim
from llmrouter.surfaces import Means, Surfaces
from llmrouter.tasks import spawn
from tests.fakes.state_store import FakeStateStore


@dataclass
class WatchedStore(FakeStateStore):
    """Tells what is asked of it, and fails as often as it is told to."""

    failures: int = 0
    log: list[str] = field(default_factory=list)
    tidied: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        super().__init__()

    async def abandoned(self, *prefixes: str) -> list[Claim]:
        if self.failures:
            self.failures -= 1
            raise StateUnavailable("not now")
        self.log.append("recover")
        return await super().abandoned(*prefixes)

    async def beat(self) -> None:
        self.log.append("beat")

    async def prune(self, before: float, lasting: Collection[str] = LASTING_KINDS) -> int:
        self.log.append(f"prune {before:g}")
        self.tidied.set()
        return 0

    async def close(self) -> None:
        self.log.append("close")


async def nobody(call: Call) -> Answer:
    raise AssertionError("no model is asked")


def surfaces_on(store: WatchedStore, opened: list[str], is_kept: Callable[[], bool] = lambda: True) -> Surfaces:
    def open_store() -> WatchedStore:
        opened.append("opened")
        return store

    caller: Callable[..., str] = lambda _: "me"  # noqa: E731 - as short as it is
    clock = Clock(lambda: 5.0, lambda: 1000.0)
    means = Means(nobody, lambda: "m", lambda _: 1, lambda _: False, caller, open_store, clock, 100.0, is_kept)
    return Surfaces(means)


def asked(method: str, path: str) -> Operation:
    return Operation("req-1", method, path)


async def test_it_is_opened_once_and_what_was_left_is_ended_before_anything_is_answered() -> None:
    store, opened = WatchedStore(), list[str]()
    on = surfaces_on(store, opened)
    told = await asyncio.gather(*(on.answer(asked("GET", "/v1/assistants"), may_pass=True) for _ in range(3)))
    assert [one is not None and one.status for one in told] == [200] * 3
    assert (opened, store.log) == (["opened"], ["recover", "recover"])
    await on.close()
    assert store.log[-1] == "close"


async def test_what_nobody_knows_is_openais_or_unknown() -> None:
    on = surfaces_on(WatchedStore(), [])
    assert await on.answer(asked("GET", "/v1/responses/resp_x"), may_pass=True) is None
    with pytest.raises(UnknownId, match="resp_x"):
        await on.answer(asked("GET", "/v1/responses/resp_x"), may_pass=False)
    with pytest.raises(UnknownId, match="does not serve"):
        await on.answer(asked("GET", "/v1/threads/a/b/c"), may_pass=True)


async def test_a_store_that_fails_is_tried_again_by_the_next_one_who_asks() -> None:
    store, opened = WatchedStore(failures=1), list[str]()
    on = surfaces_on(store, opened)
    with pytest.raises(StateUnavailable):
        await on.answer(asked("GET", "/v1/assistants"), may_pass=True)
    assert await on.answer(asked("GET", "/v1/assistants"), may_pass=True) is not None
    assert len(opened) == 2


async def test_it_is_kept_tidy_whatever_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surfaces, "_TIDY_S", 0.0)
    store = WatchedStore(failures=2)
    on = surfaces_on(store, [])
    tidying = spawn(on.keep_tidy(), "tidying")
    await asyncio.wait_for(store.tidied.wait(), 5)
    tidying.cancel()
    assert store.log[-4:] == ["beat", "recover", "recover", "prune 900"]


async def test_where_nothing_is_kept_nothing_is_opened_to_be_tidied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surfaces, "_TIDY_S", 0.0)
    store, opened, looks = WatchedStore(), list[str](), list[int]()

    def is_kept() -> bool:
        looks.append(len(opened))
        return len(looks) > 3

    tidying = spawn(surfaces_on(store, opened, is_kept).keep_tidy(), "tidying")
    await asyncio.wait_for(store.tidied.wait(), 5)
    tidying.cancel()
    assert looks[:4] == [0, 0, 0, 0]
    assert opened == ["opened"]


@pytest.mark.parametrize(
    ("path", "is_ours"),
    [("/v1/responses", True), ("/v1/threads/x", True), ("/v1/responsesx", False), ("/v1/files", False)],
)
def test_which_paths_are_theirs(path: str, is_ours: bool) -> None:
    assert surfaces.has(path) is is_ours


def test_where_documents_lie() -> None:
    assert place_of(StorageSettings(), {}) == "sqlite:///state/llmrouter.db"
    named = StorageSettings(url_env="PLACE")
    assert place_of(named, {"PLACE": "postgresql://u:p@h/d"}) == "postgresql://u:p@h/d"
    for value in ("", "sqlite:///x", "mysql://h/d"):
        with pytest.raises(NoState, match="PLACE must hold the address of PostgreSQL"):
            place_of(named, {"PLACE": value})
