"""Members of a request that steer how the answer is made (provider reference, sections 3.2 and 9.1)."""

import hashlib
from typing import Any

from llmrouter.providers.anthropic.notes import Notes
from llmrouter.providers.wire import Job

_HIGHEST_TEMPERATURE = 1
_LEAST_TOP_P_WHILE_THINKING = 0.95
_TIERS = {"auto": "auto", "default": "standard_only", "priority": "auto", "fast": "auto"}
_LONGEST_USER = 256


def sampling(job: Job, withheld: frozenset[str], notes: Notes, *, thinks: bool) -> dict[str, Any]:
    """`temperature`, `top_p` and `top_k`, as far as the model takes them.

    Of temperature and `top_p` only one may be said. A model that thinks takes no other temperature than 1, no `top_k`,
    and no `top_p` below 0.95.
    """
    names = [name for name in ("temperature", "top_p", "top_k") if name in job.call.members - withheld]
    told: dict[str, Any] = {name: job.call.body[name] for name in names}
    if "top_p" in withheld and told.pop("top_k", None) is not None:
        notes.add("without top_k")
    if thinks:
        _leave_out([name for name, value in told.items() if not _fits_thinking(name, value)], told, notes)
    if "temperature" in told:
        _leave_out([name for name in ("top_p",) if name in told], told, notes)
        if isinstance(told["temperature"], int | float) and told["temperature"] > _HIGHEST_TEMPERATURE:
            notes.add(f"temperature {told['temperature']} as {_HIGHEST_TEMPERATURE}")
            told["temperature"] = _HIGHEST_TEMPERATURE
    return told


def _fits_thinking(name: str, value: Any) -> bool:
    return name == "top_p" and isinstance(value, int | float) and value >= _LEAST_TOP_P_WHILE_THINKING


def _leave_out(names: list[str], told: dict[str, Any], notes: Notes) -> None:
    for name in names:
        del told[name]
        notes.add(f"without {name}")


def stop_sequences(job: Job, withheld: frozenset[str], notes: Notes) -> dict[str, Any]:
    """`stop_sequences`; those of white space alone are refused, and left out."""
    if "stop" not in job.call.members or "stop" in withheld:
        return {}
    asked = job.call.body["stop"]
    asked = asked if isinstance(asked, list) else [asked]
    told = [text for text in asked if not isinstance(text, str) or text.strip()]
    if len(told) < len(asked):
        notes.add("without a blank stop sequence")
    return {"stop_sequences": told} if told else {}


def service_tier(job: Job, withheld: frozenset[str], notes: Notes) -> dict[str, Any]:
    """`service_tier`; Anthropic knows no cheaper and slower one."""
    if "service_tier" not in job.call.members or "service_tier" in withheld:
        return {}
    asked = job.call.body["service_tier"]
    told = _TIERS.get(asked) if isinstance(asked, str) else None
    if told is None:
        notes.add("without service_tier")
        return {}
    return {"service_tier": told}


def user_id(job: Job, withheld: frozenset[str], notes: Notes) -> dict[str, Any]:
    """`metadata.user_id` from `safety_identifier` or the older `user`.

    Anthropic wants an opaque id of at most 256 characters: what looks like an address, or is longer, is hashed.
    """
    names = [name for name in ("safety_identifier", "user") if name in job.call.members and name not in withheld]
    values = {name: value for name in names if isinstance(value := job.call.body[name], str) and value}
    for name in names:
        if name not in values or (name == "user" and len(values) > 1 and len({*values.values()}) > 1):
            notes.add(f"without {name}")
    if not values:
        return {}
    name, value = next(iter(values.items()))
    if "@" in value or len(value) > _LONGEST_USER:
        value = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
        notes.add(f"{name} as a hash")
    return {"metadata": {"user_id": value}}
