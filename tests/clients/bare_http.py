"""Libraries without an SDK: python bare_http.py requests | httpx | aiohttp | urllib"""

import asyncio
import importlib
import json
import sys
import urllib.request

URL = "https://api.openai.com/v1/chat/completions"
ASKED = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "ping"}]}


def with_urllib() -> str:
    request = urllib.request.Request(URL, json.dumps(ASKED).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as reply:
        return str(reply.read().decode())


async def with_aiohttp() -> str:
    import aiohttp

    async with aiohttp.ClientSession(trust_env=True) as session, session.post(URL, json=ASKED) as reply:
        return await reply.text()


def with_library(name: str) -> str:
    return str(importlib.import_module(name).post(URL, json=ASKED, timeout=20).text)


library = sys.argv[1]
if library == "urllib":
    text = with_urllib()
elif library == "aiohttp":
    text = asyncio.run(with_aiohttp())
else:
    text = with_library(library)
print(json.loads(text)["choices"][0]["message"]["content"])
