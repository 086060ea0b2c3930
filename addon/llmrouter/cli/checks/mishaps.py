"""What becomes of calls that the router itself cannot answer, and which ones there were lately."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from llmrouter.cli.checks.finding import Finding, ok, warning
from llmrouter.settings.model import Settings

_ABOUT = "on_internal_error"
_REMEDIES = {
    "overloaded": "Raise `overload` in the configuration, or find out who asks so much: llmrouter usage",
    "not_configured": "Set a provider's key where the router starts, and restart it.",
    "internal_error": "The router's log says what failed; please report it.",
}


def check_mishaps(settings: Settings, status: Mapping[str, Any]) -> Iterator[Finding]:
    """What is set, and what the router that runs tells of itself since its start; `status` is empty without one."""
    if settings.on_internal_error == "passthrough":
        text = (
            "Calls that the router itself cannot answer go to OpenAI with the app's own key, which its owner pays for."
        )
    else:
        text = "Calls that the router itself cannot answer are refused."
    yield ok(_ABOUT, f"It is `{settings.on_internal_error}`: {text}")
    told = status.get("mishaps")
    for kind, mishap in told.items() if isinstance(told, dict) else ():
        if isinstance(mishap, dict):
            yield warning(_ABOUT, _what_happened(str(kind), mishap), _REMEDIES.get(str(kind)))


def _what_happened(kind: str, mishap: Mapping[str, Any]) -> str:
    parts = [
        f"{mishap[name]} {words}"
        for name, words in (("refused", "refused"), ("passed_through", "passed through"))
        if mishap.get(name)
    ]
    at = mishap.get("last_at")
    when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if isinstance(at, int | float) else ""
    return f"{kind}: {', '.join(parts)} since the router's start, the last at {when}: {mishap.get('last', '')}"
