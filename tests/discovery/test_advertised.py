"""Every provider's list of models is read in its own shape, and what it does not tell is not known."""

from typing import Any

import pytest

from llmrouter.calls import Need
from llmrouter.discovery.advertised import Advertised, ListingError, read_advertised


def read_one(provider: str, entry: dict[str, Any]) -> Advertised:
    (model,) = read_advertised(provider, {"data": [entry]})
    return model


def openrouter(id: str, prompt: Any = "0", completion: Any = "0", **more: Any) -> dict[str, Any]:
    return {"id": id, "pricing": {"prompt": prompt, "completion": completion}} | more


@pytest.mark.parametrize(
    ("entry", "is_free"),
    [
        (openrouter("a/b:free", "0.1", "0.1"), True),
        (openrouter("a/b"), True),
        (openrouter("a/b", "0.0", "0E-9"), True),
        (openrouter("a/b", 0, 0), True),
        (openrouter("a/b", "0", "0.0000001"), False),
        (openrouter("a/b", "-1", "-1"), False),
        (openrouter("a/b", None, "0"), False),
        (openrouter("a/b", "free", "0"), False),
        (openrouter("a/b", False, False), False),
        ({"id": "a/b"}, False),
    ],
)
def test_openrouter_is_free_by_prices_as_numbers_or_by_id(entry: dict[str, Any], is_free: bool) -> None:
    assert read_one("openrouter", entry).is_free is is_free


def test_openrouter_tells_windows_and_capabilities() -> None:
    model = read_one(
        "openrouter",
        openrouter(
            "a/b:free",
            context_length=200_000,
            top_provider={"context_length": 100_000, "max_completion_tokens": 4096},
            supported_parameters=["tools", "structured_outputs", "seed", "temperature"],
            architecture={"input_modalities": ["text", "image"], "output_modalities": ["text"]},
        ),
    )
    assert (model.context_window, model.max_output_tokens) == (100_000, 4096)
    assert model.capabilities == frozenset({Need.TOOLS, Need.JSON_SCHEMA, Need.SEED, Need.VISION})


def test_openrouters_own_routers_and_models_that_write_no_text_are_left_out() -> None:
    pictures = openrouter("a/painter:free", architecture={"output_modalities": ["image"]})
    assert read_advertised("openrouter", {"data": [openrouter("openrouter/free"), pictures]}) == ()


def test_groq_tells_windows_and_what_is_not_active_is_left_out() -> None:
    entries = [
        {"id": "openai/gpt-oss-20b", "active": True, "context_window": 131072, "max_completion_tokens": 65536},
        {"id": "gone", "active": False},
        {"id": "whisper-large-v3", "active": True},
    ]
    (model,) = read_advertised("groq", {"object": "list", "data": entries})
    assert model == Advertised("openai/gpt-oss-20b", True, 131072, 65536)


def test_nvidias_mixed_list_gives_its_chat_models() -> None:
    others = ["nvidia/nv-embedqa-e5-v5", "nvidia/llama-3.2-nv-rerankqa-1b-v2", "nvidia/nemotron-parse"]
    others += ["nvidia/llama-3.1-nemoguard-8b-topic-control", "nvidia/nemotron-4-340b-reward"]
    ids = ["meta/llama-3.3-70b-instruct", *others]
    models = read_advertised("nvidia_nim", {"data": [{"id": id} for id in ids]})
    assert models == (Advertised("meta/llama-3.3-70b-instruct", True),)


@pytest.mark.parametrize(("frees", "is_free"), [([True, True], True), ([True, False], False)])
def test_hugging_face_is_free_where_everyone_who_serves_it_is(frees: list[bool], is_free: bool) -> None:
    providers = [{"status": "live", "is_free": free, "context_length": 1000 * (n + 1)} for n, free in enumerate(frees)]
    dead = {"status": "error", "is_free": False, "context_length": 9_000}
    model = read_one("huggingface", {"id": "a/b", "providers": [*providers, dead]})
    assert (model.is_free, model.context_window) == (is_free, 2000)


def test_hugging_face_without_a_live_provider_offers_nothing() -> None:
    assert read_advertised("huggingface", {"data": [{"id": "a/b", "providers": [{"status": "error"}]}]}) == ()


def test_together_gives_a_bare_list_and_marks_free_ones_by_name() -> None:
    nothing = {"input": 0, "output": 0}
    entries = [
        {"id": "m/A-Free", "type": "chat", "context_length": 8192, "pricing": nothing},
        {"id": "m/B", "type": "chat", "pricing": nothing},
        {"id": "m/C", "type": "embedding", "pricing": nothing},
    ]
    assert read_advertised("together", entries) == (Advertised("m/A-Free", True, 8192), Advertised("m/B"))


def test_mistral_tells_capabilities() -> None:
    model = read_one(
        "mistral",
        {"id": "mistral-small-2603", "max_context_length": 256_000,
         "capabilities": {"completion_chat": True, "function_calling": True, "vision": False}},
    )  # fmt: skip
    assert model.capabilities is not None
    assert Need.TOOLS in model.capabilities and Need.VISION not in model.capabilities
    assert (model.is_free, model.context_window) == (True, 256_000)


def test_gemini_is_read_in_both_of_its_shapes() -> None:
    native = {"models": [
        {"name": "models/gemini-3.5-flash", "inputTokenLimit": 1048576, "outputTokenLimit": 65536,
         "supportedGenerationMethods": ["generateContent"]},
        {"name": "models/text-thing", "supportedGenerationMethods": ["embedContent"]},
    ]}  # fmt: skip
    assert read_advertised("gemini", native) == (Advertised("gemini-3.5-flash", True, 1048576, 65536),)
    assert read_one("gemini", {"id": "models/gemini-3.1-pro"}) == Advertised("gemini-3.1-pro", False)


@pytest.mark.parametrize(
    ("provider", "entry", "expected"),
    [
        ("deepinfra", {"id": "a/b", "metadata": {"context_length": 4096, "max_tokens": 512}},
         Advertised("a/b", False, 4096, 512)),
        ("sambanova", {"id": "A", "context_length": 8192, "max_completion_tokens": 1024},
         Advertised("A", False, 8192, 1024)),
        ("fireworks", {"id": "accounts/fireworks/models/a", "supports_chat": True, "context_length": 9},
         Advertised("accounts/fireworks/models/a", False, 9)),
        ("cerebras", {"id": "gpt-oss-120b"}, Advertised("gpt-oss-120b", True)),
        ("xai", {"id": "grok-4"}, Advertised("grok-4")),
    ],
)  # fmt: skip
def test_the_other_shapes(provider: str, entry: dict[str, Any], expected: Advertised) -> None:
    assert read_one(provider, entry) == expected


@pytest.mark.parametrize("document", [None, "no", {}, {"data": {}}, {"error": {"message": "no"}}])
def test_what_is_no_list_is_told(document: Any) -> None:
    with pytest.raises(ListingError):
        read_advertised("groq", document)


@pytest.mark.parametrize(
    "provider", ["groq", "openrouter", "huggingface", "together", "mistral", "gemini", "deepinfra"]
)
def test_odd_entries_are_left_out_and_hurt_no_others(provider: str) -> None:
    odd: list[Any] = [
        None,
        3,
        {},
        {"id": None},
        {"id": 5},
        {"id": "x" * 300},
        {"id": "o", "pricing": [], "providers": 1},
    ]
    good = {"id": "a/good-Free", "pricing": {"input": 0, "output": 0}, "providers": [{"status": "live"}]}
    ids = [model.id for model in read_advertised(provider, {"data": [*odd, good]})]
    assert "a/good-Free" in ids and all(0 < len(id) <= 256 for id in ids)


def test_odd_windows_are_not_known() -> None:
    for window in (0, -1, True, "4096", None, 10**12, float("inf"), float("nan")):
        assert read_one("groq", {"id": "m", "context_window": window}).context_window is None


@pytest.mark.parametrize("id", ["bad id 20b", "a\u202eb-20b", "a\x00b", "", "x" * 300])
def test_names_that_are_none_are_left_out(id: str) -> None:
    models = read_advertised("openai_compatible", {"data": [{"id": id}, {"id": "good-20b"}]})
    assert [model.id for model in models] == ["good-20b"]
