"""The wire formats by name, and the one way to translate a call for a target."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from llmrouter.brands.dialect import Dialect
from llmrouter.calls import Endpoint
from llmrouter.chat_members import NATIVE_TEXT
from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers import anthropic, completions, embeddings, gemini, openai_compatible, openai_responses
from llmrouter.providers.legacy_functions import LegacyDecoder, is_legacy, legacy_reply, modernised
from llmrouter.providers.openai_responses import forwarded
from llmrouter.providers.told_usage import usage_told
from llmrouter.providers.validated import ValidatedDecoder, validated_reply
from llmrouter.providers.wire import ChunkDecoder, Job, Translation, WireFormat
from llmrouter.replies import Reply

WIRE_FORMATS: Mapping[str, WireFormat] = MappingProxyType(
    {
        "anthropic": anthropic.translate,
        "gemini": gemini.translate,
        "openai_compatible": openai_compatible.translate,
        "openai_responses": openai_responses.translate,
    }
)


_LIMITS = frozenset({"max_completion_tokens", "max_tokens"})
_KNOWS_BOTH_LIMITS = frozenset({"anthropic", "openai_compatible"})
"""Formats that have something else to say where a limit was refused; in the others it must not be lost."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One call at one target: what is asked there, and the answer as the client has to get it.

    `is_legacy` tells that the client speaks of functions where the target speaks of tools.
    """

    translation: Translation
    dialect: Dialect
    is_legacy: bool

    def read_reply(self, data: bytes) -> Reply:
        """The complete answer in this body, validated where it was emulated; raises `AttemptFailed`."""
        emulation = self.translation.emulation
        try:
            reply = self.translation.read_reply(data)
        except AttemptFailed as failed:
            failed.usage = failed.usage or usage_told(data, self.dialect)
            raise
        if emulation is not None:
            reply = validated_reply(reply, emulation)
        return legacy_reply(reply) if self.is_legacy else reply

    def decoder(self) -> ChunkDecoder:
        """A decoder for one stream, which holds an emulated answer back until it is valid."""
        decoder, emulation = self.translation.decoder(), self.translation.emulation
        if emulation is not None:
            decoder = ValidatedDecoder(decoder, emulation)
        return LegacyDecoder(decoder) if self.is_legacy else decoder


def translate(job: Job) -> Dialogue:
    """The job's call in its target's words; raises `AttemptFailed` with NOT_TRANSLATABLE where there are none."""
    if (own := _in_own_words(job)) is not None:
        return Dialogue(own, job.dialect, is_legacy=False)
    if job.call.endpoint is Endpoint.COMPLETIONS:
        job = replace(job, call=completions.as_chat(job.call))
    if job.dialect.wire_format not in _KNOWS_BOTH_LIMITS:
        job = replace(job, unsupported=job.unsupported - _LIMITS)
    try:
        if not job.dialect.takes_functions and is_legacy(job.call):
            job = replace(job, call=modernised(job.call))
            return Dialogue(WIRE_FORMATS[job.dialect.wire_format](job), job.dialect, is_legacy=True)
        return Dialogue(WIRE_FORMATS[job.dialect.wire_format](job), job.dialect, is_legacy=False)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # Nothing was sent, so that no provider is to blame: the client's JSON has a shape that nobody thought of.
        message = f"the request has a member of a kind that cannot be translated ({type(error).__name__})"
        raise AttemptFailed(Outcome.NOT_TRANSLATABLE, message) from error


def _in_own_words(job: Job) -> Translation | None:
    """The call as its target has it itself; None where it must be asked by chat. Raises `AttemptFailed`."""
    asked = job.call.responses
    if job.call.endpoint is Endpoint.EMBEDDINGS:
        return embeddings.translate(job)
    if job.call.endpoint is Endpoint.COMPLETIONS:
        is_known = job.target.has_text_completions and NATIVE_TEXT not in job.unsupported
        return completions.translate(job) if is_known else None
    if asked is None:
        return None
    if forwarded.speaks(job):
        return forwarded.translate(job, asked)
    if asked.hosted:
        message = f"it does not run: {', '.join(sorted(asked.hosted))}"
        raise AttemptFailed(Outcome.NOT_TRANSLATABLE, message)
    return None
