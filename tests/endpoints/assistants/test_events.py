"""The bytes of events."""

import orjson

from llmrouter.endpoints.assistants import events
from llmrouter.errors import InternalError


def test_an_event_is_its_name_and_its_object() -> None:
    event = events.of_run({"id": "run_1", "status": "queued", "instructions": "a\nb"})
    assert (
        event.render() == b'event: thread.run.queued\ndata: {"id":"run_1","status":"queued","instructions":"a\\nb"}\n\n'
    )
    assert events.DONE == b"event: done\ndata: [DONE]\n\n"


def test_an_error_is_read_by_the_sdk_and_by_its_type() -> None:
    name, data = events.render_error(InternalError("It broke.")).rstrip().split(b"\n")
    assert name == b"event: error"
    told = orjson.loads(data.removeprefix(b"data: "))
    assert told["message"] == told["error"]["message"] == "It broke."
    assert sorted(told["error"]) == ["code", "message", "param", "type"]
