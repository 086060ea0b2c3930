"""Chat completions of every kind, by chance, and what of two completions has to be equal."""

from typing import Any

from hypothesis import strategies as st

TEXTS = st.text(max_size=60) | st.text("ab \n👍🏽🇩🇪é\u0301日", max_size=120)
WORDS = st.text("abcdefgh_", min_size=1, max_size=8)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(min_size=1, max_size=5),
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(WORDS, inner, min_size=1, max_size=3),
    max_leaves=5,
)
UNKNOWN = st.dictionaries(WORDS.map("x_{}".format), VALUES, max_size=2)
BASE64 = st.sampled_from(["", "AAAA", "AAEC" * 4200, "AAECAw=="])


def _numbered(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**item, "index": index} for index, item in enumerate(items)]


DETAILS = st.lists(
    st.fixed_dictionaries({"type": st.just("reasoning.text"), "text": TEXTS, "format": st.just("a-v1")})
    | st.fixed_dictionaries({"type": st.just("reasoning.encrypted"), "data": BASE64}),
    min_size=1,
    max_size=3,
).map(_numbered)
ANNOTATIONS = st.lists(
    st.builds(
        lambda place: {
            "type": "url_citation",
            "url_citation": {"start_index": place, "end_index": place + 1, "title": "t", "url": "https://example.com"},
        },
        st.integers(0, 99),
    ),
    max_size=3,
    unique_by=str,
)
FUNCTION_CALLS = st.fixed_dictionaries(
    {
        "id": WORDS,
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": WORDS, "arguments": TEXTS}),
    },
    optional={"extra_content": VALUES},
)
CUSTOM_CALLS = st.fixed_dictionaries(
    {"id": WORDS, "type": st.just("custom"), "custom": st.fixed_dictionaries({"name": WORDS, "input": TEXTS})}
)


def messages(calls: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    known = st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": st.none() | TEXTS, "refusal": st.none() | TEXTS},
        optional={
            "reasoning_content": TEXTS,
            "reasoning": TEXTS,
            "reasoning_details": DETAILS,
            "annotations": ANNOTATIONS,
            "tool_calls": st.lists(calls, max_size=3),
            "function_call": st.fixed_dictionaries({"name": WORDS, "arguments": TEXTS}),
            "audio": st.fixed_dictionaries(
                {"id": WORDS, "data": BASE64, "transcript": TEXTS, "expires_at": st.integers(1, 2**40)}
            ),
        },
    )
    return st.builds(lambda one, other: {**other, **one}, known, UNKNOWN)


def tokens_of(text: str, draw: st.DrawFn) -> list[dict[str, Any]]:
    """Tokens that make the text up, in bytes or in characters, or that have nothing to do with it."""
    kind = draw(st.sampled_from(["bytes", "characters", "other"]))
    size = draw(st.integers(1, 5))
    if kind == "other":
        parts = [b"?"] * draw(st.integers(0, 3))
    elif kind == "bytes":
        data = text.encode()
        parts = [data[start : start + size] for start in range(0, len(data), size)]
    else:
        parts = [text[start : start + size].encode() for start in range(0, len(text), size)]
    return [
        {
            "token": part.decode(errors="replace"),
            "bytes": None if kind == "characters" else list(part),
            "logprob": -0.5,
            "top_logprobs": [],
        }
        for part in parts
    ]


@st.composite
def choices(draw: st.DrawFn, calls: st.SearchStrategy[Any]) -> dict[str, Any]:
    message = draw(messages(calls))
    logprobs = None
    if draw(st.booleans()):
        logprobs = {
            name: None if text is None or draw(st.booleans()) else tokens_of(text, draw)
            for name in ("content", "refusal")
            for text in [message[name]]
        }
    reason = draw(st.sampled_from(["stop", "length", "tool_calls", "function_call", "content_filter"]))
    return {**draw(UNKNOWN), "message": message, "logprobs": logprobs, "finish_reason": reason}


@st.composite
def completions(draw: st.DrawFn, calls: st.SearchStrategy[Any] = FUNCTION_CALLS | CUSTOM_CALLS) -> dict[str, Any]:
    """A completion with anything that one can have."""
    known = draw(
        st.fixed_dictionaries(
            {"id": WORDS, "object": st.just("chat.completion"), "created": st.integers(0, 2**40), "model": WORDS},
            optional={
                "system_fingerprint": st.none() | WORDS,
                "service_tier": st.sampled_from(["default", "flex"]),
                "usage": st.builds(
                    lambda a, b: {"prompt_tokens": a, "completion_tokens": b, "total_tokens": a + b, "cost": 0.5},
                    st.integers(0, 2**40),
                    st.integers(0, 2**40),
                ),
            },
        )
    )
    return {**draw(UNKNOWN), **known, "choices": _numbered(draw(st.lists(choices(calls), min_size=1, max_size=3)))}


def meaning_of(completion: dict[str, Any]) -> dict[str, Any]:
    """What a client can tell from a completion: null says nothing, and neither does an empty list of calls."""
    return {
        name: [_choice(choice) for choice in value] if name == "choices" else value
        for name, value in completion.items()
        if value is not None
    }


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    fields = {name: value for name, value in choice.items() if value is not None}
    # Empty reasoning says as much as none.
    silent: tuple[Any, ...] = (None, [])
    kept = {k: v for k, v in fields["message"].items() if v not in silent}
    message = {k: v for k, v in kept.items() if v != "" or k not in ("reasoning", "reasoning_content")}
    if isinstance(logprobs := fields.get("logprobs"), dict):
        fields["logprobs"] = {name: value for name, value in logprobs.items() if value is not None}
    return {**{k: v for k, v in fields.items() if k != "logprobs" or v}, "message": message}
