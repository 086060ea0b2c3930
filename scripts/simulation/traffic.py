"""A day of calls: a daily curve with bursts, conversations that grow, tools, pictures, long prompts."""

import math
import random
from dataclasses import dataclass

import orjson

DAY_S = 86_400.0
_TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]
_SCHEMA = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
_PICTURE = {"type": "image_url", "image_url": {"url": "https://example.test/picture.png"}}


@dataclass(frozen=True, slots=True)
class Asked:
    """One call: when (seconds of the day), what, and how many tokens any model would answer."""

    at_s: float
    model: str
    body: bytes
    stream: bool
    output_tokens: int


@dataclass(slots=True)
class _Conversation:
    number: int
    model: str
    messages: list[dict[str, object]]


def day_of_traffic(calls: int, seed: int) -> list[Asked]:
    """So many calls over a day, in order; the same for the same seed."""
    chance = random.Random(seed)
    conversations: list[_Conversation] = []
    asked: list[Asked] = []
    for number, at_s in enumerate(_moments(calls, chance)):
        if not conversations or chance.random() < 0.35:
            model = chance.choices(("gpt-4o-mini", "gpt-4o", "o4-mini"), (6, 3, 1))[0]
            system = f"You are assistant {number}. " + "Be brief and kind. " * chance.choice((5, 5, 200))
            conversations.append(_Conversation(number, model, [{"role": "system", "content": system}]))
            conversations[:] = conversations[-12:]
        conversation = chance.choice(conversations)
        asked.append(_turn(conversation, number, at_s, chance))
        if len(conversation.messages) > 24:
            conversations.remove(conversation)
    return asked


def _moments(calls: int, chance: random.Random) -> list[float]:
    """More by day than by night, and one call in six in bursts of a few seconds."""
    moments: list[float] = []
    while len(moments) < calls:
        at_s = chance.uniform(0, DAY_S - 1)
        if chance.random() > 0.55 - 0.45 * math.cos(2 * math.pi * at_s / DAY_S):
            continue
        size = 12 if chance.random() < 1 / 60 else 1
        moments += (min(at_s + chance.uniform(0, 4), DAY_S - 0.5) for _ in range(size))
    return sorted(moments[:calls])


def _turn(conversation: _Conversation, number: int, at_s: float, chance: random.Random) -> Asked:
    words = min(round(chance.lognormvariate(4.0, 1.0)), 4_000)
    if chance.random() < 0.004:
        words = 40_000
    content: object = f"Question {number}. " + "word " * words
    if chance.random() < 0.03:
        content = [{"type": "text", "text": content}, _PICTURE]
    ask = {"role": "user", "content": content}
    stream = chance.random() < 0.6
    body: dict[str, object] = {"model": conversation.model, "messages": [*conversation.messages, ask], "stream": stream}
    kind = chance.random()
    if kind < 0.12:
        body["tools"] = _TOOLS
    elif kind < 0.18:
        body["response_format"] = _SCHEMA
    if chance.random() < 0.3:
        body["max_tokens"] = 1_000
    output_tokens = min(max(round(chance.lognormvariate(5.3, 0.8)), 5), 1_000)
    if words < 4_000:
        answer: dict[str, object] = {"role": "assistant", "content": "word " * round(output_tokens * 0.8)}
        conversation.messages += [ask, answer]
    return Asked(at_s, conversation.model, orjson.dumps(body), stream, output_tokens)
