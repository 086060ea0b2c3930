"""The requests in a file of recorded flows."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mitmproxy import exceptions, http, io

from llmrouter.endpoints import chat


def recorded_requests(file: Path) -> Iterator[dict[str, Any]]:
    """The bodies of all chat completions in a file that mitmproxy wrote; raises `ValueError` where it is none."""
    try:
        with file.open("rb") as opened:
            for flow in io.FlowReader(opened).stream():
                if isinstance(flow, http.HTTPFlow) and (body := _chat_request(flow)) is not None:
                    yield body
    except exceptions.FlowReadException as error:
        raise ValueError(f"{file} is no file of recorded flows: {error}") from error


def _chat_request(flow: http.HTTPFlow) -> dict[str, Any] | None:
    request = flow.request
    if request.method != "POST" or not request.path.split("?")[0].endswith(chat.PATH):
        return None
    try:
        body = json.loads(request.get_content(strict=False) or b"")
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
