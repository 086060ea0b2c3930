"""Hooks by index do what mitmproxy's own way does: each case runs through both."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from mitmproxy import exceptions, hooks, options, version
from mitmproxy.addonmanager import AddonManager
from mitmproxy.master import Master
from mitmproxy.proxy.layers.http._hooks import HttpRequestHook
from mitmproxy.test import tflow

from llmrouter.proxy.dispatch import KNOWN_VERSIONS, IndexedDispatch


class Told(list[str]):
    """What happened, in order."""


class Plain:
    def __init__(self, told: Told, name: str) -> None:
        self.told, self.name = told, name

    def request(self, flow: Any) -> Any:
        self.told.append(f"{self.name} request")


class Awaited(Plain):
    async def request(self, flow: Any) -> None:
        self.told.append(f"{self.name} begins")
        await asyncio.sleep(0)
        self.told.append(f"{self.name} ends")


class Failing(Plain):
    def request(self, flow: Any) -> None:
        super().request(flow)
        raise LookupError(f"{self.name} failed")


class FailingLater(Plain):
    async def request(self, flow: Any) -> None:
        super().request(flow)
        await asyncio.sleep(0)
        raise LookupError(f"{self.name} failed later")


class Halting(Plain):
    def request(self, flow: Any) -> None:
        super().request(flow)
        raise exceptions.AddonHalt


class WrongOption(Plain):
    def request(self, flow: Any) -> None:
        raise exceptions.OptionsError("no such option")


class Updated(Plain):
    def update(self, flows: list[Any]) -> None:
        self.told.append(f"{self.name} updated {len(flows)}")


class Without(Plain):
    request = None  # type: ignore[assignment]  # as an addon that has none


class NotCallable(Plain):
    request = "a text"  # type: ignore[assignment]  # a mistake that mitmproxy tells


class ModuleOfThatName(Plain):
    request = logging  # type: ignore[assignment]  # `from mitmproxy import request`


class Several(Plain):
    def __init__(self, told: Told, name: str, *inner: type[Plain]) -> None:
        super().__init__(told, name)
        self.addons = [kind(told, f"{name}.{number}") for number, kind in enumerate(inner)]


def several(*inner: type[Plain]) -> Callable[[Told, str], Plain]:
    return lambda told, name: Several(told, name, *inner)


CASES: dict[str, list[Callable[[Told, str], Plain]]] = {
    "nobody": [],
    "one": [Plain],
    "in order": [Plain, Awaited, Plain],
    "none have it": [Without, ModuleOfThatName],
    "an error ends its own alone": [Failing, Plain, FailingLater, Plain],
    "an error of one inside skips the next inside": [several(Plain, Failing, Plain), Plain],
    "a halt ends all": [Plain, Halting, Plain],
    "a halt inside ends all": [several(Halting, Plain), Plain],
    "nested": [several(Plain, Awaited), several(), Plain],
    "update": [Updated, Plain, several(Updated)],
    "a halt does not end the update": [Halting, Updated],
    "a mistake": [Plain, NotCallable, Plain],
    "an option's error": [Plain, WrongOption, Plain],
}


def manager_of(case: str, told: Told) -> AddonManager:
    addons = Master(options.Options()).addons
    addons.add(*(make(told, f"addon{number}") for number, make in enumerate(CASES[case])))
    return addons


async def ran(addons: AddonManager, told: Told, caplog: pytest.LogCaptureFixture) -> tuple[list[str], list[str]]:
    """What the hook of a request does, and what it logs."""
    told.clear()
    caplog.clear()
    try:
        await addons.handle_lifecycle(HttpRequestHook(tflow.tflow()))
    except exceptions.OptionsError as error:
        told.append(f"raised {error}")
    return list(told), [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("case", CASES)
async def test_it_does_what_mitmproxy_does(case: str, caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    addons = manager_of(case, told)
    expected = await ran(addons, told, caplog)
    dispatch = IndexedDispatch(addons)
    assert dispatch.install() is True
    for _ in range(2):
        assert await ran(addons, told, caplog) == expected
    dispatch.remove()
    assert await ran(addons, told, caplog) == expected


async def test_addons_that_come_and_go_are_noticed(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    addons = manager_of("nested", told)
    IndexedDispatch(addons).install()
    before, _ = await ran(addons, told, caplog)
    late = Plain(told, "late")
    addons.add(late)
    assert (await ran(addons, told, caplog))[0] == [*before, "late request"]
    addons.remove(late)
    assert (await ran(addons, told, caplog))[0] == before

    container: Any = addons.chain[0]
    container.addons = [Plain(told, "other")]
    assert (await ran(addons, told, caplog))[0] == [
        "addon0 request",
        "other request",
        "addon1 request",
        "addon2 request",
    ]
    container.addons.append(Plain(told, "inner"))
    assert "inner request" in (await ran(addons, told, caplog))[0]
    container.addons[0] = several(Plain)(told, "deep")
    container.addons[0].addons.append(Plain(told, "deeper"))
    assert "deeper request" in (await ran(addons, told, caplog))[0]
    addons.clear()
    assert await ran(addons, told, caplog) == ([], [])


async def test_a_hook_that_nobody_has_and_one_without_a_flow(caplog: pytest.LogCaptureFixture) -> None:
    addons = manager_of("one", Told())
    IndexedDispatch(addons).install()
    await addons.trigger_event(hooks.RunningHook())
    await addons.handle_lifecycle(hooks.ConfigureHook(set()))
    assert caplog.records == []


async def test_a_version_that_nobody_has_read_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(version, "VERSION", "12.9.0")
    told = Told()
    addons = manager_of("one", told)
    assert IndexedDispatch(addons).install() is False
    assert f"as mitmproxy 12.9.0 does it: the faster way is known for {', '.join(KNOWN_VERSIONS)} only" in caplog.text
    assert (await ran(addons, told, caplog))[0] == ["addon0 request"]


def test_the_installed_version_is_known() -> None:
    assert version.VERSION in KNOWN_VERSIONS
