"""Every contract case, whole and in pieces, against the types of OpenAI's and Anthropic's own SDKs."""

import json
import random
from itertools import pairwise
from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParams
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses.response_create_params import ResponseCreateParams
from pydantic import TypeAdapter

from llmrouter.errors import AttemptFailed
from llmrouter.providers import failures, formats
from llmrouter.providers.formats import Dialogue
from tests.contract.cases import CREATED, FOLDER, Case, cases, decoded, events_of

CASES = {case.name: case for case in cases()}
REQUESTS = {name: case for name, case in CASES.items() if case.has("upstream_request.json")}
WHOLE = {name: case for name, case in CASES.items() if case.has("reply.json")}
STREAMS = {name: case for name, case in CASES.items() if case.has("reply.sse")}
FAILURES = {name: case for name, case in CASES.items() if "failure" in case.about}
ADAPTERS: dict[str, TypeAdapter[Any]] = {
    "anthropic": TypeAdapter(MessageCreateParams),
    "openai_responses": TypeAdapter(ResponseCreateParams),
}
LEAST_CASES = {"anthropic": 12, "gemini": 12, "openai_compatible": 25, "openai_responses": 12}


def test_there_are_cases_for_every_format_and_none_is_forgotten() -> None:
    for name, least in LEAST_CASES.items():
        assert sum(case.startswith(f"{name}/") for case in CASES) >= least
    assert set(formats.WIRE_FORMATS) == LEAST_CASES.keys()
    for name, case in CASES.items():
        assert case.about["why"], name
        assert name in REQUESTS.keys() | WHOLE.keys() | STREAMS.keys() | FAILURES.keys(), name
    folders = {path for name in LEAST_CASES for path in (FOLDER / name).iterdir()}
    assert folders == {case.folder for case in CASES.values()}


@pytest.mark.parametrize("case", REQUESTS.values(), ids=REQUESTS)
def test_the_provider_gets_this(case: Case) -> None:
    translation = case.translate().translation
    sent, expected = json.loads(translation.request.body), case.json("upstream_request.json")
    assert sent == expected
    if adapter := ADAPTERS.get(case.folder.parent.name):
        adapter.validate_python(sent)
    assert translation.request.url == case.about.get("url", translation.request.url)
    assert case.about.get("headers", {}).items() <= translation.request.headers.items()
    assert list(translation.changes) == case.about.get("changes", [])
    assert not any("key-of-the-app" in value for value in translation.request.headers.values())


@pytest.mark.parametrize("case", WHOLE.values(), ids=WHOLE)
def test_the_client_gets_this_reply(case: Case) -> None:
    data = case.file("upstream_reply.json", "upstream_reply.txt").read_bytes()
    reply = case.translate().read_reply(data)
    expected = case.json("reply.json")
    assert json.loads(reply.data) == expected
    parsed = ChatCompletion.model_validate_json(reply.data, strict=True)
    assert parsed.model == case.call.model
    if reply.usage is not None:
        assert reply.usage.input_tokens == expected["usage"]["prompt_tokens"]
        assert reply.usage.output_tokens == expected["usage"]["completion_tokens"]


@pytest.mark.parametrize("case", STREAMS.values(), ids=STREAMS)
def test_the_client_gets_this_stream_however_it_was_split(case: Case) -> None:
    data, expected = (case.folder / "upstream_reply.sse").read_bytes(), (case.folder / "reply.sse").read_bytes()
    for parts in splits(data, case.name):
        chunks, stream = decoded(case.translate(), parts)
        assert events_of(stream) == events_of(expected)
        assert any(chunk.is_content for chunk in chunks)
    assert_valid(events_of(expected), case)


@pytest.mark.parametrize("case", FAILURES.values(), ids=FAILURES)
def test_the_attempt_fails_so(case: Case) -> None:
    expected = case.about["failure"]
    if not has_reply(case):
        with pytest.raises(AttemptFailed) as caught:
            case.translate()
        assert_failed(caught.value, expected)
        return
    dialogue = case.translate()
    file = case.file("upstream_reply.sse", "upstream_reply.json", "upstream_reply.txt")
    for parts in splits(file.read_bytes(), case.name) if file.suffix == ".sse" else [[file.read_bytes()]]:
        with pytest.raises(AttemptFailed) as caught:
            answer(case, dialogue, parts, is_stream=file.suffix == ".sse")
        assert_failed(caught.value, expected)


def has_reply(case: Case) -> bool:
    return any(path.name.startswith("upstream_reply") for path in case.folder.iterdir())


def answer(case: Case, dialogue: Dialogue, parts: list[bytes], *, is_stream: bool) -> None:
    if (status := case.about.get("status", 200)) != 200:
        headers = case.about.get("reply_headers", {})
        raise failures.classify(status, headers, b"".join(parts), float(CREATED), members=dialogue.translation.members)
    if is_stream:
        decoded(dialogue, parts)
    else:
        dialogue.read_reply(b"".join(parts))


def assert_failed(failure: AttemptFailed, expected: dict[str, Any]) -> None:
    told: dict[str, Any] = {
        "outcome": str(failure.outcome),
        "status": failure.status,
        "error": failure.error,
        "member": failure.member,
    }
    told |= {"retry_after_s": failure.retry_after_s}
    assert {name: told[name] for name in expected} == expected


def splits(data: bytes, seed: str) -> list[list[bytes]]:
    """The data whole, byte by byte, and cut at random places."""
    chance = random.Random(seed)
    at_random = []
    for _ in range(5):
        cuts = sorted(chance.choices(range(len(data) + 1), k=8))
        at_random.append([data[start:end] for start, end in pairwise([0, *cuts, len(data)])])
    return [[data], [bytes([byte]) for byte in data], *at_random]


def assert_valid(events: list[Any], case: Case) -> None:
    """A valid stream: one id and date, the role first and once, one end for each choice, usage and `[DONE]` last."""
    assert events[-1] == "[DONE]"
    chunks = [ChatCompletionChunk.model_validate(event, strict=True) for event in events[:-1]]
    assert {(chunk.id, chunk.created, chunk.model) for chunk in chunks} == {
        (chunks[0].id, chunks[0].created, case.call.model)
    }
    begun: set[int] = set()
    ended: set[int] = set()
    for chunk in chunks:
        for choice in chunk.choices:
            assert choice.index not in ended
            assert (choice.delta.role == "assistant") == (choice.index not in begun)
            begun.add(choice.index)
            if choice.finish_reason:
                ended.add(choice.index)
        if not chunk.choices:
            assert begun == ended
            assert chunk.usage is not None
            assert case.call.include_usage
    assert begun == ended
