"""The ledger of calls as the settings want it: what it takes of each decision, and how it tells callers apart."""

import logging
from collections.abc import Mapping
from pathlib import Path

import orjson

from llmrouter.cache_in_force import lasting_secret
from llmrouter.caching.keys import hash_of
from llmrouter.calls import Call, Caller
from llmrouter.clock import Clock
from llmrouter.errors import Outcome
from llmrouter.settings.storage import StorageSettings
from llmrouter.sqlite_files import path_of
from llmrouter.storage.call_ledger import MOST_PROMPT_BYTES, CallLedger
from llmrouter.storage.call_rows import CallRow
from llmrouter.telemetry.decisions import AttemptRecord, Decision

logger = logging.getLogger(__name__)

_DAY_S = 86_400.0
# Enough to tell all callers of an installation apart, and to be read.
_KEY_CHARACTERS = 16
# Clients choose the names, and no model is called so: as in the catalog.
_LONGEST_NAME = 256
_NO_FAILURE = frozenset({Outcome.SUCCESS, Outcome.CLIENT_GONE, Outcome.HEDGED_OFF})
_ASKED = ("prompt", "messages", "input")
_NOBODY = Caller()


class CallKeeper:
    """An observer that writes each decision down in a ledger; `prompts` tells whether what was asked is kept, too."""

    def __init__(self, ledger: CallLedger, *, prompts: bool) -> None:
        self._ledger = ledger
        self._prompts = prompts

    def __call__(self, decision: Decision) -> None:
        """Takes a decision."""
        call = decision.call
        prompt = _prompt_of(call) if self._prompts and call is not None else None
        self._ledger.add(row_of(decision), _NOBODY if call is None else call.caller, prompt)

    def close(self) -> None:
        """Writes what still waits."""
        self._ledger.close()


def open_ledger(settings: StorageSettings, environ: Mapping[str, str], folder: Path, clock: Clock) -> CallKeeper | None:
    """The ledger of the settings, None where it is off; nothing is read or made before there is something to write."""
    if not settings.ledger.enabled:
        return None
    file = path_of(settings.file_url, folder)
    if settings.ledger.prompts:
        logger.info("What is asked is written to the ledger in %s, for %d days.", file, settings.ledger.retain_days)
    keys = _CallerKeys(environ, folder)
    ledger = CallLedger(file, keys.key_of, clock.wall, settings.ledger.retain_days * _DAY_S)
    return CallKeeper(ledger, prompts=settings.ledger.prompts)


class _CallerKeys:
    """Short keyed hashes of callers, which are the same after a restart."""

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self._environ = environ
        self._folder = folder
        self._secret: bytes | None = None

    def key_of(self, caller: Caller) -> str | None:
        """None for those who send no credential."""
        if caller.authorization is None and not caller.openai_headers:
            return None
        if self._secret is None:
            self._secret = lasting_secret(self._environ, self._folder)
        return hash_of(caller, self._secret).hex()[:_KEY_CHARACTERS]


def row_of(decision: Decision) -> CallRow:
    """What is written down of a decision; the caller is added later."""
    attempts, usage, answered_by = decision.attempts, decision.usage, decision.answered_by
    provider, _, model = (answered_by or "").partition("/")
    cost_usd = decision.cost_usd
    return CallRow(
        decision.at,
        decision.id,
        str(decision.endpoint),
        decision.model[:_LONGEST_NAME],
        provider or None,
        model or None,
        None,
        decision.stream,
        str(decision.cache),
        decision.result,
        decision.status,
        None if decision.result == "answered" else decision.error_kind or decision.result,
        sum(one.outcome != Outcome.NOT_TRANSLATABLE for one in attempts),
        _failures(attempts),
        None if usage is None else usage.input_tokens,
        None if usage is None else usage.cached_tokens,
        None if usage is None else usage.cache_write_tokens,
        None if usage is None else usage.output_tokens,
        None if usage is None else usage.reasoning_tokens,
        cost_usd,
        decision.known_cost_usd,
        cost_usd is None and (answered_by is not None or any(one.is_unpriced for one in attempts)),
        decision.saved_usd,
        attempts[-1].first_content_s if attempts and attempts[-1].target == answered_by else None,
        decision.seconds,
    )


def _failures(attempts: list[AttemptRecord]) -> str | None:
    failed = [(one.target, one.outcome) for one in attempts if one.outcome not in _NO_FAILURE]
    return orjson.dumps(failed).decode() if failed else None


def _prompt_of(call: Call) -> bytes | None:
    name = next((name for name in _ASKED if name in call.body), None)
    return None if name is None else bytes(call.body.text_of(name)[:MOST_PROMPT_BYTES])
