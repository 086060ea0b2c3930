"""Entry point for mitmproxy: `mitmdump -s addon/router.py`."""

from llmrouter.proxy import short_pauses

short_pauses.delay_collecting()

from llmrouter.proxy.addon import LLMRouter  # noqa: E402 - what it imports is what the line above is for

addons = [LLMRouter()]
