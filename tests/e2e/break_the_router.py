"""Loaded into mitmproxy beside the router: makes the method that BREAK_METHOD names raise, as a defect would."""

import os
from typing import Any

from llmrouter.endpoints import chat
from llmrouter.proxy.addon import LLMRouter


def _raise(*_: Any, **__: Any) -> Any:
    raise RuntimeError("a defect, with key-of-the-app in its message")


if os.environ["BREAK_METHOD"] == "render_chunk":
    chat.render_chunk = _raise
else:
    setattr(LLMRouter, os.environ["BREAK_METHOD"], _raise)
