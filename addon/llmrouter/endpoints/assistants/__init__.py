"""OpenAI's Assistants API v2: its requests and objects, and how a run becomes chat calls and events; pure."""
