"""What a reply truly said, read from the bytes that went out by a reader of its own, which knows nothing of the router.

It is lenient where the bytes are: the router may hear less, and never more.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_END_OF_HEAD = re.compile(rb"\n\r?\n")


@dataclass(frozen=True, slots=True)
class Truth:
    """The text that was told, whether it came to a real end, and the texts that may stand at that end.

    `usage` is what was told of it by then.
    """

    text: str = ""
    ends: tuple[str, ...] = ()
    usage: dict[str, int] | None = None

    @property
    def has_ended(self) -> bool:
        return bool(self.ends)

    @property
    def output_tokens(self) -> int | None:
        """What was told of the answer's tokens; half a usage tells nothing."""
        usage = self.usage or {}
        return usage.get("completion_tokens") if "prompt_tokens" in usage else None


@dataclass(slots=True)
class _Reading:
    text: str = ""
    ends: list[str] = field(default_factory=list)
    usage: dict[str, int] | None = None
    reasons: dict[int, Any] = field(default_factory=dict)

    def take(self, chunk: Any) -> bool:
        """Reads one chunk; False where nothing after it counts."""
        if not isinstance(chunk, dict) or chunk.get("error"):
            return False
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
        choices = chunk.get("choices") or []
        for choice in choices if isinstance(choices, list) else []:
            delta = choice.get("delta") if isinstance(choice, dict) else None
            if not isinstance(choice, dict):
                return False
            content = delta.get("content") if isinstance(delta, dict) else None
            self.text += content if isinstance(content, str) else ""
            index = choice.get("index", 0)
            self.reasons[index] = choice.get("finish_reason") or self.reasons.get(index)
            if self.reasons and all(self.reasons.values()):
                self.ends.append(self.text)
        return True


def truths_of(wire: bytes, *, is_stream: bool) -> list[Truth]:
    """What a reply can be taken to say, by its framing and without it."""
    body = _END_OF_HEAD.split(wire, maxsplit=1)[-1]
    bodies = {body, _without_chunks(body)}
    return [(_stream if is_stream else _whole)(one) for one in bodies]


def _whole(body: bytes) -> Truth:
    for text in (body, body.split(b"HTTP/1.1 ")[0]):
        try:
            fields = json.loads(text)
            said = fields["choices"][0]["message"].get("content") or ""
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            continue
        return Truth(said, (said,), fields.get("usage"))
    return Truth()


def _stream(body: bytes) -> Truth:
    reading = _Reading()
    for data in events_of(body):
        if data.startswith(b"[DONE]"):
            break
        try:
            chunk = json.loads(data)
        except ValueError:
            break
        if not reading.take(chunk):
            break
    return Truth(reading.text, tuple(reading.ends), reading.usage)


def events_of(body: bytes) -> Iterator[bytes]:
    """The data of each event (HTML standard, "Server-sent events", section 9.2.6); the last may lack its blank line."""
    lines: list[bytes] = []
    for line in body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"data" and line:
            lines.append(value.removeprefix(b" "))
        elif not line and lines:
            if data := b"\n".join(lines).strip():
                yield data
            lines = []
    if data := b"\n".join(lines).strip():
        yield data


def _without_chunks(body: bytes) -> bytes:
    whole, rest = b"", body
    while rest:
        size_line, _, rest = rest.partition(b"\r\n")
        try:
            size = int(size_line.split(b";")[0], 16)
        except ValueError:
            return whole
        whole, rest = whole + rest[:size], rest[size + 2 :]
    return whole
