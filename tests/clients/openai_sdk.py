"""An app that knows nothing of the router, with openai 1, 2 or 3: a whole answer, a stream, and one without waiting."""

import asyncio
from typing import Any

from openai import AsyncOpenAI, OpenAI

ASKED: Any = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "ping"}]}

client = OpenAI(max_retries=0, timeout=20)
print(client.chat.completions.create(**ASKED).choices[0].message.content)
pieces = [
    chunk.choices[0].delta.content or ""
    for chunk in client.chat.completions.create(**ASKED, stream=True)
    if chunk.choices
]
print("".join(pieces))


async def ask() -> None:
    reply = await AsyncOpenAI(max_retries=0, timeout=20).chat.completions.create(**ASKED)
    print(reply.choices[0].message.content)


asyncio.run(ask())
