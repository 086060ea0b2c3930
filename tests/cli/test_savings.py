"""`llmrouter savings` plans recorded calls as the router would, and says what that saves."""

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from mitmproxy.io import FlowWriter

from llmrouter.cli.main import main
from tests.cli.recordings import NOON, USAGE, Recorded, chat, flow_of, response, streamed, write_flows, write_har

CONFIG = """
providers:
  - name: cheap
    type: groq
    models: [{id: small, serves: ["gpt-4o*"], price: {input: 1, output: 2, cached_input: 0.1},
              capabilities: [tools, json_object]}]
  - name: other
    type: openai
    priority: 20
    models: [{id: gpt-4o, serves: ["gpt-4o"], price: {input: 10, output: 20, cached_input: 5}},
             {id: gpt-4, serves: ["nobody"], price: {input: 30, output: 60}},
             {id: text-embedding-3-small, price: {input: 100, output: 0}}]
"""
# 600 fresh and 400 cached tokens in, 100 out, at OpenAI's prices; and all of them fresh at the cheap one's.
AT_OPENAI = (600 * 10 + 400 * 5 + 100 * 20) / 1e6
AT_CHEAP = (1000 * 1 + 100 * 2) / 1e6

type Writer = Callable[..., Path]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("LLMROUTER_CONFIG", "LLMROUTER_PROVIDERS", "OPENROUTER_API_KEY", "NVIDIA_NIM_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GROQ_API_KEY", "key-of-groq")
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-openai")
    Path("providers.yaml").write_text(CONFIG)


def savings(file: Path, *arguments: str, config: str | None = "providers.yaml") -> Any:
    told = [] if config is None else ["--config", config]
    return CliRunner().invoke(main, ["savings", str(file), *told, *arguments])


def told_of(*recorded: Recorded, **options: Any) -> dict[str, Any]:
    result = savings(write_flows(Path("flows"), *recorded), "--json", **options)
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


@pytest.mark.parametrize("write", [write_flows, write_har])
def test_all_kinds_of_calls(write: Writer) -> None:
    """The same figures from both kinds of file."""
    embedding = {"data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 50, "total_tokens": 50}}
    text = {"choices": [{"text": "pong", "finish_reason": "stop"}], "usage": USAGE}
    recorded = [
        chat("one"),
        streamed("two", usage=USAGE),
        response(),
        response(stream=True),
        Recorded({"model": "gpt-4o", "prompt": "x"}, json.dumps(text).encode(), path="/v1/completions"),
        Recorded(
            {"model": "text-embedding-3-small", "input": "x"}, json.dumps(embedding).encode(), path="/v1/embeddings"
        ),
    ]
    result = savings(write(Path("recorded"), *recorded), "--json")
    assert result.exit_code == 0, result.output
    chats, embeddings = json.loads(result.stdout)["models"]
    assert (chats["model"], chats["calls"], chats["served"]) == ("gpt-4o", 5, 5)
    assert (chats["input_tokens"], chats["cached_tokens"], chats["output_tokens"]) == (5000, 2000, 500)
    assert chats["targets"] == {"cheap/small": 5}
    assert chats["openai"] == {"usd": pytest.approx(5 * AT_OPENAI), "unknown": 0}
    assert chats["router"] == {"usd": pytest.approx(5 * AT_CHEAP), "unknown": 0}
    assert chats["saved"] == {"usd": pytest.approx(5 * (AT_OPENAI - AT_CHEAP)), "unknown": 0}
    assert (embeddings["model"], embeddings["input_tokens"]) == ("text-embedding-3-small", 50)
    assert embeddings["openai"]["usd"] == embeddings["router"]["usd"] == pytest.approx(50 * 100 / 1e6)


def test_the_cache_answers_what_was_asked_before() -> None:
    """The same caller within the hour, and only where the answer may be kept."""
    mine, others = {"authorization": "Bearer key-of-me"}, {"authorization": "Bearer key-of-others"}
    recorded = []
    for at, headers in ((0, mine), (10, mine), (20, others), (3700, mine)):
        one = chat("same", temperature=0)
        one.at, one.headers = NOON + at, headers
        recorded.append(one)
    (line,) = told_of(*recorded, chat("same"), chat("same"))["models"]
    assert (line["calls"], line["cached"], line["served"]) == (6, 1, 5)
    assert line["saved"]["usd"] == pytest.approx(5 * (AT_OPENAI - AT_CHEAP) + AT_OPENAI)


def test_a_stream_without_usage_is_estimated() -> None:
    told = told_of(streamed("x" * 4000, text="y" * 400))
    (line,) = told["models"]
    assert line["estimated"] == 1
    assert 1000 <= line["input_tokens"] < 1020
    assert line["output_tokens"] == 100
    assert any("estimated" in note for note in told["notes"])


def test_an_answer_that_was_not_recorded_is_unknown() -> None:
    lost = streamed()
    lost.answer = b""
    (line,) = told_of(lost)["models"]
    assert line["unknown_usage"] == 1
    assert line["openai"] == line["router"] == line["saved"] == {"usd": 0.0, "unknown": 1}
    assert savings(Path("flows")).output.count("unknown") == 3


def test_what_could_not_be_served_and_why() -> None:
    """A model that nobody serves goes to OpenAI as before, as do tools that only OpenAI has."""
    needs = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}]}]
    pinned = chat("x", model="gpt-4o-mini", messages=needs)
    told = told_of(chat(model="gpt-4"), pinned, response(tools=[{"type": "web_search"}]))
    lines = {line["model"]: line for line in told["models"]}
    assert lines["gpt-4"]["reasons"] == {"no target serves this model": 1}
    assert lines["gpt-4"]["openai"] == lines["gpt-4"]["router"]
    assert lines["gpt-4"]["openai"]["usd"] == pytest.approx((1000 * 30 + 100 * 60) / 1e6)
    assert lines["gpt-4o-mini"]["passed_on"] == 0
    assert "it cannot do: vision" in next(iter(lines["gpt-4o-mini"]["reasons"]))
    assert lines["gpt-4o"]["reasons"] == {"only OpenAI has: web_search": 1}
    assert lines["gpt-4o"]["router"]["usd"] == pytest.approx(AT_OPENAI)
    assert told["total"]["saved"] == {"usd": 0.0, "unknown": 0}
    assert (told["total"]["not_served"], told["total"]["passed_on"]) == (3, 2)


def test_a_response_that_goes_on_has_the_prompt_that_openai_counted() -> None:
    """What came before is not in the request: a target whose window is too small for all of it is left out."""
    Path("providers.yaml").write_text(CONFIG.replace("{id: small,", "{id: small, context_window: 500,"))
    (line,) = told_of(response(previous_response_id="resp_0"), response())["models"]
    assert line["targets"] == {"other/gpt-4o": 1, "cheap/small": 1}


def test_compressed_and_encoded_bodies() -> None:
    one = flow_of(chat())
    assert one.response is not None
    one.request.headers["content-encoding"] = one.response.headers["content-encoding"] = "gzip"
    one.request.content, one.response.content = one.request.raw_content, one.response.raw_content
    with Path("flows").open("wb") as opened:
        FlowWriter(opened).add(one)
    har = json.loads(write_har(Path("har"), chat()).read_text())
    content = har["log"]["entries"][0]["response"]["content"]
    content |= {"text": b64encode(content["text"].encode()).decode(), "encoding": "base64"}
    Path("har").write_bytes(b"\xef\xbb\xbf" + json.dumps(har).encode())
    for file in (Path("flows"), Path("har")):
        total = json.loads(savings(file, "--json").stdout)["total"]
        assert (total["calls"], total["input_tokens"], total["estimated"]) == (1, 1000, 0)


def test_limits_are_counted() -> None:
    """Two requests a day fit the cheap one; the third goes on to the next."""
    Path("providers.yaml").write_text(CONFIG.replace("type: groq", "type: groq\n    limits: {rpd: 2}", 1))
    recorded = [chat(f"number {number}") for number in range(3)]
    for number, one in enumerate(recorded):
        one.at += number
    (line,) = told_of(*recorded)["models"]
    assert line["targets"] == {"cheap/small": 2, "other/gpt-4o": 1}
    assert line["router"]["usd"] == pytest.approx(2 * AT_CHEAP + AT_OPENAI)
    assert "No limits" not in savings(Path("flows")).output
    Path("providers.yaml").write_text(CONFIG)
    assert "No limits are configured" in savings(Path("flows")).output


def test_calls_that_failed_at_openai_cost_nothing() -> None:
    busy, wrong = chat("a"), chat("b")
    busy.status, wrong.status = 429, 400
    told = told_of(busy, wrong, chat("c"))
    (line,) = told["models"]
    assert (line["calls"], line["failed"], line["rescued"]) == (1, 2, 1)
    assert line["openai"]["usd"] == pytest.approx(AT_OPENAI)


def test_what_is_no_call_is_left_out() -> None:
    listing = Recorded("", b"{}", path="/v1/models", method="GET")
    foreign = chat()
    foreign.host = "api.example.com"
    told = told_of(listing, foreign, chat())
    assert told["total"]["calls"] == 1
    assert sorted(told["left_out"].values()) == [1, 1]
    assert json.loads(savings(Path("flows"), "--json", "--host", "api.example.com").stdout)["total"]["calls"] == 1


def test_for_people() -> None:
    result = savings(write_flows(Path("flows"), chat("one"), chat(model="gpt-4"), chat(model="gpt-4o\x1b[2J")))
    assert result.exit_code == 0
    (row,) = [line.split() for line in result.output.splitlines() if line.startswith("gpt-4o  ")]
    assert row == ["gpt-4o", "1", "1,000", "100", "$0.0100", "$0.0012", "$0.0088", "0", "0"]
    assert "cheap/small: 2" in result.output
    assert "no target serves this model" in result.output
    assert "\x1b" not in result.output
    assert "key-of" not in result.output


def test_without_a_configuration_the_free_catalog_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """With keys that are not set, too: nothing is sent."""
    monkeypatch.delenv("GROQ_API_KEY")
    told = told_of(chat(), config=None)
    (line,) = told["models"]
    assert line["served"] == 1
    assert line["router"] == {"usd": 0.0, "unknown": 0}
    assert line["saved"]["usd"] > 0
    assert any("No key is set" in note for note in told["notes"])


def test_foreign_and_damaged_files() -> None:
    def error_of(data: bytes) -> str:
        Path("foreign").write_bytes(data)
        result = savings(Path("foreign"))
        assert result.exit_code == 1
        return str(result.stderr)

    assert "is empty" in error_of(b"")
    assert "neither a file of flows" in error_of(b"GIF89a and so on")
    assert "neither a file of flows" in error_of(b"5:hello,")
    assert "no log.entries" in error_of(b'{"a": 1}')
    assert "cut off" in error_of(b'{"log": {"entries": [')
    assert "holds no call of a model" in error_of(b'{"log": {"entries": []}}')


def test_what_is_whole_in_a_damaged_file_counts() -> None:
    whole = write_flows(Path("flows"), chat("one"), chat("two")).read_bytes()
    Path("cut").write_bytes(whole[:-100])
    result = savings(Path("cut"), "--json")
    told = json.loads(result.stdout)
    assert told["total"]["calls"] == 1
    assert any("damaged after 1 flows" in note for note in told["notes"])
    told = json.loads(savings(write_har(Path("har"), chat("one"), broken_entries=2), "--json").stdout)
    assert told["total"]["calls"] == 1
    assert list(told["left_out"].values()) == [2]
