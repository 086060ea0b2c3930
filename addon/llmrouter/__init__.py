"""llmrouter: answers OpenAI API calls from the cheapest provider that is healthy and able."""

__version__ = "0.1.0"
