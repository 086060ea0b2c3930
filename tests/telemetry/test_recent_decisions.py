"""The last decisions, latest first, and no more than fit."""

from llmrouter.telemetry.decisions import Decision
from llmrouter.telemetry.recent_decisions import RecentDecisions


def test_the_last_two_hundred_are_kept_latest_first() -> None:
    recent = RecentDecisions()
    for number in range(250):
        recent(Decision(f"req-{number}", 0.0, "chat.completions", "gpt-4o", False))
    ids = [record["id"] for record in recent.records()]
    assert (len(ids), ids[0], ids[-1]) == (200, "req-249", "req-50")
