"""OpenAI's Responses API, whose requests become chat completions, and chat completions its responses and events."""
