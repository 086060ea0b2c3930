"""What a run came to."""

import json

from llmrouter.cli.totals import Totals, sentence, totals_of_decisions, totals_of_status


def decision(**members: object) -> str:
    return json.dumps({"event": "decision", "answered_by": "groq/m", "cost_usd": 0.5, **members}, separators=(",", ":"))


def test_decisions_are_summed() -> None:
    """Other lines, and one that was torn by a kill, do not count; what is not known is told."""
    lines = ["listening", decision(saved_usd=2.0), decision(cost_usd=None, answered_by=None), decision()[:-9]]
    totals = totals_of_decisions(lines)

    assert totals == Totals(2, 0.5, 2.0, 1, {"groq": 1})
    assert sentence(totals) == (
        "llmrouter: 2 requests, $0.500000 spent and what is not known of 1, $2.00 saved; answered by groq 1."
    )


def test_what_others_used_before_is_not_this_run() -> None:
    early = {"requests": 5, "cost_usd": 1.0, "saved_usd": 1.5, "by_provider": {"a": {"answered": 5}}}
    before = totals_of_status({"totals": early})
    told = {
        "requests": 7,
        "cost_usd": 1.25,
        "saved_usd": 2.0,
        "unpriced": 1,
        "by_provider": {"a": {"answered": 5}, "b": {"answered": 2}},
    }
    after = totals_of_status({"totals": told})

    assert before is not None
    assert after is not None
    assert after.since(before) == Totals(2, 0.25, 0.5, 1, {"b": 2})


def test_a_router_that_tells_nothing() -> None:
    assert totals_of_status({}) is None
    assert totals_of_status({"totals": {"requests": "many"}}) is None
    assert "does not tell" in sentence(None)
    assert sentence(Totals()) == "llmrouter: no request came through the router."
    assert "cost not known, saving not known" in sentence(Totals(1, 0.0, None, 1))
