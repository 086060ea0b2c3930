"""How long to wait before each chunk of a replayed stream."""

import orjson
import pytest

from llmrouter.caching.entries import Entry
from llmrouter.caching.pacing import delays_s
from llmrouter.caching.replay import as_chunks
from llmrouter.replies import Chunk, Usage

TOKENS: list[object] = [{"token": letter, "logprob": -1.0, "bytes": None, "top_logprobs": []} for letter in "abcd" * 25]


def replayed(logprobs: object = None) -> list[Chunk]:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "x" * 200}}
    message = {"role": "assistant", "content": "abcd" * 25, "reasoning_content": "hm" * 50, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": "tool_calls"}
    whole = orjson.dumps({"created": 1, "choices": [choice]})
    entry = Entry(whole, Usage(1, 2), None, 0.0, "a/b")
    chunks = as_chunks(entry, id="c", model="m", include_usage=False, size=8)
    assert chunks is not None
    return chunks


@pytest.mark.parametrize("logprobs", [None, {"content": TOKENS, "refusal": None}])
def test_the_whole_takes_as_long_as_its_text_at_this_rate(logprobs: object) -> None:
    chunks = replayed(logprobs)
    waits = delays_s(chunks, 50)
    assert len(waits) == len(chunks)
    # 400 bytes are 100 tokens.
    assert sum(waits) == pytest.approx(2.0)
    assert waits[:2] == [0, 0]
    assert sum(wait > 0 for wait in waits) > 5
    # The end comes when the last text is written; the usage, after it, at once.
    assert waits[-2] > 0
    assert waits[-1] == 0
    assert sum(delays_s(chunks, 100)) == pytest.approx(1.0)


@pytest.mark.parametrize("rate", [None, 0, -1])
def test_without_a_rate_all_comes_at_once(rate: float | None) -> None:
    chunks = replayed()
    assert delays_s(chunks, rate) == [0.0] * len(chunks)
