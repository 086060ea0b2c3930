"""What the ledger says: sums, percentiles and errors over a span, and what is unknown stays so."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from llmrouter.calls import Caller
from llmrouter.storage.call_ledger import CallLedger
from llmrouter.storage.call_rows import CallRow, NewerLedger
from llmrouter.storage.usage_queries import NoLedger, Span, UsageRecords, total_of
from tests.storage.ledger_rows import NOON, row

HOUR_S = 3600.0
NOBODY = {"provider": None, "model": None, "input_tokens": None, "cached_tokens": None, "output_tokens": None}
FAILED = NOBODY | {"result": "failed", "error": "no_answer", "cost_usd": None, "known_cost_usd": 0.0, "saved_usd": None}


def ledger(file: Path, *rows: CallRow) -> UsageRecords:
    written = CallLedger(file, lambda caller: None, lambda: NOON, 1e9, pause_s=0.0)
    for one in rows:
        written.add(one, Caller())
    written.close()
    return UsageRecords.open(file)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[UsageRecords]:
    failures = '[["groq/llama","rate_limited"],["xai/grok","timed_out"]]'
    found = ledger(
        tmp_path / "llmrouter.db",
        row(id="1"),
        row(id="2", at=NOON + HOUR_S, cache="hit", cost_usd=0.0, known_cost_usd=0.0, attempts=0, first_content_s=None),
        row(
            id="3",
            at=NOON + 12 * HOUR_S,
            provider="xai",
            model="grok",
            cost_usd=None,
            known_cost_usd=0.25,
            is_unpriced=True,
            saved_usd=None,
            failures='[["groq/llama","rate_limited"]]',
            attempts=2,
        ),
        row(id="4", at=NOON + 13 * HOUR_S, endpoint="responses", failures=failures, attempts=2, **FAILED),
    )
    yield found
    found.close()


def test_the_total(records: UsageRecords) -> None:
    total = records.total(Span())
    assert (total.calls, total.answered, total.cache_hits, total.attempts) == (4, 3, 1, 5)
    assert (total.input_tokens, total.cached_tokens, total.output_tokens, total.reasoning_tokens) == (300, 60, 30, 16)
    assert total.known_cost_usd == total.cost_usd == pytest.approx(0.251)
    assert (total.priced, total.unknown_cost) == (2, 1)
    assert total.saved_usd == pytest.approx(0.004)
    assert total.unknown_saving == 1
    assert total.cache_hit_share == 0.25


def test_of_nothing_there_is_nothing(records: UsageRecords) -> None:
    total = records.total(Span(until=NOON))
    assert (total.calls, total.cost_usd, total.cache_hit_share) == (0, None, None)
    assert records.by("provider", Span(until=NOON)) == []
    assert records.latencies(Span(until=NOON)) == []


def test_by_provider(records: UsageRecords) -> None:
    groq, nobody, xai = records.by("provider", Span())
    assert (groq.key, groq.calls, groq.cost_usd, groq.saved_usd) == ("groq", 2, 0.001, 0.004)
    assert (nobody.key, nobody.calls, nobody.answered, nobody.cost_usd) == (None, 1, 0, None)
    assert (xai.key, xai.cost_usd, xai.known_cost_usd, xai.saved_usd) == ("xai", None, 0.25, None)


def test_lines_come_to_the_total(records: UsageRecords) -> None:
    total, added = records.total(Span()), total_of(records.by("provider", Span()))
    assert added.known_cost_usd == pytest.approx(total.known_cost_usd)
    assert added.known_saved_usd == pytest.approx(total.known_saved_usd)
    assert replace(added, known_cost_usd=0.0, known_saved_usd=0.0) == replace(
        total, known_cost_usd=0.0, known_saved_usd=0.0
    )


def test_by_the_others(records: UsageRecords) -> None:
    def keys(what: str) -> list[tuple[str | None, int]]:
        return [(one.key, one.calls) for one in records.by(what, Span())]  # type: ignore[arg-type]  # words of By

    assert keys("day") == [("2026-11-23", 2), ("2026-11-24", 2)]
    assert keys("model") == [("groq/llama", 2), (None, 1), ("xai/grok", 1)]
    assert keys("endpoint") == [("chat.completions", 3), ("responses", 1)]
    assert keys("requested") == [("gpt-4o", 4)]


def test_a_span_has_its_beginning_and_not_its_end(records: UsageRecords) -> None:
    assert records.total(Span(NOON, NOON + HOUR_S)).calls == 1
    assert records.total(Span(NOON + 1, NOON + 13 * HOUR_S)).calls == 2


def test_over_time(records: UsageRecords) -> None:
    buckets = records.over_time(Span(), 2 * HOUR_S)
    assert [(one.at - NOON, one.usage.calls) for one in buckets] == [(0, 2), (12 * HOUR_S, 2)]
    assert buckets[0].usage.cost_usd == 0.001
    assert (buckets[1].usage.cost_usd, buckets[1].usage.unknown_cost) == (None, 1)


def test_errors(records: UsageRecords) -> None:
    assert [(one.kind, one.count) for one in records.failed_calls(Span())] == [("no_answer", 1)]
    found = [(one.provider, one.kind, one.count) for one in records.failed_attempts(Span())]
    assert found == [("groq", "rate_limited", 2), ("xai", "timed_out", 1)]


def test_latencies(tmp_path: Path) -> None:
    slow = [row(first_content_s=second / 100, stream=True) for second in range(1, 101)]
    found = ledger(tmp_path / "llmrouter.db", *slow, row(first_content_s=9.0), row(provider="xai", first_content_s=7.5))
    streams, whole, xai = found.latencies(Span())
    assert (streams.provider, streams.is_stream, streams.answers) == ("groq", True, 100)
    assert (streams.p50_s, streams.p95_s) == (0.5, 0.95)
    assert (whole.provider, whole.is_stream, whole.p50_s, whole.p95_s) == ("groq", False, 9.0, 9.0)
    assert (xai.provider, xai.p50_s, xai.p95_s) == ("xai", 7.5, 7.5)
    found.close()


def test_all_answers_are_of_one_moment_and_in_any_thread(tmp_path: Path) -> None:
    file = tmp_path / "llmrouter.db"
    found = ledger(file, row())
    assert found.total(Span()).calls == 1
    ledger(file, row(id="later")).close()
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(found.total, Span()).result().calls == 1
    found.close()
    again = UsageRecords.open(file)
    assert again.total(Span()).calls == 2
    again.close()


def test_who_left_did_not_fail(tmp_path: Path) -> None:
    found = ledger(
        tmp_path / "llmrouter.db", row(result="client_gone", error="client_gone"), row(result="broken"), row()
    )
    total = found.total(Span())
    assert (total.calls, total.answered, total.given_up, total.failed) == (3, 1, 1, 1)
    found.close()


def test_a_free_call_costs_nothing_and_an_unknown_one_is_unknown(tmp_path: Path) -> None:
    free = row(provider="free", cost_usd=0.0, known_cost_usd=0.0)
    unknown = row(provider="dear", cost_usd=None, known_cost_usd=0.0, is_unpriced=True)
    found = ledger(tmp_path / "llmrouter.db", free, unknown)
    dear, gratis = found.by("provider", Span())
    assert (dear.key, dear.cost_usd, gratis.cost_usd) == ("dear", None, 0.0)
    found.close()


def test_no_ledger_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoLedger, match="no ledger"):
        UsageRecords.open(tmp_path / "llmrouter.db")
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE something (x)")
    with pytest.raises(NoLedger, match="no ledger"):
        UsageRecords.open(other)
    other.write_bytes(b"this is no database, however long one looks at it" * 50)
    with pytest.raises(NoLedger, match="cannot be read"):
        UsageRecords.open(other)


def test_a_newer_one_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "llmrouter.db"
    ledger(file, row()).close()
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("INSERT INTO calls_version VALUES (99)")
    with pytest.raises(NewerLedger):
        UsageRecords.open(file)
