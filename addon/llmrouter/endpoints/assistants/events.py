"""The events of a run's stream: `event: <name>` and `data: <object>`, as in openai-python's `AssistantStreamEvent`.

The client looks at names that begin with `thread.` before it looks at the data, so they must be exact
(openai-python `_streaming.py`).
"""

from dataclasses import dataclass

import orjson

from llmrouter.endpoints.assistants.objects import Object
from llmrouter.errors import RouterError

DONE = b"event: done\ndata: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a run, and the object as it is after."""

    name: str
    data: Object

    def render(self) -> bytes:
        """The event's bytes."""
        return b"event: %b\ndata: %b\n\n" % (self.name.encode(), orjson.dumps(self.data))

    @property
    def is_delta(self) -> bool:
        """Whether it tells only what was added to an object."""
        return self.name.endswith(".delta")


def of_thread(thread: Object) -> Event:
    """A thread was created."""
    return Event("thread.created", thread)


def of_run(run: Object, name: str | None = None) -> Event:
    """A run has the status that it has, or was `created`."""
    return Event(f"thread.run.{name or run['status']}", run)


def of_step(step: Object, name: str | None = None) -> Event:
    """A step has the status that it has, or was `created`."""
    return Event(f"thread.run.step.{name or step['status']}", step)


def of_message(message: Object, name: str | None = None) -> Event:
    """A message has the status that it has, or was `created`."""
    return Event(f"thread.message.{name or message['status']}", message)


def message_delta(id: str, part: Object) -> Event:
    """A part of a message has grown."""
    delta = {"content": [part]}
    return Event("thread.message.delta", {"id": id, "object": "thread.message.delta", "delta": delta})


def step_delta(id: str, call: Object) -> Event:
    """A tool call of a step has grown."""
    delta = {"step_details": {"type": "tool_calls", "tool_calls": [call]}}
    return Event("thread.run.step.delta", {"id": id, "object": "thread.run.step.delta", "delta": delta})


def render_error(error: RouterError) -> bytes:
    """The event that ends a stream which failed.

    openai-python raises on a truthy `error` in the data; its type `ErrorEvent` reads the members beside it.
    """
    inner = orjson.loads(error.to_json())["error"]
    return b"event: error\ndata: %b\n\n" % orjson.dumps({"error": inner, **inner})
