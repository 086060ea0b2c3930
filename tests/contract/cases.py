"""The contract cases: folders of files that say what goes to a provider and what comes back to the client."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from llmrouter.brands import BRANDS
from llmrouter.calls import Call, Caller, Preferences
from llmrouter.endpoints import chat
from llmrouter.providers import formats
from llmrouter.providers.formats import Dialogue
from llmrouter.providers.turn_memory import TurnMemory
from llmrouter.providers.wire import Job
from llmrouter.replies import Chunk
from llmrouter.targets import Target

FOLDER = Path(__file__).parent
CREATED = 1_795_000_000
"""The date of replies whose format knows none: some moment in November 2026."""


@dataclass(frozen=True)
class Case:
    """One folder: `about` is its case.yaml, the files are read when they are asked for."""

    folder: Path
    about: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}"

    def file(self, *names: str) -> Path:
        """The first of these files that is there."""
        return next(self.folder / name for name in names if (self.folder / name).exists())

    def has(self, name: str) -> bool:
        return (self.folder / name).exists()

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_bytes())

    @property
    def call(self) -> Call:
        body = (self.folder / "call.json").read_bytes()
        caller = Caller(SecretStr("Bearer key-of-the-app"))
        return chat.parse(body, "gpt-4o-mini", id="call-1", caller=caller, preferences=Preferences())

    def translate(self) -> Dialogue:
        """The call in the words of the case's brand and model."""
        call, brand = self.call, BRANDS[self.about["brand"]]
        target = Target(
            provider=brand.name,
            model=self.about["model"],
            brand=brand,
            base_url=brand.base_url or "http://localhost:9/v1",
            credential=SecretStr(f"key-of-{brand.name}"),
        )
        unsupported = frozenset(self.about.get("unsupported", ()))
        dialect = target.dialect.for_members(call.members)
        assert dialect.wire_format == self.folder.parent.name
        return formats.translate(Job(call, target, dialect, CREATED, TurnMemory(), unsupported))


def cases() -> list[Case]:
    """Every case of every wire format."""
    folders = sorted(path.parent for name in formats.WIRE_FORMATS for path in (FOLDER / name).glob("*/case.yaml"))
    return [Case(folder, yaml.safe_load((folder / "case.yaml").read_text())) for folder in folders]


def events_of(stream: bytes) -> list[Any]:
    """The events of a client's stream as JSON values, `[DONE]` as text."""
    lines = [line.removeprefix(b"data: ") for line in stream.split(b"\n\n") if line.strip()]
    return [line.decode() if line.strip() == b"[DONE]" else json.loads(line) for line in lines]


def decoded(dialogue: Dialogue, parts: list[bytes]) -> tuple[list[Chunk], bytes]:
    """The chunks of a stream that comes in these parts, and the stream as the client gets it."""
    decoder = dialogue.decoder()
    chunks = [chunk for part in parts for chunk in decoder.feed(part)]
    chunks += decoder.finish()
    return chunks, b"".join(map(chat.render_chunk, chunks)) + chat.DONE
