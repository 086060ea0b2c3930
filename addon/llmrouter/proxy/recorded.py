"""Recorded traffic, out of a file of flows that mitmproxy wrote or out of a HAR file."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mitmproxy import exceptions, http, io
from mitmproxy.io.har import request_to_flow
from pydantic import SecretStr

from llmrouter.calls import Caller
from llmrouter.hindsight.exchanges import RecordedExchange

_OPENAI_HEADERS = ("openai-organization", "openai-project")
_BOM = b"\xef\xbb\xbf"


class NotARecording(Exception):
    """A file that is no recording, or one that is damaged from the start."""


class DamagedAfter(Exception):
    """A file that cannot be read any further, after what was read of it."""


def recorded_exchanges(file: Path, progress: Callable[[float], None]) -> Iterator[RecordedExchange | None]:
    """The exchanges in a file as they were recorded, None for one that cannot be read or is not HTTP.

    `progress` is told how much of the file was read, from 0 to 1. Raises `NotARecording`, and after what could be read
    `DamagedAfter`.
    """
    with file.open("rb") as opened:
        head = opened.read(64).removeprefix(_BOM).lstrip()
        opened.seek(0)
        if not head:
            raise NotARecording(f"{file} is empty.")
        if head.startswith(b"{"):
            yield from _of_har(file, progress)
            return
        size, count = file.stat().st_size, 0
        try:
            for flow in io.FlowReader(opened).stream():
                count += 1
                progress(opened.tell() / size)
                yield _exchange(flow) if isinstance(flow, http.HTTPFlow) else None
        # What is no flow fails in many ways while it is made one.
        except (exceptions.FlowReadException, KeyError, AttributeError, UnicodeDecodeError) as error:
            if count:
                raise DamagedAfter(f"{file} is damaged after {count} flows; those before it count.") from error
            told = f"{file} is neither a file of flows that mitmproxy wrote nor a HAR file: {error}"
            raise NotARecording(told) from error


def _of_har(file: Path, progress: Callable[[float], None]) -> Iterator[RecordedExchange | None]:
    try:
        entries = json.loads(file.read_bytes().removeprefix(_BOM))["log"]["entries"]
    except (ValueError, RecursionError) as error:
        raise NotARecording(f"{file} is no HAR file, or is cut off: {error}") from error
    except (KeyError, TypeError):
        entries = None
    if not isinstance(entries, list):
        raise NotARecording(f"{file} is JSON, but no HAR file: it has no log.entries.")
    for number, entry in enumerate(entries, 1):
        progress(number / len(entries))
        yield _of_entry(entry)


def _of_entry(entry: Any) -> RecordedExchange | None:
    """An entry of a HAR file; browsers leave members out for requests that were given up or blocked."""
    try:
        return _exchange(request_to_flow(entry))
    except Exception:  # noqa: BLE001 - mitmproxy's reader raises whatever its parts do, and one entry is not all
        return None


def _exchange(flow: http.HTTPFlow) -> RecordedExchange:
    request, response = flow.request, flow.response
    return RecordedExchange(
        at=request.timestamp_start,
        host=request.pretty_host.lower(),
        method=request.method,
        path=request.path.split("?", 1)[0],
        caller=_caller(request),
        body=request.get_content(strict=False) or b"",
        status=response.status_code if response is not None and response.status_code else None,
        content_type="" if response is None else response.headers.get("content-type", ""),
        answer=b"" if response is None else response.get_content(strict=False) or b"",
        is_ours=response is not None and "x-llmrouter-request-id" in response.headers,
    )


def _caller(request: http.Request) -> Caller:
    authorization = request.headers.get("authorization")
    told = {name: request.headers[name] for name in _OPENAI_HEADERS if name in request.headers}
    return Caller(SecretStr(authorization) if authorization else None, told)
