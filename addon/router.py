"""Entry point for mitmproxy: `mitmdump -s addon/router.py`."""

from llmrouter.proxy.addon import LLMRouter

addons = [LLMRouter()]
