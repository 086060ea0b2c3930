"""`llmrouter prices` shows what every target costs, who says so and how old that is, and never prints a key."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import genai_prices
import pytest
import yaml
from click.testing import CliRunner, Result

from llmrouter.cli.prices import prices
from llmrouter.discovery.kept_listings import KEPT_LISTINGS, load_listings, save_listings
from llmrouter.routing.price_sheets import Hours, Override, PriceSheet

HOURS = Hours(16 * 3600 + 1800, 1800, frozenset({0, 4}))
LIBRARY = f"genai-prices {genai_prices.__version__}"


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, where nobody is asked but whom a test names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMROUTER_CONFIG", "providers.yaml")
    monkeypatch.setenv("GROQ_API_KEY", "key-of-groq")
    monkeypatch.setenv("OPENROUTER_API_KEY", "key-of-openrouter")


def configure(base_url: str = "http://127.0.0.1:9/v1") -> None:
    """A configured target, one of the library, one of a listing, and one of which nobody knows anything."""
    providers = [
        {"name": "mine", "type": "echo", "models": [{"id": "m", "price": {"input": 0, "output": 0.25}}]},
        {"type": "groq", "model": "llama-3.3-70b-versatile"},
        {"type": "openrouter", "base_url": base_url, "model": "a/m"},
        {"type": "ollama", "model": "llama3.3"},
    ]
    Path("providers.yaml").write_text(yaml.safe_dump({"providers": providers}))


def run(*options: str) -> Result:
    """The command's result, whose output is never a key's."""
    result = CliRunner().invoke(prices, options)
    assert "key-of" not in result.output
    return result


def rows(result: Result) -> dict[str, dict[str, Any]]:
    """The JSON rows by target."""
    return {row["target"]: row for row in json.loads(result.stdout)}


@contextlib.contextmanager
def provider(status: int, document: Any) -> Iterator[str]:
    """A server on loopback that answers everything so; gives the address of its API."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


def test_the_table() -> None:
    """Nobody is asked; what is not known is not shown as 0."""
    configure()
    result = run()
    assert result.exit_code == 0
    lines = [line.split("  ") for line in result.stdout.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert cells == [
        ["target", "input", "output", "cached", "cache write", "source", "age"],
        ["mine/m", "0", "0.25", "-", "-", "configured", "-"],
        ["groq/llama-3.3-70b-versatile", "0.59", "0.79", "-", "-", LIBRARY, "-"],
        ["openrouter/a/m", "-", "-", "-", "-", "price not known", "-"],
        ["ollama/llama3.3", "-", "-", "-", "-", "price not known", "-"],
        [],
        ["US dollars per million tokens."],
    ]


@pytest.mark.parametrize(
    ("seconds", "age"), [(5, "5 s"), (125, "2 min"), (7200, "2 h"), (3 * 86_400, "3 d"), (-60, "0 s")]
)
def test_a_kept_listing_has_an_age(seconds: float, age: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And other prices for long prompts and at night."""
    monkeypatch.setattr("llmrouter.cli.prices.Clock", StoppedClock)
    configure()
    sheet = PriceSheet(
        input=1,
        output=2.5,
        cached_input=0.1,
        cache_write=1.25,
        per_request_usd=0.005,
        overrides=(
            Override(from_tokens=200_000, input=2),
            Override(from_tokens=9, hours=HOURS, output=1, cached_input=0),
        ),
        source="listed by openrouter",
        read_at=1_795_000_000.0 - seconds,
    )
    save_listings(KEPT_LISTINGS, {"http://127.0.0.1:9/v1/models?limit=1000": {"a/m": sheet}})
    text = run().stdout
    row = next(line for line in text.splitlines() if line.startswith("openrouter/a/m "))
    assert row.split()[:5] == ["openrouter/a/m", "1", "2.5", "0.1", "1.25"]
    assert row.endswith(f"listed by openrouter  {age}")
    assert text.splitlines()[-4:] == [
        "Other prices:",
        "  openrouter/a/m, per request: 0.005",
        "  openrouter/a/m, from 200000 input tokens on: input 2",
        "  openrouter/a/m, from 9 input tokens on and Mon Fri 16:30-00:30 UTC: output 1, cached 0",
    ]
    assert rows(run("--json"))["openrouter/a/m"] == {
        "target": "openrouter/a/m",
        "input": 1,
        "output": 2.5,
        "cached_input": 0.1,
        "cache_write": 1.25,
        "per_request_usd": 0.005,
        "overrides": [
            {
                "from_tokens": 200_000,
                "hours": None,
                "input": 2,
                "output": None,
                "cached_input": None,
                "cache_write": None,
            },
            {
                "from_tokens": 9,
                "hours": "Mon Fri 16:30-00:30 UTC",
                "input": None,
                "output": 1,
                "cached_input": 0,
                "cache_write": None,
            },
        ],
        "source": "listed by openrouter",
        "read_at": 1_795_000_000.0 - seconds,
    }


class StoppedClock:
    """Stands still."""

    def wall(self) -> float:
        return 1_795_000_000.0


def test_json() -> None:
    """What is not known is null."""
    configure()
    told = rows(run("--json"))
    assert list(told) == ["mine/m", "groq/llama-3.3-70b-versatile", "openrouter/a/m", "ollama/llama3.3"]
    unknown = dict.fromkeys(told["mine/m"]) | {"target": "ollama/llama3.3", "overrides": []}
    assert told["ollama/llama3.3"] == unknown
    assert (told["mine/m"]["input"], told["mine/m"]["source"]) == (0, "configured")


def test_refresh() -> None:
    """The provider is asked, and what it says is kept for the next time."""
    document = {"data": [{"id": "a/m", "pricing": {"prompt": "0.000001", "completion": "0.000002"}}]}
    with provider(200, document) as address:
        configure(address)
        result = run("--refresh", "--json")
    assert result.exit_code == 0
    assert (rows(result)["openrouter/a/m"]["input"], result.stderr) == (1.0, "")
    assert rows(run("--json"))["openrouter/a/m"] == rows(result)["openrouter/a/m"]
    assert list(load_listings(KEPT_LISTINGS)) == [f"{address}/models?limit=1000"]


def test_a_provider_that_fails() -> None:
    """It is told, the exit code says so, and the rest is printed all the same."""
    with provider(503, {}) as address:
        configure(address)
        result = run("--refresh", "--json")
    assert result.exit_code == 1
    assert result.stderr == "openrouter: it answered 503.\n"
    assert rows(result)["groq/llama-3.3-70b-versatile"]["input"] == 0.59


def test_a_bad_configuration() -> None:
    """It is told as everywhere else."""
    Path("providers.yaml").write_text("providers: 5\n")
    result = run()
    assert (result.exit_code, result.stdout) == (1, "")
    assert "providers.yaml:1" in result.stderr


def test_no_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    """All keys are missing."""
    monkeypatch.delenv("GROQ_API_KEY")
    Path("providers.yaml").write_text(yaml.safe_dump({"providers": [{"type": "groq", "model": "m"}]}))
    result = run()
    assert result.stdout == "There are no targets.\n"
    assert result.stderr == "Provider groq is left out: GROQ_API_KEY is not set.\n"


def test_without_a_configuration_the_prices_are_those_of_the_catalog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LLMROUTER_CONFIG", raising=False)
    for name in ("GROQ_API_KEY", "OPENROUTER_API_KEY", "NVIDIA_NIM_KEY"):
        monkeypatch.setenv(name, "key")
    result = CliRunner().invoke(prices)
    assert result.exit_code == 0, result.output
    free = [line for line in result.output.splitlines() if line.startswith("groq/")]
    assert free and all("catalog: free" in line for line in free)
    assert "configured" not in result.output
