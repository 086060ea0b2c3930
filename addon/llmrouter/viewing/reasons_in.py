"""Why a target is in a plan, and at its place, in words."""

from llmrouter.routing.plan import Plan
from llmrouter.routing.policies import Candidate

_RANKS = {
    "weighted": "by the weighted score of cost, latency, quality and failures",
    "round_robin": "by whose turn it is",
    "schedule": "by what is preferred at this hour",
}


def why_in(plan: Plan, number: int) -> str:
    """Why the candidate at this place (0 is the first) may be tried, and why there."""
    candidate = plan.candidates[number]
    before = plan.candidates[number - 1] if number else None
    if before is None:
        place = f"first of tier {candidate.target.priority}"
    elif before.target.priority != candidate.target.priority:
        place = f"first of tier {candidate.target.priority}, once all of tier {before.target.priority} have failed"
        before = None
    else:
        place = f"after {before.target.key}"
    return f"{place}, {_rank(plan, candidate, before)}; {_able(candidate)}"


def _able(candidate: Candidate) -> str:
    """What the gates know of it."""
    target = candidate.target
    able = (
        "it can do all that is asked for"
        if target.capabilities is not None
        else "what it can do is not known, so it is tried"
    )
    window = target.context_window
    fits = "its window is not known" if window is None else f"the prompt fits its window of {window} tokens"
    waits = f", and its quota is free in {candidate.quota_wait_s:.1f} s" if candidate.quota_wait_s else ""
    return f"{able}, {fits}{waits}"


def _rank(plan: Plan, candidate: Candidate, before: Candidate | None) -> str:
    """By what its policy put it there; a policy that failed is least_cost."""
    policy = "least_cost" if plan.policy_failure is not None else plan.policy
    if policy == "least_cost":
        return f"by expected cost: {_cost(candidate)}{_tie(candidate, before)}"
    if policy == "least_latency":
        return f"by latency: {_latency(candidate)}"
    if policy == "quality":
        quality = candidate.target.quality
        told = "not known" if quality is None else f"{quality:g}"
        return f"by quality, which is {told}, then by expected cost: {_cost(candidate)}"
    return _RANKS.get(policy, f"by the owner's own policy, {policy}")


def _cost(candidate: Candidate) -> str:
    usd = candidate.expected_usd
    return "its price is not known, so it is last" if usd is None else f"${usd:.6f}"


def _latency(candidate: Candidate) -> str:
    seconds = candidate.first_content_s
    return "it was never measured" if seconds is None else f"{seconds:.2f} s to the first content"


def _tie(candidate: Candidate, before: Candidate | None) -> str:
    """What decided between equals: the shorter wait, the faster, the one declared first."""
    if before is None or before.expected_usd != candidate.expected_usd:
        return ""
    if before.quota_wait_s != candidate.quota_wait_s:
        return ", the same as there, but it must be waited for longer"
    if before.first_content_s != candidate.first_content_s:
        return ", the same as there, but it is slower or was never measured"
    return ", the same as there, but it is declared later"
