"""The brand table holds what the settings and the wire formats need."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from llmrouter.brands import BRANDS
from llmrouter.brands.brand import Brand, Offer, where
from llmrouter.brands.dialect import Detour, Dialect, Structured, Thinking
from llmrouter.brands.members import COMPATIBLE
from llmrouter.providers.formats import WIRE_FORMATS

HOSTED = {
    "anthropic": "ANTHROPIC_API_KEY",
    "azure": "AZURE_OPENAI_API_KEY",
    "cerebras": "CEREBRAS_API_KEY",
    "cloudflare": "CLOUDFLARE_API_TOKEN",
    "cohere": "COHERE_API_KEY",
    "deepinfra": "DEEPINFRA_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "fireworks": "FIREWORKS_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "groq": "GROQ_API_KEY",
    "huggingface": "HUGGINGFACE_API_TOKEN",
    "mistral": "MISTRAL_API_KEY",
    "nvidia_nim": "NVIDIA_NIM_KEY",
    "openai": "OPENAI_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "sambanova": "SAMBANOVA_API_KEY",
    "together": "TOGETHER_API_KEY",
    "xai": "XAI_API_KEY",
}
LOCAL = ("ollama", "vllm", "llama_cpp", "lm_studio")
GENERIC = ("openai_compatible", "openai_responses", "echo")


def dialects(brand: Brand) -> list[Dialect]:
    """All that a brand's row can say."""
    found = [brand.dialect, *(brand.dialect_for(model) for rule in brand.rules for model in rule.models)]
    return found + [detour.dialect for dialect in found for detour in dialect.detours]


def test_the_table_has_the_promised_brands() -> None:
    assert set(BRANDS) == {*HOSTED, *LOCAL, *GENERIC}


@pytest.mark.parametrize("brand", BRANDS.values(), ids=BRANDS)
def test_each_row_is_sound(brand: Brand) -> None:
    assert BRANDS[brand.name] is brand
    assert brand.source
    assert brand.key_required == (brand.key_env is not None)
    assert brand.endpoints
    for dialect in dialects(brand):
        assert dialect.wire_format in {*WIRE_FORMATS, "echo"}
        assert not dialect.drops & dialect.refuses
        assert not {ours for ours, _ in dialect.renames} & (dialect.drops | dialect.refuses)


def test_the_keys_are_those_that_users_know() -> None:
    assert {name: BRANDS[name].key_env for name in HOSTED} == HOSTED


@pytest.mark.parametrize("name", HOSTED)
def test_keys_go_to_companies_only_over_tls(name: str) -> None:
    assert str(BRANDS[name].base_url).startswith("https://")


@pytest.mark.parametrize("name", LOCAL)
def test_local_servers_are_on_this_machine_and_need_no_key(name: str) -> None:
    assert str(BRANDS[name].base_url).startswith("http://localhost:")
    assert not BRANDS[name].key_required


def test_only_openai_and_azure_get_what_only_openai_knows() -> None:
    compatible = {name for name, brand in BRANDS.items() if brand.dialect.wire_format == "openai_compatible"}
    assert {name for name in compatible if "store" not in BRANDS[name].dialect.drops} == {"openai", "azure"}


CLAUDES = {
    "claude-haiku-4-5-20251001": (True, Thinking.BUDGET, True, True),
    "claude-opus-4-6": (True, Thinking.LEVEL, True, False),
    "claude-opus-4-8": (False, Thinking.LEVEL, True, False),
    "claude-sonnet-5": (False, Thinking.LEVEL, True, False),
    "claude-fable-5": (False, Thinking.ALWAYS, True, False),
    "claude-fable-5-1": (False, Thinking.ALWAYS, False, False),
    "claude-opus-5-5": (False, Thinking.ALWAYS, False, False),
    "claude-haiku-5-5": (False, Thinking.LEVEL, True, False),
    "claude-3-5-sonnet-20241022": (True, Thinking.NONE, True, True),
    "claude-sonnet-4-20250514": (True, Thinking.BUDGET, True, True),
    "claude-of-tomorrow-9": (False, Thinking.LEVEL, True, False),
}


@pytest.mark.parametrize("model", CLAUDES)
def test_what_a_model_of_anthropic_takes(model: str) -> None:
    """The table of capability flags in the provider reference, section 3.2."""
    dialect = BRANDS["anthropic"].dialect_for(model)
    takes_sampling = "temperature" not in dialect.drops
    assert (takes_sampling, dialect.thinking, dialect.forces_tools, dialect.takes_prefill) == CLAUDES[model]


OPENAI_WAYS = {
    ("gpt-4o", frozenset({"tools"})): "openai_compatible",
    ("gpt-5.4", frozenset({"tools"})): "openai_compatible",
    ("gpt-5.4", frozenset({"tools", "reasoning_effort"})): "openai_responses",
    ("gpt-6-astra", frozenset({"tools"})): "openai_responses",
    ("gpt-6-sol", frozenset({"tools", "stream"})): "openai_responses",
    ("gpt-6-sol", frozenset({"stream"})): "openai_compatible",
}


@pytest.mark.parametrize(("model", "members"), OPENAI_WAYS)
def test_models_of_openai_that_take_tools_only_in_responses_get_them_there(model: str, members: frozenset[str]) -> None:
    expected = OPENAI_WAYS[model, members]
    assert BRANDS["openai"].dialect_for(model).for_members(members).wire_format == expected
    assert BRANDS["azure"].dialect_for(model).for_members(members).wire_format == expected


def test_a_model_of_openai_that_does_not_reason_now_takes_a_temperature() -> None:
    dialect = BRANDS["openai"].dialect_for("gpt-6-luna")
    assert "temperature" in dialect.drops
    quiet = dialect.for_members(frozenset({"reasoning_effort", "reasoning_effort:none", "temperature"}))
    assert "temperature" not in quiet.drops


def test_gemini_takes_its_own_format_for_what_its_compatible_route_loses() -> None:
    dialect = BRANDS["gemini"].dialect_for("gemini-3.5-flash")
    assert dialect.for_members(frozenset({"stream"})).wire_format == "openai_compatible"
    assert dialect.for_members(frozenset({"stream", "tools"})).wire_format == "gemini"


def test_rules_apply_in_order_whatever_the_case_of_the_model() -> None:
    brand = Brand(
        name="imaginary",
        base_url=None,
        key_env=None,
        dialect=COMPATIBLE,
        source="a test",
        endpoints=(Offer.CHAT,),
        rules=(where("a*", flattens=True), where("ab*", flattens=False, structured=Structured.PROMPT)),
    )
    assert brand.dialect_for("Ax").flattens
    assert not brand.dialect_for("ABx").flattens
    assert brand.dialect_for("abx").structured is Structured.PROMPT
    assert brand.dialect_for("b") == COMPATIBLE


def test_the_first_detour_that_fits_is_taken() -> None:
    first, second = replace(COMPATIBLE, flattens=True), replace(COMPATIBLE, takes_strict=False)
    dialect = replace(
        COMPATIBLE, detours=(Detour(frozenset({"tools", "n"}), first), Detour(frozenset({"tools"}), second))
    )
    assert dialect.for_members(frozenset({"tools", "n", "stop"})) is first
    assert dialect.for_members(frozenset({"tools"})) is second
    assert dialect.for_members(frozenset({"n"})) is dialect


def test_the_docs_have_a_row_for_every_brand() -> None:
    docs = (Path(__file__).parents[1] / "docs" / "providers.md").read_text()
    assert re.findall(r"^\| `.*\|$", docs.partition("\n- ")[0], re.MULTILINE) == [
        row_of(one) for one in BRANDS.values()
    ]


def row_of(brand: Brand) -> str:
    """As docs/providers.md tells a brand."""
    variables = [brand.key_env or "none", *re.findall(r"{(\w+)}", brand.base_url or "")]
    told = " and ".join(name if name == "none" else f"`{name}`" for name in variables)
    return f"| `{brand.name}` | {told} | {', '.join(brand.endpoints)} |"
