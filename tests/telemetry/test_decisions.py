"""Decision lines: complete, whole, and never in the way of a call."""

import asyncio
import json
from pathlib import Path

import pytest

from llmrouter.replies import Usage
from llmrouter.telemetry.decision_log import DecisionLog
from llmrouter.telemetry.decisions import AttemptRecord, Decision


def decision(id: str = "req-1") -> Decision:
    made = Decision(id, 12.3456, "chat.completions", "gpt-4o", False)
    made.attempts.append(AttemptRecord("a/b", "server_error", 0.12345, status=500, message="oops"))
    made.attempts.append(AttemptRecord("c/d", "success", 0.2, first_content_s=0.1))
    made.usage, made.cost_usd, made.answered_by = Usage(1, 2, 3, 4), 0.5, "c/d"
    return made


def test_the_record() -> None:
    """Every fact of the call, as plain JSON."""
    record = decision().to_record()
    assert record["attempts"] == [
        {"target": "a/b", "outcome": "server_error", "seconds": 0.1235, "status": 500, "message": "oops"},
        {"target": "c/d", "outcome": "success", "seconds": 0.2, "first_content_s": 0.1},
    ]
    assert record["usage"] == {
        "input_tokens": 1,
        "output_tokens": 2,
        "cached_tokens": 3,
        "reasoning_tokens": 4,
        "cache_write_tokens": 0,
    }
    assert json.loads(json.dumps(record)) == record


def test_standard_output_gets_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    log = DecisionLog(None)
    log(decision("one"))
    log(decision("two"))
    log.close()

    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == ["one", "two"]


async def test_lines_that_come_together_are_written_together(capsys: pytest.CaptureFixture[str]) -> None:
    log = DecisionLog(None)
    log(decision("one"))
    log(decision("two"))
    assert capsys.readouterr().out == ""
    told = ""
    async with asyncio.timeout(5):
        while not told:
            await asyncio.sleep(0.01)
            told = capsys.readouterr().out
    log(decision("three"))
    log.close()
    told += capsys.readouterr().out
    assert [json.loads(line)["id"] for line in told.splitlines()] == ["one", "two", "three"]


def test_a_file_is_appended_to_and_flushed_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "new" / "decisions.jsonl"
    for _ in range(2):
        log = DecisionLog(str(file))
        for number in range(100):
            log(decision(str(number)))
        log.close()

    assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == [str(n) for n in range(100)] * 2


def test_a_sink_that_fails_costs_no_call(caplog: pytest.LogCaptureFixture) -> None:
    """A full disk is a warning."""
    log = DecisionLog("/dev/full")
    log(decision())
    log.close()

    assert "a decision could not be logged" in caplog.text
