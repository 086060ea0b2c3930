"""Embeddings, as OpenAI and everyone who copied it give them (provider reference, section 12)."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from math import isfinite
from struct import error as StructError
from struct import pack, unpack
from types import MappingProxyType
from typing import Any, Never

import orjson

from llmrouter.brands.brand import Offer
from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.bodies import bad, parsed
from llmrouter.providers.failures import classify_inside
from llmrouter.providers.headers import headers_for, url_for
from llmrouter.providers.structured import Emulation
from llmrouter.providers.wire import Job, UpstreamRequest
from llmrouter.replies import Reply, Usage

_PATH = "/embeddings"
# These are known to give base64, a quarter of the bytes of numbers; all others are asked for numbers.
_GIVE_BASE64 = frozenset({"openai", "azure"})
# What only OpenAI acts on.
_OPENAI_ONLY = frozenset({"user"})


class EmbeddingsTranslation:
    """A request for vectors at a target that speaks OpenAI's format."""

    __slots__ = ("_inputs", "_job", "_wants_base64", "changes", "emulation", "members", "request")

    def __init__(self, job: Job) -> None:
        body = job.call.body
        given = body["input"]
        is_one = isinstance(given, str) or not given or isinstance(given[0], int)
        self._job = job
        self._inputs = 1 if is_one else len(given)
        self._wants_base64 = body.get("encoding_format") == "base64"
        form = "base64" if self._wants_base64 and job.target.brand.name in _GIVE_BASE64 else "float"
        without: frozenset[str] = frozenset() if job.target.brand.name in _GIVE_BASE64 else _OPENAI_ONLY & body.keys()
        refused = job.unsupported & body.keys() - {"encoding_format", "user"}
        self.changes = tuple(f"without {name}" for name in sorted(without))
        self.emulation: Emulation | None = None
        self.members: Mapping[str, str] = MappingProxyType({name: name for name in body})
        if refused:
            # Without it the vectors would be others.
            raise AttemptFailed(Outcome.NOT_TRANSLATABLE, f"it does not take {', '.join(sorted(refused))}")
        replaced: dict[str, Any] = {"model": job.target.model}
        if "encoding_format" in job.unsupported:
            without |= {"encoding_format"}
        else:
            replaced["encoding_format"] = form
        self.request = UpstreamRequest(
            method="POST",
            url=url_for(job.target.base_url, _PATH),
            headers=headers_for(job),
            body=body.encode(replaced, without),
        )

    def read_reply(self, data: bytes) -> Reply:
        """All vectors in the order of the inputs; raises `AttemptFailed` where one is missing or is none."""
        data = data.strip()
        fields = parsed(data)
        if not isinstance(fields, dict) or fields.get("error"):
            raise classify_inside(fields)
        rows = fields.get("data")
        if not isinstance(rows, list) or len(rows) != self._inputs:
            raise bad(f"{self._inputs} vectors were asked for, and {len(rows) if isinstance(rows, list) else 0} came")
        vectors = [self._vector(row, number) for number, row in enumerate(_in_order(rows))]
        usage = _usage(fields.get("usage"))
        told = {"prompt_tokens": 0, "total_tokens": 0} if usage is None else _told(usage)
        whole = {"object": "list", "data": vectors, "model": self._job.call.model, "usage": told}
        return Reply(orjson.dumps(whole), usage)

    def decoder(self) -> Never:
        """There is none: embeddings are never streamed."""
        raise bad("embeddings are never streamed")

    def _vector(self, row: Any, number: int) -> dict[str, Any]:
        value = row.get("embedding") if isinstance(row, dict) else None
        if isinstance(value, str):
            value = value if self._wants_base64 else _numbers(value)
        elif not isinstance(value, list) or not value or not all(map(_is_number, value)):
            raise bad("a vector is none")
        elif self._wants_base64:
            value = b64encode(pack(f"<{len(value)}f", *value)).decode()
        return {"object": "embedding", "index": number, "embedding": value}


def translate(job: Job) -> EmbeddingsTranslation:
    """The call as a request for vectors; raises `AttemptFailed` with NOT_TRANSLATABLE."""
    if Offer.EMBEDDINGS not in job.target.brand.endpoints:
        raise AttemptFailed(Outcome.NOT_TRANSLATABLE, f"{job.target.brand.name} has no embeddings")
    return EmbeddingsTranslation(job)


def _in_order(rows: list[Any]) -> list[Any]:
    """By their indices where all have one; else as they came."""
    placed = {row["index"]: row for row in rows if isinstance(row, dict) and isinstance(row.get("index"), int)}
    if placed.keys() != set(range(len(rows))):
        return rows
    return [placed[number] for number in range(len(rows))]


def _numbers(text: str) -> list[float]:
    try:
        data = b64decode(text, validate=True)
        return list(unpack(f"<{len(data) // 4}f", data))
    except (ValueError, StructError) as error:
        raise bad("a vector is no base64 of numbers") from error


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _usage(usage: Any) -> Usage | None:
    tokens = usage.get("prompt_tokens", usage.get("total_tokens")) if isinstance(usage, dict) else None
    if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 0:
        return None
    return Usage(tokens, 0)


def _told(usage: Usage) -> dict[str, int]:
    return {"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens}
