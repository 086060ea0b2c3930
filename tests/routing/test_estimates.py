"""What a call is expected to use, before anything was learned and after."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from llmrouter.calls import Beginnings, Call, Caller, MediaTokens, Need, Preferences
from llmrouter.endpoints import chat
from llmrouter.routing.estimates import EstimateBook
from llmrouter.targets import Target
from tests.routing.samples import call_of, target_of, usage_of

TARGET = target_of("one/m")
counts = st.integers(min_value=0, max_value=2**53)


def conversation(turns: int, *, words: int = 800, tool: str = "look_up") -> Call:
    """A call with the first so many turns of one conversation."""
    messages = [{"role": ("user", "assistant")[n % 2], "content": f"{n} " + "word " * words} for n in range(turns)]
    tools = [{"type": "function", "function": {"name": tool}}]
    body = json.dumps({"messages": messages, "tools": tools}).encode()
    return chat.parse(body, "gpt-4o", id="c", caller=Caller(), preferences=Preferences())


def cached_share(book: EstimateBook, call: Call, now: float, target: Target = TARGET) -> float:
    """The part of the prompt that the target is expected to have."""
    expected = book.expect(call, now).at(target)
    return expected.cached_tokens / expected.input_tokens


@pytest.mark.parametrize(("limit", "made", "most"), [(None, 500, 500), (20, 20, 20), (100_000, 500, 100_000)])
def test_the_first_guess(limit: int | None, made: float, most: float) -> None:
    """Four characters a token, 500 tokens out, or the client's own limit where it is lower."""
    expectation = EstimateBook().expect(call_of(input_characters=4000, max_output_tokens=limit), 0)
    assert expectation.at(TARGET) == (1000, 0, made, 666)
    assert expectation.most_output_tokens == most


def test_the_ratio_of_characters_to_tokens_is_learned_for_each_target() -> None:
    """After some answers the real ratio counts, and elsewhere still the first guess."""
    book, call = EstimateBook(), call_of(input_characters=8000)
    for _ in range(60):
        book.learn(TARGET, call, usage_of(4000, 10), 0)

    assert book.expect(call, 0).at(TARGET).input_tokens == pytest.approx(4000, rel=0.02)
    assert book.expect(call, 0).at(target_of("two/m")).input_tokens == 2000


def test_a_window_is_judged_by_what_was_learned_only_when_that_is_enough() -> None:
    """One short answer proves nothing; a text that is known to be dense is not sent where it cannot fit."""
    book, call = EstimateBook(), call_of(input_characters=60_000)
    book.learn(TARGET, call_of(input_characters=100), usage_of(100, 1), 0)
    assert book.expect(call, 0).at(TARGET).least_input_tokens == 10_000
    for _ in range(60):
        book.learn(TARGET, call_of(input_characters=6000), usage_of(3000, 1), 0)
    assert book.expect(call, 0).at(TARGET).least_input_tokens == pytest.approx(20_000, rel=0.05)


def test_pictures_teach_nothing_about_characters() -> None:
    book, call = EstimateBook(), call_of(input_characters=100, needs=frozenset({Need.VISION}))
    book.learn(TARGET, call, usage_of(90_000, 10), 0)
    assert book.expect(call_of(input_characters=400), 0).at(TARGET).input_tokens == 100


def test_the_guess_for_media_counts_at_every_target() -> None:
    """On top of the text, learned or not; it is no part of what may be cached, nor of what is learned."""
    book, media = EstimateBook(), MediaTokens(guess=900, least=300)
    call = call_of(input_characters=4000, needs=frozenset({Need.VISION}), media=media)
    assert book.expect(call, 0).at(TARGET) == (1900, 0, 500, 966)
    for _ in range(60):
        book.learn(TARGET, call_of(input_characters=4000), usage_of(2000, 500), 0)
        book.learn(TARGET, call, usage_of(50_000, 500), 0)
    learned = book.expect(call, 0).at(TARGET)
    assert learned.input_tokens == pytest.approx(2900, rel=0.02)
    assert learned.least_input_tokens == pytest.approx(2000 / 1.5 + 300, rel=0.02)


def test_pictures_teach_nothing_about_caches() -> None:
    """The share of the base64 is none of the tokens."""
    book, picture = EstimateBook(), frozenset({Need.VISION})
    for turns in range(3, 23, 2):
        call = conversation(turns)
        book.learn(TARGET, call, usage_of(2500, 10), float(turns))
        book.learn(TARGET, replace(call, needs=picture), usage_of(2500, 10, cached=2500), float(turns))
    assert cached_share(book, conversation(23), 23.0) < 0.1


def test_how_much_is_answered_is_learned_for_each_requested_model() -> None:
    book = EstimateBook()
    for _ in range(60):
        book.learn(TARGET, call_of("short"), usage_of(10, 5), 0)

    assert book.expect(call_of("short"), 0).output_tokens < 30
    assert book.expect(call_of("other"), 0).output_tokens == 500
    assert book.expect(call_of("short", max_output_tokens=3), 0).output_tokens == 3


def test_the_next_turn_of_a_conversation_is_cheaper_where_the_last_one_went() -> None:
    """Half of what was sent is expected to be cached, until the target has told how much of it really is."""
    book = EstimateBook()
    first, second = conversation(3), conversation(5)
    book.learn(TARGET, first, usage_of(2500, 10), 0)

    assert cached_share(book, second, 60) == pytest.approx(0.5 * 3 / 5, abs=0.02)
    assert cached_share(book, second, 60, target_of("two/m")) == 0


def test_what_a_target_reports_as_cached_is_believed() -> None:
    book = EstimateBook()
    caches, forgets = target_of("caches/m"), target_of("forgets/m")
    for turns in range(3, 23, 2):
        call = conversation(turns)
        tokens = call.input_characters // 4
        book.learn(caches, call, usage_of(tokens, 10, cached=tokens), float(turns))
        book.learn(forgets, call, usage_of(tokens, 10), float(turns))

    assert cached_share(book, conversation(23), 23.0, caches) > 0.8
    assert cached_share(book, conversation(23), 23.0, forgets) < 0.1


@pytest.mark.parametrize(
    ("call", "later_s", "why"),
    [
        (conversation(5), 301, "the cache has forgotten it"),
        (conversation(5, tool="other"), 1, "tools come before the messages"),
        (conversation(5, words=801), 1, "the first message differs"),
    ],
)
def test_nothing_is_expected_to_be_cached_where(call: Call, later_s: float, why: str) -> None:
    book = EstimateBook()
    book.learn(TARGET, conversation(3), usage_of(2500, 10), 0)
    assert cached_share(book, call, later_s) == 0, why


def test_short_prompts_are_not_cached() -> None:
    """Providers cache nothing under 1,024 tokens."""
    book = EstimateBook()
    book.learn(TARGET, conversation(3, words=50), usage_of(200, 10), 0)
    assert cached_share(book, conversation(5, words=50), 1) == 0


def test_callers_with_keys_of_their_own_do_not_share_a_cache() -> None:
    """OpenAI keeps the caches of its customers apart; a key of the router's owner has one for all."""
    book, target = EstimateBook(), target_of("openai/m", uses_caller_key=True)
    anna, ben = (_of_caller(conversation(3), name) for name in ("key-of-anna", "key-of-ben"))
    book.learn(target, anna, usage_of(2500, 10), 0)

    assert cached_share(book, anna, 1, target) > 0
    assert cached_share(book, ben, 1, target) == 0


@given(st.lists(st.tuples(counts, counts, counts, st.integers(1, 10**7)), max_size=30))
def test_whatever_answers_report_estimates_stay_sensible(reports: list[tuple[int, int, int, int]]) -> None:
    """No ratio leaves its bounds, and no more is cached than was sent."""
    book = EstimateBook()
    for now, (given_, made, cached, characters) in enumerate(reports):
        book.learn(TARGET, call_of(input_characters=characters), usage_of(given_, made, cached), now)
        book.learn(TARGET, conversation(3), usage_of(given_, made, cached), now)

    expected = book.expect(conversation(3), 31).at(TARGET)
    characters = conversation(3).input_characters
    assert characters / 12.01 <= expected.input_tokens <= characters / 0.49
    assert 0 <= expected.cached_tokens <= expected.input_tokens
    assert 0 < expected.output_tokens <= 1_000_000
    assert 0 <= expected.least_input_tokens <= expected.input_tokens


def _of_caller(call: Call, key: str) -> Call:
    body = json.dumps({name: call.body[name] for name in call.body}).encode()
    return chat.parse(body, "gpt-4o", id="c", caller=Caller(SecretStr(key)), preferences=Preferences())


def test_beginnings_are_found_once_and_only_when_asked_for() -> None:
    asked: list[int] = []

    def parts() -> list[memoryview]:
        asked.append(1)
        return [memoryview(b"one"), memoryview(b"two")]

    beginnings = Beginnings(parts)
    assert not asked
    assert [beginning.characters for beginning in beginnings.found] == [3, 6]
    assert beginnings.found[0].digest != beginnings.found[1].digest
    assert len(asked) == 1
