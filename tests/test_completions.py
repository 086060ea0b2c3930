"""Text completions through the gateway: by targets that have them, and by chat at all others."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from openai.types import Completion
from pydantic import SecretStr

from llmrouter.calls import Caller, Preferences
from llmrouter.endpoints import completions
from llmrouter.errors import InvalidRequest, Outcome
from tests.fakes.behaviours import Exchange
from tests.fakes.provider import Answer, FakeProvider, Status, sse
from tests.gateways import GatewayUnderTest, Told, gateway, provider

LOGPROBS = {"tokens": ["a", "b"], "token_logprobs": [-0.1, -0.2], "top_logprobs": None, "text_offset": [0, 1]}


@dataclass(slots=True, eq=False)
class Text:
    """A provider's /completions: its words one by one, or whole; one choice for each prompt."""

    words: tuple[str, ...] = ("one", " two", " three")
    more: Mapping[str, Any] = field(default_factory=dict)

    async def perform(self, exchange: Exchange) -> None:
        asked = exchange.seen.json()
        prompt = asked["prompt"]
        count = 1 if isinstance(prompt, str) or isinstance(prompt[0], int) else len(prompt)
        frame = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": asked["model"]}
        usage = {"prompt_tokens": 3, "completion_tokens": len(self.words), "total_tokens": 3 + len(self.words)}
        if not asked.get("stream"):
            end = {"logprobs": None, "finish_reason": "stop"} | dict(self.more)
            choices = [{"index": n, "text": "".join(self.words), **end} for n in range(count)]
            body = json.dumps(frame | {"choices": choices, "usage": usage}).encode()
            await exchange.reply(200, {"content-type": "application/json"}, body)
            return
        await exchange.begin_stream(200, {"content-type": "text/event-stream"})
        for word in self.words:
            choice = {"index": 0, "text": word, "logprobs": None, "finish_reason": None}
            await exchange.send_chunk(sse(frame | {"choices": [choice]}))
        end = {"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"}
        await exchange.send_chunk(sse(frame | {"choices": [end]}))
        if (asked.get("stream_options") or {}).get("include_usage"):
            await exchange.send_chunk(sse(frame | {"choices": [], "usage": usage}))
        await exchange.send_chunk(sse("[DONE]"))
        await exchange.send_chunk(b"")


def native(name: str, fake: FakeProvider, **settings: Any) -> dict[str, Any]:
    """A provider that has the endpoint."""
    return provider(name, fake, type="vllm", **settings)


async def ask(router: GatewayUnderTest, prompt: Any = "Once", **more: Any) -> Told:
    body = json.dumps({"model": "gpt-3.5-turbo-instruct", "prompt": prompt} | more).encode()
    call = completions.parse(body, "", id="req-1", caller=Caller(SecretStr("Bearer app")), preferences=Preferences())
    return await router.tell(call)


def text_of(told: Told) -> str:
    """The text of a stream, whose events are all text completions."""
    for event in told.events:
        Completion.model_validate(event | {"choices": [c | {"finish_reason": "stop"} for c in event["choices"]]})
    return "".join(choice["text"] for event in told.events for choice in event["choices"])


@pytest.mark.parametrize("kind", ["native", "chat"])
async def test_a_whole_text(kind: str, tmp_path: Path) -> None:
    fake = Text() if kind == "native" else Answer("one two three")
    make = native if kind == "native" else provider
    async with FakeProvider(default=fake) as good, gateway(tmp_path, make("good", good)) as router:
        told = await ask(router, max_tokens=20, temperature=0.5, user="u")
        answer = Completion.model_validate(told.json)
        assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("one two three", "stop")
        assert (answer.object, answer.model) == ("text_completion", "gpt-3.5-turbo-instruct")
        assert answer.id.startswith("cmpl-")
        assert answer.usage is not None
        assert answer.usage.completion_tokens == 3
        sent = good.requests[0]
        assert sent.path == ("/v1/completions" if kind == "native" else "/v1/chat/completions")
        assert (sent.json()["max_tokens"], sent.json()["temperature"]) == (20, 0.5)
        if kind == "native":
            assert sent.json()["prompt"] == "Once"
            assert "messages" not in sent.json()
        else:
            assert sent.json()["messages"] == [{"role": "user", "content": "Once"}]
            assert "prompt" not in sent.json()
    assert router.decisions[0].endpoint == "completions"


@pytest.mark.parametrize("include_usage", [False, True])
@pytest.mark.parametrize("kind", ["native", "chat"])
async def test_a_stream(kind: str, include_usage: bool, tmp_path: Path) -> None:
    fake = Text() if kind == "native" else Answer("one two three")
    make = native if kind == "native" else provider
    more: dict[str, Any] = {"stream_options": {"include_usage": True}} if include_usage else {}
    async with FakeProvider(default=fake) as good, gateway(tmp_path, make("good", good)) as router:
        told = await ask(router, stream=True, **more)
        assert text_of(told) == "one two three"
        assert told.is_done
        assert len({event["id"] for event in told.events}) == 1
        reasons = [choice["finish_reason"] for event in told.events for choice in event["choices"]]
        assert reasons[-1] == "stop"
        assert set(reasons[:-1]) == {None}
        assert bool(told.events[-1].get("usage")) == include_usage
    assert router.decisions[0].usage is not None


@pytest.mark.parametrize(
    "members",
    [
        {"suffix": "end"},
        {"echo": True},
        {"best_of": 3},
        {"prompt": ["one", "two"]},
        {"prompt": [1, 2, 3]},
        {"prompt": [[1], [2]]},
    ],
    ids=str,
)
async def test_what_only_a_text_completion_can_say(members: dict[str, Any], tmp_path: Path) -> None:
    """It goes to a target that has the endpoint, and to no other; without one it is a clear 400."""
    async with FakeProvider(default=Text()) as text, FakeProvider() as chat:
        async with gateway(tmp_path, provider("chat", chat), native("text", text)) as router:
            told = await ask(router, **members)
            assert told.answer.status == 200
            assert text.requests[0].json().items() >= members.items()
            assert len(told.json["choices"]) == (2 if members.get("prompt") in (["one", "two"], [[1], [2]]) else 1)
        async with gateway(tmp_path, provider("chat", chat)) as router:
            told = await ask(router, **members)
            assert told.answer.status == 400
            assert "it has no text completions, which" in told.json["error"]["message"]
        assert chat.requests == []


@pytest.mark.parametrize("members", [{"echo": False}, {"suffix": None}, {"best_of": 1}, {"prompt": ["Once"]}], ids=str)
async def test_what_asks_for_nothing_needs_nothing(members: dict[str, Any], tmp_path: Path) -> None:
    async with FakeProvider(default=Answer("text")) as chat, gateway(tmp_path, provider("chat", chat)) as router:
        assert (await ask(router, **members)).answer.status == 200
        assert chat.requests[0].json()["messages"][0]["content"] == "Once"
        assert chat.requests[0].json().keys().isdisjoint({"echo", "suffix", "best_of", "prompt"})


async def test_a_target_that_has_the_endpoint_but_not_for_this_model_is_asked_by_chat(tmp_path: Path) -> None:
    """At once, and without a rest for the target; the next call goes that way straight."""
    gone = Status(404, {"error": {"message": "The model does not exist for this endpoint", "code": "model_not_found"}})
    async with FakeProvider(gone, default=Answer("by chat")) as good, gateway(tmp_path, native("good", good)) as router:
        for _ in range(2):
            assert (await ask(router)).json["choices"][0]["text"] == "by chat"
        paths = [seen.path for seen in good.requests]
        assert paths == ["/v1/completions", "/v1/chat/completions", "/v1/chat/completions"]
        assert router.outcomes == [("good", Outcome.SUCCESS)]


async def test_log_probabilities_of_a_chat_are_told_in_the_old_form(tmp_path: Path) -> None:
    content = [
        {
            "token": "a",
            "logprob": -0.1,
            "bytes": None,
            "top_logprobs": [{"token": "a", "logprob": -0.1, "bytes": None}],
        },
        {"token": "bc", "logprob": -0.2, "bytes": None, "top_logprobs": []},
        {"token": "d", "logprob": -0.3, "bytes": None, "top_logprobs": []},
    ]
    choice = {"index": 0, "message": {"role": "assistant", "content": "abcd"}, "finish_reason": "stop"}
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    answer = Status(200, whole | {"choices": [choice | {"logprobs": {"content": content, "refusal": None}}]})
    async with FakeProvider(answer) as chat, gateway(tmp_path, provider("chat", chat)) as router:
        told = await ask(router, logprobs=1)
        assert (chat.requests[0].json()["logprobs"], chat.requests[0].json()["top_logprobs"]) == (True, 1)
    assert told.json["choices"][0]["logprobs"] == {
        "tokens": ["a", "bc", "d"],
        "token_logprobs": [-0.1, -0.2, -0.3],
        "top_logprobs": [{"a": -0.1}, {}, {}],
        "text_offset": [0, 1, 3],
    }


async def test_log_probabilities_of_a_text_completion_stay_as_they_are(tmp_path: Path) -> None:
    fake = Text(more={"logprobs": LOGPROBS})
    async with FakeProvider(default=fake) as text, gateway(tmp_path, native("text", text)) as router:
        told = await ask(router, logprobs=2)
        assert text.requests[0].json()["logprobs"] == 2
    assert told.json["choices"][0]["logprobs"] == LOGPROBS


async def test_a_prompt_that_is_too_long_is_not_sent_and_several_short_ones_are(tmp_path: Path) -> None:
    models = [{"id": "m", "serves": ["*"], "context_window": 100}]
    async with FakeProvider(default=Text()) as text, gateway(tmp_path, native("text", text, models=models)) as router:
        assert (await ask(router, "word " * 500)).json["error"]["code"] == "context_length_exceeded"
        assert (await ask(router, ["word " * 50] * 10)).answer.status == 200
        assert len(text.requests) == 1


@pytest.mark.parametrize(("first", "second"), [(False, True), (True, False), (True, True)])
async def test_equal_prompts_are_answered_from_the_cache(first: bool, second: bool, tmp_path: Path) -> None:
    async with FakeProvider(default=Text()) as text, gateway(tmp_path, native("text", text)) as router:
        told = [await ask(router, temperature=0, stream=stream) for stream in (first, second)]
        assert [one.answer.headers["x-llmrouter-cache"] for one in told] == ["miss", "hit"]
        for one, stream in zip(told, (first, second), strict=True):
            assert (text_of(one) if stream else one.json["choices"][0]["text"]) == "one two three"
        assert len(text.requests) == 1


@pytest.mark.parametrize("event", [b"{", b'{"choices": [{"index": 0}]}', b'{"error": {"message": "overloaded"}}'])
async def test_a_stream_that_is_none_is_a_failure(event: bytes, tmp_path: Path) -> None:
    class Broken(Text):
        async def perform(self, exchange: Exchange) -> None:
            await exchange.begin_stream(200, {"content-type": "text/event-stream"})
            await exchange.send_chunk(sse(event))
            await exchange.send_chunk(b"")

    async with (
        FakeProvider(default=Broken()) as bad,
        FakeProvider(default=Text()) as good,
        gateway(tmp_path, native("bad", bad), native("good", good)) as router,
    ):
        assert text_of(await ask(router, stream=True)) == "one two three"
        assert [name for name, _ in router.outcomes] == ["bad", "good"]


async def test_a_stream_that_is_cut_off_is_no_end(tmp_path: Path) -> None:
    class Cut(Text):
        async def perform(self, exchange: Exchange) -> None:
            await exchange.begin_stream(200, {"content-type": "text/event-stream"})
            await exchange.send_chunk(sse({"choices": [{"index": 0, "text": "half", "finish_reason": None}]}))
            await exchange.send_chunk(sse("[DONE]"))
            await exchange.send_chunk(b"")

    async with FakeProvider(default=Cut()) as bad, gateway(tmp_path, native("bad", bad)) as router:
        told = await ask(router, stream=True)
        assert (told.answer.status, told.is_done) == (503, False)
        assert "the provider's stream ended before the answer did" in told.json["error"]["message"]


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"prompt": None}, "Missing required parameter: 'prompt'."),
        ({"prompt": {}}, "Invalid type for 'prompt': expected a string, an array of strings"),
        ({"prompt": []}, "Invalid type for 'prompt'"),
        ({"prompt": ["a", {}]}, "'prompt[1]' must be a string or an array of tokens."),
        ({"logprobs": 6}, "'logprobs' must be from 0 to 5."),
        ({"logprobs": True}, "Invalid type for 'logprobs': expected an integer, but got a boolean."),
        ({"best_of": 2, "n": 3}, "'best_of' must be at least 'n'"),
        ({"best_of": 2, "stream": True}, "'best_of' must be at least 'n', and cannot be streamed."),
        ({"stream_options": {"include_usage": True}}, "'stream_options' is only allowed when 'stream' is true."),
    ],
    ids=str,
)
def test_what_is_refused(members: dict[str, Any], told: str) -> None:
    body = json.dumps({"model": "m", "prompt": "a"} | members).encode()
    with pytest.raises(InvalidRequest) as refused:
        completions.parse(body, "m", id="req-1", caller=Caller(), preferences=Preferences())
    assert told in str(refused.value)
