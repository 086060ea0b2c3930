"""The brand table holds what the settings and the wire formats need."""

import pytest

from llmrouter.brands import BRANDS, Brand

HOSTED = (
    *("openai", "groq", "openrouter", "nvidia_nim", "huggingface", "together"),
    *("mistral", "deepseek", "cerebras", "fireworks", "deepinfra", "xai", "gemini"),
)
LOCAL = ("ollama", "vllm", "llama_cpp", "lm_studio")


def test_the_table_has_the_promised_brands() -> None:
    assert set(BRANDS) == {"echo", *HOSTED, *LOCAL, "openai_compatible"}


@pytest.mark.parametrize("brand", BRANDS.values(), ids=BRANDS)
def test_each_row_is_sound(brand: Brand) -> None:
    assert BRANDS[brand.name] is brand
    assert brand.wire_format in ("echo", "openai_compatible")
    assert brand.source
    assert brand.key_required == (brand.key_env is not None)


@pytest.mark.parametrize("name", HOSTED)
def test_keys_go_to_companies_only_over_tls(name: str) -> None:
    assert str(BRANDS[name].base_url).startswith("https://")


@pytest.mark.parametrize("name", LOCAL)
def test_local_servers_are_on_this_machine_and_need_no_key(name: str) -> None:
    assert str(BRANDS[name].base_url).startswith("http://localhost:")
    assert not BRANDS[name].key_required


def test_the_keys_are_those_that_users_know() -> None:
    assert {name: BRANDS[name].key_env for name in HOSTED} == {
        "openai": "OPENAI_API_KEY",
        "groq": "GROQ_API_KEY",
        "openrouter": "OPENROUTER_API_KEY",
        "nvidia_nim": "NVIDIA_NIM_KEY",
        "huggingface": "HUGGINGFACE_API_TOKEN",
        "together": "TOGETHER_API_KEY",
        "mistral": "MISTRAL_API_KEY",
        "deepseek": "DEEPSEEK_API_KEY",
        "cerebras": "CEREBRAS_API_KEY",
        "fireworks": "FIREWORKS_API_KEY",
        "deepinfra": "DEEPINFRA_API_KEY",
        "xai": "XAI_API_KEY",
        "gemini": "GEMINI_API_KEY",
    }


def test_only_openai_gets_what_only_openai_knows() -> None:
    getting = {name for name, brand in BRANDS.items() if brand.wire_format != "echo" and "store" not in brand.drops}
    assert getting == {"openai"}
