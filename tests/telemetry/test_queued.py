"""A sink that is slow, dead or broken: no call waits for it, and what it lost is counted."""

import threading

import pytest

from llmrouter.telemetry.decisions import Decision
from llmrouter.telemetry.queued import QueuedSink


def decision(number: int) -> Decision:
    return Decision(f"req-{number}", 0.0, "chat.completions", "gpt-4o", stream=False)


def test_a_sink_that_is_stuck_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    """What fits the queue waits, the rest is dropped, counted and told once; in the end it gets what waited."""
    free, begun, taken = threading.Event(), threading.Event(), list[str]()

    def take(one: Decision) -> None:
        begun.set()
        free.wait()
        taken.append(one.id)

    sink = QueuedSink("slow one", take, most=2)
    sink(decision(0))
    begun.wait()
    for number in range(1, 6):
        sink(decision(number))
    assert sink.dropped == 3
    free.set()
    sink.close()

    assert taken[:2] == ["req-0", "req-1"]
    assert caplog.text.count("slow one is too slow") == 1


def test_a_sink_that_raises_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it raises, an exit, too; its end runs."""
    ended = threading.Event()

    def take(one: Decision) -> None:
        raise SystemExit(one.id)

    sink = QueuedSink("broken one", take, ended.set)
    for number in range(3):
        sink(decision(number))
    sink.close()

    assert (sink.failures, sink.dropped) == (3, 0)
    assert ended.is_set()
    assert caplog.text.count("broken one failed") == 1
