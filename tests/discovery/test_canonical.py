"""One model has one canonical name at every provider, and another model another."""

import pytest

from llmrouter.discovery.canonical import canonical_name
from llmrouter.discovery.quality import quality_of, size_of


@pytest.mark.parametrize(
    ("canonical", "ids"),
    [
        (
            "deepseek-r1-distill-llama-70b",
            [
                ("groq", "deepseek-r1-distill-llama-70b"),
                ("openrouter", "deepseek/deepseek-r1-distill-llama-70b:free"),
                ("openrouter", "deepseek/deepseek-r1-distill-llama-70b"),
                ("nvidia_nim", "deepseek-ai/deepseek-r1-distill-llama-70b"),
                ("sambanova", "DeepSeek-R1-Distill-Llama-70B"),
                ("huggingface", "deepseek-ai/DeepSeek-R1-Distill-Llama-70B:groq"),
            ],
        ),
        (
            "llama-3.3-70b",
            [
                ("groq", "llama-3.3-70b-versatile"),
                ("openrouter", "meta-llama/llama-3.3-70b-instruct:free"),
                ("nvidia_nim", "meta/llama-3.3-70b-instruct"),
                ("cerebras", "llama-3.3-70b"),
                ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo-Free"),
                ("fireworks", "accounts/fireworks/models/llama-v3p3-70b-instruct"),
                ("sambanova", "Meta-Llama-3.3-70B-Instruct"),
            ],
        ),
        ("llama-3.1-8b", [("groq", "llama-3.1-8b-instant"), ("cerebras", "llama3.1-8b")]),
        ("gpt-oss-120b", [("groq", "openai/gpt-oss-120b"), ("cerebras", "gpt-oss-120b")]),
        ("qwen3-32b", [("groq", "qwen/qwen3-32b"), ("cerebras", "qwen-3-32b")]),
        ("gemma-3-27b", [("gemini", "models/gemma-3-27b-it"), ("openrouter", "google/gemma-3-27b-it:free")]),
        ("deepseek-v3.1", [("openrouter", "deepseek/deepseek-chat-v3.1"), ("nvidia_nim", "deepseek-ai/deepseek-v3.1")]),
        (
            "llama-4-maverick",
            [
                ("openrouter", "meta-llama/llama-4-maverick:free"),
                ("nvidia_nim", "meta/llama-4-maverick-17b-128e-instruct"),
                ("together", "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8"),
            ],
        ),
        (
            "nemotron-nano-9b-v2",
            [("nvidia_nim", "nvidia/nvidia-nemotron-nano-9b-v2"), ("openrouter", "nvidia/nemotron-nano-9b-v2:free")],
        ),
    ],
)
def test_one_name_everywhere(canonical: str, ids: list[tuple[str, str]]) -> None:
    assert {canonical_name(provider, id) for provider, id in ids} == {canonical}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("qwen/qwen3-235b-a22b-instruct-2507", "qwen/qwen3-235b-a22b-thinking-2507"),
        ("qwen/qwen3-235b-a22b-instruct-2507", "qwen/qwen3-235b-a22b"),
        ("moonshotai/kimi-k2-instruct", "moonshotai/kimi-k2-instruct-0905"),
        ("openai/gpt-3.5-turbo", "openai/gpt-3.5-turbo-instruct"),
        ("openai/gpt-5", "openai/gpt-5-chat"),
        ("meta-llama/llama-3.1-8b-instruct", "meta-llama/llama-3.3-8b-instruct"),
        ("deepseek/deepseek-chat", "deepseek/deepseek-coder"),
    ],
)
def test_different_models_keep_different_names(one: str, other: str) -> None:
    assert canonical_name("openrouter", one) != canonical_name("openrouter", other)


def test_a_word_of_one_provider_means_something_else_at_another() -> None:
    assert canonical_name("together", "Qwen/Qwen2.5-7B-Instruct-Turbo") == "qwen2.5-7b"
    assert canonical_name("openrouter", "qwen/qwen3-turbo") == "qwen3-turbo"


@pytest.mark.parametrize(
    ("name", "billions"),
    [("llama-3.3-70b", 70), ("mixtral-8x7b", 56), ("qwen3-235b-a22b", 235), ("gemma-3n-e4b", None), ("kimi-k2", None)],
)
def test_sizes_are_read_from_names(name: str, billions: float | None) -> None:
    assert size_of(name) == billions


def test_quality_follows_size_and_is_not_known_without_one() -> None:
    small, large, largest = quality_of("llama-3.1-8b"), quality_of("llama-3.3-70b"), quality_of("huge-900t")
    assert (small, large, largest) == (0.49, 0.7, 0.95)
    assert quality_of("kimi-k2") is None
    assert quality_of("kimi-k2", 1000) == 0.95
