"""Recorded traffic for tests: HAR files, and files of flows as mitmproxy writes them."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mitmproxy import http
from mitmproxy.io import FlowWriter
from mitmproxy.test import tflow

NOON = 1795435200.0
USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "prompt_tokens_details": {"cached_tokens": 400},
}
RESPONSES_USAGE = {
    "input_tokens": 1000,
    "output_tokens": 100,
    "total_tokens": 1100,
    "input_tokens_details": {"cached_tokens": 400},
    "output_tokens_details": {"reasoning_tokens": 50},
}


@dataclass
class Recorded:
    """A request and its answer."""

    body: Any
    answer: bytes
    path: str = "/v1/chat/completions"
    host: str = "api.openai.com"
    method: str = "POST"
    status: int = 200
    content_type: str = "application/json"
    at: float = NOON
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.body if isinstance(self.body, str) else json.dumps(self.body)


def chat(content: str = "ping", usage: Any = USAGE, **members: Any) -> Recorded:
    """A chat completion, answered."""
    message = {"role": "assistant", "content": "pong"}
    told = {"id": "c", "model": "gpt-4o-2024-08-06", "choices": [{"message": message, "finish_reason": "stop"}]}
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": content}]} | members
    return Recorded(body, json.dumps(told | ({} if usage is None else {"usage": usage})).encode())


def streamed(content: str = "ping", text: str = "pong", usage: Any = None) -> Recorded:
    """A chat completion that was streamed."""
    pieces: list[Any] = [{"choices": [{"index": 0, "delta": {"content": text}}]}]
    if usage is not None:
        pieces.append({"choices": [], "usage": usage})
    answer = b"".join(b"data: %b\n\n" % json.dumps(piece).encode() for piece in pieces) + b"data: [DONE]\n\n"
    body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": content}]}
    return Recorded(body, answer, content_type="text/event-stream")


def response(stream: bool = False, **members: Any) -> Recorded:
    """A response, whole or as a stream."""
    told = {"id": "resp_1", "object": "response", "model": "gpt-4o", "status": "completed", "usage": RESPONSES_USAGE}
    body = {"model": "gpt-4o", "input": "ping", "stream": stream} | members
    if not stream:
        return Recorded(body, json.dumps(told).encode(), path="/v1/responses")
    delta, completed = "response.output_text.delta", "response.completed"
    events = [(delta, {"type": delta, "delta": "pong"}), (completed, {"type": completed, "response": told})]
    answer = "".join(f"event: {name}\ndata: {json.dumps(event)}\n\n" for name, event in events).encode()
    return Recorded(body, answer, path="/v1/responses", content_type="text/event-stream")


def write_flows(file: Path, *recorded: Recorded) -> Path:
    """A file as `mitmdump -w` writes it."""
    with file.open("wb") as opened:
        writer = FlowWriter(opened)
        for one in recorded:
            writer.add(flow_of(one))
    return file


def flow_of(one: Recorded) -> http.HTTPFlow:
    """The flow of an exchange."""
    headers = [(name.encode(), value.encode()) for name, value in one.headers.items()]
    request = http.Request.make(one.method, f"https://{one.host}{one.path}", one.text, headers)
    request.timestamp_start = one.at
    answer = http.Response.make(one.status, one.answer, {"content-type": one.content_type})
    flow = tflow.tflow(resp=True)
    flow.request, flow.response = request, answer
    return flow


def write_har(file: Path, *recorded: Recorded, broken_entries: int = 0) -> Path:
    """A file as browsers and proxies export it."""
    entries: list[Any] = [_entry(one) for one in recorded] + [{"startedDateTime": "never"}] * broken_entries
    file.write_text(json.dumps({"log": {"version": "1.2", "entries": entries}}))
    return file


def _entry(one: Recorded) -> dict[str, Any]:
    return {
        "startedDateTime": datetime.fromtimestamp(one.at, UTC).isoformat().replace("+00:00", "Z"),
        "time": 1500,
        "request": {
            "method": one.method,
            "url": f"https://{one.host}{one.path}",
            "httpVersion": "HTTP/2",
            "headers": [{"name": name, "value": value} for name, value in one.headers.items()],
            "postData": {"mimeType": "application/json", "text": one.text},
        },
        "response": {
            "status": one.status,
            "httpVersion": "HTTP/2",
            "headers": [{"name": "content-type", "value": one.content_type}],
            "content": {"mimeType": one.content_type, "text": one.answer.decode()},
        },
    }
