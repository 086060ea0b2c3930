"""Serves the Assistants API: its operations, and runs that go on whether or not a client listens."""
