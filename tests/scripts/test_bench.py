"""The benchmark's own words: what counts as slower, and what its tables and its chart say."""

import csv
import io
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.bench import regression, report
from scripts.bench.latency import Added, Latency, Times
from scripts.bench.measuring import Result
from scripts.bench.peers import PeerResult
from scripts.bench.rows import ROWS


def result(row: int, ratio: float) -> Result:
    return Result(ROWS[row], ours_ms=ratio, alone_ms=1.0, ratio=ratio, p50_ms=2.0, p99_ms=3.0, resident_mib=100.0)


def test_only_more_than_fifteen_percent_is_slower() -> None:
    known = {ROWS[0].name: 0.60, ROWS[1].name: 0.60}
    assert regression.slower([result(0, 0.689), result(1, 0.60), result(2, 9.0)], known) == []
    assert regression.slower([result(0, 0.70)], known) == ["routed: 0.70 of mitmproxy alone, 0.60 is on record"]


def test_what_is_recorded_is_compared_with(tmp_path: Path) -> None:
    file = tmp_path / "ratios.json"
    regression.record([result(0, 0.7), result(1, 0.8)], file)
    regression.record([result(1, 0.9004)], file)
    assert regression.recorded(file) == {ROWS[0].name: 0.7, ROWS[1].name: 0.9}


def test_every_row_of_the_check_is_on_record_and_keeps_its_bar() -> None:
    known = regression.recorded()
    short = [row for row in ROWS if "short" in row.tags]
    assert known.keys() == {row.name for row in short}
    assert all(row.bar is not None and known[row.name] <= row.bar for row in short)


def test_the_tables_say_what_was_measured() -> None:
    half = Added(1000.0, Times(1.0, 2.0), Times(1.75, 4.5), Times(1.9, 6.0))
    times = Latency(half, Added(50.0, Times(0.5, 0.6), Times(0.9, 1.3), Times(1.0, 1.4)))
    told = report.markdown([result(0, 0.7), result(0, 0.9)], [PeerResult("litellm", 0.8, 16.0, 0.05, 0.08)], times)
    assert "| routed | 0.700 ms | 1.000 ms | **0.70** | 0.80 |" in told
    assert "| routed | 0.900 ms | 1.000 ms | 0.90 (too much) | 0.80 |" in told
    assert "| beside litellm | 0.800 ms | 16.000 ms | **0.050** | 0.08 |" in told
    p99 = next(line for line in told.splitlines() if line.startswith("| p99 at 1000 calls a second, half of"))
    assert p99.endswith("| 2.00 ms | 4.50 ms | **2.50 ms** | 3.0 ms | 4.00 ms |")
    assert "| p50 at 50 calls a second | 0.50 ms | 0.90 ms | **0.40 ms** |  | 0.50 ms |" in told
    (row,) = csv.DictReader(io.StringIO(report.table([result(0, 0.7)])))
    assert (row["row"], row["ratio"], row["bar"]) == ("routed", "0.7000", "0.8")


@pytest.mark.parametrize("ratio", [0.01, 0.7, 5.0])
def test_the_chart_is_an_svg_that_shows_each_row(ratio: float) -> None:
    odd = replace(result(0, ratio), row=replace(ROWS[0], name="a <b> & c"))
    chart = ElementTree.fromstring(report.chart([odd, result(2, 0.5)]))
    texts = [element.text for element in chart.iter() if element.tag.endswith("text")]
    assert "a <b> & c" in texts
    assert f"{ratio:.2f}" in texts
    bars = [element for element in chart.iter() if element.get("class") == "bar"]
    assert len(bars) == 2
    assert all(float(bar.get("width") or 0) <= 420 for bar in bars)
