"""A complete answer of Gemini as a chat completion."""

from typing import Any

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.bodies import bad
from llmrouter.providers.chunk_writer import choice_json, completion_json, tool_call_json
from llmrouter.providers.failures import classify_inside
from llmrouter.providers.gemini.answer import Candidate, Piece, Text, Thought, indexed, objects_in, refusal_of, usage_of
from llmrouter.providers.wire import Job
from llmrouter.replies import Reply, Usage


def read_reply(data: bytes, job: Job) -> Reply:
    """The complete answer in this body, which may be a list of pieces, as a stream without `alt=sse` is.

    Raises `AttemptFailed`: BAD_REPLY where the body is empty, no JSON, or an answer without an end, else what an error
    inside it tells. A blocked prompt is an answer: it is refused, and no other target is asked.
    """
    candidates: dict[int, Candidate] = {}
    pieces: dict[int, list[Piece]] = {}
    usage: Usage | None = None
    refusal: str | None = None
    objects = objects_in(data.removeprefix(b"\xef\xbb\xbf").strip())
    for fields in objects:
        usage = usage_of(fields) or usage
        refusal = refusal_of(fields) or refusal
        for index, candidate in indexed(fields.get("candidates")):
            known = candidates.setdefault(index, Candidate(index, job))
            pieces.setdefault(index, []).extend(known.read(candidate))
    if not candidates and refusal is not None:
        choice = choice_json({"refusal": refusal}, "content_filter")
        return completion_json(job.call, job.created, [choice], usage)
    if not candidates:
        raise _without_candidates(objects)
    choices = [_choice(index, candidates[index], pieces[index]) for index in sorted(candidates)]
    return completion_json(job.call, job.created, choices, usage)


def _choice(index: int, candidate: Candidate, pieces: list[Piece]) -> dict[str, Any]:
    if candidate.finish_reason is None:
        raise bad("the provider's answer has no end")
    texts = [piece for piece in pieces if isinstance(piece, Text)]
    thoughts = [piece.text for piece in pieces if isinstance(piece, Thought)]
    calls = [
        tool_call_json(piece.id, piece.name, piece.arguments)
        for piece in pieces
        if not isinstance(piece, Text | Thought)
    ]
    text = "".join(piece.text for piece in texts)
    message: dict[str, Any] = {"content": text if text or not calls else None}
    if thoughts:
        message["reasoning_content"] = "".join(thoughts)
    if calls:
        message["tool_calls"] = calls
    return choice_json(message, candidate.finish_reason, index, _joined_logprobs(texts))


def _joined_logprobs(texts: list[Text]) -> dict[str, Any] | None:
    found = [token for text in texts if text.logprobs is not None for token in text.logprobs["content"]]
    return {"content": found, "refusal": None} if found else None


def _without_candidates(objects: list[dict[str, Any]]) -> AttemptFailed:
    failed = classify_inside(objects[0] if objects else None)
    if failed.outcome is Outcome.BAD_REPLY:
        failed.message = f"the provider sent an answer without candidates: {failed.message}"
    return failed
