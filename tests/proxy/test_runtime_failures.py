"""What crashes in the background, or cannot be closed at the end, touches no request."""

import asyncio
from pathlib import Path

import pytest

from llmrouter.discovery.refresh import PriceRefresh
from llmrouter.proxy.runtime import Runtime
from tests.fakes.provider import FakeProvider
from tests.gateways import gateway, provider


async def test_work_in_the_background_that_crashes_touches_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it is that crashes: each is told once, and begins again after a pause."""
    begun = asyncio.Event()

    async def crash(*_: object, **__: object) -> None:
        begun.set()
        raise RuntimeError("a defect")

    for name in ("refresh_index", "_keep_health", "_keep_what_is_reserved", "_probe"):
        monkeypatch.setattr(Runtime, name, crash)
    monkeypatch.setattr(PriceRefresh, "run", crash)
    async with FakeProvider() as fake, gateway(tmp_path, provider("fake", fake)) as router:
        monkeypatch.setattr(type(router.runtime.surfaces), "keep_tidy", crash)
        router.runtime.look_around()
        await begun.wait()
        for stream in (False, True):
            assert (await router.ask(stream=stream)).answer.status == 200

    told = [record.getMessage() for record in caplog.records if "begins again" in record.getMessage()]
    assert len(told) == 6
    assert "reading prices failed, and begins again in 1 s" in told


async def test_an_end_with_a_full_disk_writes_all_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One file that cannot be written does not keep decisions from their sinks, nor counts from theirs."""
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "decisions.jsonl"
    logging = {"decisions": "json", "file": str(log)}
    async with FakeProvider() as fake, gateway(tmp_path, provider("fake", fake), logging=logging) as router:
        saved: list[object] = []
        monkeypatch.setattr(router.runtime._ledger, "save", saved.append)

        def fail(*_: object) -> None:
            raise OSError("no space left")

        monkeypatch.setattr(router.runtime._health_records, "save", fail)
        await router.ask()
    assert "Closing what is known of targets failed" in caplog.text
    assert '"result":"answered"' in log.read_text()
    assert len(saved) >= 2
