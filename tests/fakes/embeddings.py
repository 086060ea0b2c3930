"""A provider's vectors: numbers that tell which text they are of."""

import hashlib
import json
import struct
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from tests.fakes.behaviours import Exchange


def vector_of(text: Any, model: str) -> list[float]:
    """Four numbers that are exact in 32 bits, for a text or tokens at a model."""
    digest = hashlib.sha256(f"{model}|{text}".encode()).digest()
    return [byte / 256 for byte in digest[:4]]


@dataclass(slots=True, eq=False)
class Embeddings:
    """Answers /embeddings: in base64 only where `knows_base64`, in reverse order where `is_reversed`."""

    model: str
    knows_base64: bool = False
    is_reversed: bool = False

    async def perform(self, exchange: Exchange) -> None:
        asked = exchange.seen.json()
        given = asked["input"]
        inputs = [given] if isinstance(given, str) or isinstance(given[0], int) else given
        rows = []
        for index, text in enumerate(inputs):
            vector: Any = vector_of(text, self.model)
            if self.knows_base64 and asked.get("encoding_format") == "base64":
                vector = b64encode(struct.pack("<4f", *vector)).decode()
            rows.append({"object": "embedding", "index": index, "embedding": vector})
        rows = rows[::-1] if self.is_reversed else rows
        usage = {"prompt_tokens": 5 * len(inputs), "total_tokens": 5 * len(inputs)}
        body = json.dumps({"object": "list", "data": rows, "model": asked["model"], "usage": usage}).encode()
        await exchange.reply(200, {"content-type": "application/json"}, body)
