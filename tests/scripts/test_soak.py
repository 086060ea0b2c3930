"""A short soak of a real router: whatever goes wrong, no client sees a failure, a false end or a wrong answer."""

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.soak import tell
from scripts.soaking.router_soak import Findings, RouterSoak
from scripts.soaking.soaked_router import Held


async def test_a_short_soak_breaks_no_bar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    findings = await RouterSoak(tmp_path, seed=3, clients=8).run(warm_up_s=2, measured_s=5)
    tell(findings)
    told = capsys.readouterr().out

    assert findings.broken_bars() == [], told
    assert findings.requests > 50
    assert findings.reloads > 1
    assert len(findings.faults) > 10, "something went wrong, in many ways"
    assert "failures seen    0\n" in told


def test_what_breaks_a_bar() -> None:
    held = Held(100 * 2**20, 5, 7)
    good = Findings(1, requests=1, warm=held, end=held, measured_s=60)
    assert good.broken_bars() == []
    bad = [
        replace(good, failures=["x"]),
        replace(good, false_ends=["x"]),
        replace(good, wrong=["x"]),
        replace(good, requests=0),
        replace(good, end=replace(held, sockets=6)),
        replace(good, end=replace(held, tasks=8)),
        replace(good, end=replace(held, resident_bytes=106 * 2**20)),
    ]
    assert [len(findings.broken_bars()) for findings in bad] == [1] * len(bad)
    shown = replace(good, end=replace(held, resident_bytes=106 * 2**20), measured_s=5)
    assert shown.broken_bars() == [], "pools fill at first"
