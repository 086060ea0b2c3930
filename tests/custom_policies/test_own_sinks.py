"""Sinks of the owner's own: what they are told, and what is said of a file that cannot be used."""

import json
import sys
from pathlib import Path

import pytest

from llmrouter.custom_policies.own_class import make_own
from llmrouter.settings.problems import SettingsError
from tests.fakes.provider import FakeProvider
from tests.gateways import gateway, provider

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "sink_example.py"
SINK = """
import json, pathlib
class Mine:
    def take(self, decision):
        with pathlib.Path({file!r}).open("a") as file:
            print(json.dumps(decision), file=file)
    def close(self):
        with pathlib.Path({file!r}).open("a") as file:
            print(json.dumps("closed"), file=file)
"""


async def test_a_sink_is_told_of_every_decision(tmp_path: Path) -> None:
    """As the log would be, and that it ends."""
    told = tmp_path / "told"
    (tmp_path / "mine.py").write_text(SINK.format(file=str(told)))
    async with FakeProvider() as fake:
        async with gateway(tmp_path, provider("a", fake), telemetry={"sinks": ["mine.py:Mine"]}) as router:
            await router.ask()
            await router.ask(model="another")
        expected = [one.to_record() for one in router.decisions]
    *lines, last = map(json.loads, told.read_text().splitlines())
    assert [line["id"] for line in lines] == [one["id"] for one in expected]
    assert lines[0]["plan"]["targets"] == ["a/model-of-a"]
    assert last == "closed"


async def test_a_sink_that_fails_harms_no_call(tmp_path: Path) -> None:
    """Its failures are counted where an owner looks."""
    (tmp_path / "mine.py").write_text("class Mine:\n    def take(self, decision): raise ValueError(decision['id'])\n")
    async with FakeProvider() as fake:
        async with gateway(tmp_path, provider("a", fake), telemetry={"sinks": ["mine.py:Mine"]}) as router:
            assert (await router.ask()).answer.status == 200
            (sink,) = router.runtime._observing._sinks
            (told,) = json.loads(router.runtime.pages.answer("GET", "/api/status", "").body)["sinks"]
        assert (told["name"], told["dropped"]) == ("mine.py:Mine", 0)
        assert sink.failures == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "cannot be read"),
        ("class Other:\n    def take(self, decision): pass\n", "there are: Other"),
        ("class Mine:\n    async def take(self, decision): pass\n", "needs a method take(decision) that is not async"),
        ("class Mine:\n    def take(self): pass\n", "cannot be used"),
        ("raise SystemExit(1)\n", "cannot be run"),
    ],
)
async def test_a_file_that_cannot_be_used_is_told_by_its_line(tmp_path: Path, text: str | None, problem: str) -> None:
    if text is not None:
        (tmp_path / "mine.py").write_text(text)
    with pytest.raises(SettingsError) as raised:
        async with gateway(tmp_path, {"name": "mock", "type": "echo"}, telemetry={"sinks": ["mine.py:Mine"]}):
            pass
    assert problem in str(raised.value)
    assert "telemetry.sinks[0]" in str(raised.value)


async def test_a_sink_that_is_changed_is_taken_over(tmp_path: Path) -> None:
    """The earlier one ends; one that cannot be used leaves the earlier one in force."""
    told, file = tmp_path / "told", tmp_path / "mine.py"
    file.write_text(SINK.format(file=str(told)))
    async with gateway(tmp_path, {"name": "mock", "type": "echo"}, telemetry={"sinks": ["mine.py:Mine"]}) as router:
        runtime = router.runtime
        (first,) = runtime._observing._sinks
        file.write_text("nonsense!\n")
        assert runtime.reload_if_changed() is False
        assert runtime._observing._sinks == [first]
        file.write_text(SINK.format(file=str(tmp_path / "told anew")))
        assert runtime.reload_if_changed() is True
        (second,) = runtime._observing._sinks
        assert second is not first
        await router.ask()
    assert "plan" in (tmp_path / "told anew").read_text()
    assert not told.exists() or "plan" not in told.read_text()


async def test_opentelemetry_that_is_not_installed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The router runs all the same."""
    monkeypatch.setitem(sys.modules, "llmrouter.telemetry.opentelemetry", None)
    echo = {"name": "mock", "type": "echo"}
    async with gateway(tmp_path, echo, telemetry={"otel": {"traces": True}}) as router:
        assert (await router.ask()).answer.status == 200
    assert "pip install 'llmrouter[otel]'" in caplog.text


async def test_the_example_that_ships_tells_the_dear_ones(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = make_own(EXAMPLE, "Dear", "take", ("decision",))
    price = {"input": 0, "output": 0, "per_request_usd": 0.06}
    async with FakeProvider() as fake:
        cheap = {"id": "cheap", "price": price | {"per_request_usd": 0.01}}
        models = [cheap, {"id": "dear", "price": price}, {"id": "unpriced"}]
        async with gateway(tmp_path, provider("a", fake, models=models)) as router:
            for model in ("cheap", "dear", "unpriced"):
                await router.ask(model=model)
    for decision in router.decisions:
        own.take(decision.to_record())
    assert [line.partition(" cost ")[2] for line in caplog.messages if " cost $" in line] == ["$0.06 at a/dear."]
