"""The same with openai 0.28."""

from typing import Any

import openai

ASKED: Any = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "ping"}]}

create = openai.ChatCompletion.create  # type: ignore[attr-defined]  # it is of that version
print(create(**ASKED)["choices"][0]["message"]["content"])
