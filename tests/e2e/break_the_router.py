"""Loaded into mitmproxy beside the router: makes the method that BREAK_METHOD names raise, as a defect would."""

import os
from typing import Any

from llmrouter.endpoints import chat
from llmrouter.proxy.addon import LLMRouter


def _raise(*_: Any, **__: Any) -> Any:
    raise RuntimeError("a defect, with key-of-the-app in its message")


if hasattr(chat, os.environ["BREAK_METHOD"]):
    setattr(chat, os.environ["BREAK_METHOD"], _raise)
else:
    setattr(LLMRouter, os.environ["BREAK_METHOD"], _raise)
