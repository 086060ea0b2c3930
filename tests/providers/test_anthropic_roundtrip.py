"""Any valid chat request survives translation to Anthropic and back with its meaning."""

import json
from typing import Any

from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.anthropic import translate
from tests.providers.test_anthropic_requests import job_of

ADAPTER: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsNonStreaming)
Meaning = list[tuple[Any, ...]]

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(
    lambda words: words.strip() != "" and not words.startswith("<system>")
)
TEXT_PART = st.builds(lambda words: {"type": "text", "text": words}, WORDS)
PICTURE = st.sampled_from(
    ["https://a.example/b.png?c=1", "data:image/png;base64,iVBORw0K", "data:image/webp;base64,UklG"]
)
PICTURE_PART = st.builds(lambda url: {"type": "image_url", "image_url": {"url": url}}, PICTURE)
TEXTS = WORDS | st.lists(TEXT_PART, min_size=1, max_size=3)
CONTENT = WORDS | st.lists(TEXT_PART | PICTURE_PART, min_size=1, max_size=4)
NAMES = ("weather", "files.read", "files_read", "größe", "a" * 64)
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(st.text(max_size=5), JSON, max_size=3)
CALLS = st.lists(st.tuples(st.sampled_from(NAMES), ARGUMENTS), min_size=1, max_size=3)


@st.composite
def steps(draw: st.DrawFn, place: int) -> list[Any]:
    """A turn of the assistant with tool calls, and the results of all of them."""
    calls, results = [], []
    for number, (name, arguments) in enumerate(draw(CALLS)):
        id = draw(st.sampled_from([f"call_{place}_{number}", f"functions.{name}:{place}:{number}"]))
        function = {"name": name, "arguments": json.dumps(arguments)}
        calls.append({"id": id, "type": "function", "function": function})
        results.append({"role": "tool", "tool_call_id": id, "content": draw(TEXTS)})
    content = draw(st.none() | TEXTS)
    return [{"role": "assistant", "content": content, "tool_calls": calls}, *draw(st.permutations(results))]


@st.composite
def conversations(draw: st.DrawFn) -> list[Any]:
    roles = st.sampled_from(["system", "developer"])
    messages: list[Any] = draw(
        st.lists(st.builds(lambda role, said: {"role": role, "content": said}, roles, TEXTS), max_size=2)
    )
    messages.append({"role": "user", "content": draw(CONTENT)})
    for place in range(draw(st.integers(0, 3))):
        match draw(st.sampled_from(["user", "assistant", "tools", "system"])):
            case "tools":
                messages += draw(steps(place))
            case "assistant":
                messages += [{"role": "assistant", "content": draw(TEXTS)}, {"role": "user", "content": draw(CONTENT)}]
            case role:
                messages.append({"role": role, "content": draw(TEXTS if role == "system" else CONTENT)})
    return messages


def tool(name: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {name: {"type": "string"}}}
    return {"type": "function", "function": {"name": name, "description": f"About {name}.", "parameters": schema}}


TOOLS = [tool(name) for name in NAMES]
CHOICES = st.sampled_from(
    ["auto", "none", "required", *({"type": "function", "function": {"name": name}} for name in NAMES)]
)


def meaning_of_chat(messages: list[Any]) -> Meaning:
    """Who says what, in order; a result goes by the place of its call, because ids have no meaning of their own."""
    said: Meaning = []
    places: dict[str, int] = {}
    for message in messages:
        role = "system" if message["role"] == "developer" else message["role"]
        if role == "tool":
            said.append(("result", places[message["tool_call_id"]], _joined(message["content"])))
            continue
        said += [(role, *piece) for piece in _pieces(message["content"])]
        for call in message.get("tool_calls", ()):
            places[call["id"]] = len(places)
            said.append(("call", call["function"]["name"], json.loads(call["function"]["arguments"])))
    return said


def _pieces(content: Any) -> list[tuple[str, str]]:
    if content is None:
        return []
    parts: list[Any] = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [(part["type"], part["text"] if part["type"] == "text" else part["image_url"]["url"]) for part in parts]


def _joined(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def meaning_of_anthropic(body: dict[str, Any], names: dict[str, str]) -> Meaning:
    """The same, read out of a Messages request by the words of Anthropic's documentation."""
    said: Meaning = [("system", "text", block["text"]) for block in body.get("system", ())]
    places: dict[str, int] = {}
    for message in body["messages"]:
        for block in message["content"]:
            match block["type"]:
                case "tool_use":
                    assert message["role"] == "assistant"
                    places[block["id"]] = len(places)
                    said.append(("call", names[block["name"]], block["input"]))
                case "tool_result":
                    assert message["role"] == "user"
                    said.append(("result", places[block["tool_use_id"]], _joined(block["content"])))
                case "image":
                    said.append((message["role"], "image_url", _url(block["source"])))
                case "text":
                    said.append(_spoken(message["role"], block["text"]))
                case other:
                    raise AssertionError(other)
    return said


def _spoken(role: str, text: str) -> tuple[str, str, str]:
    if role == "user" and text.startswith("<system>\n"):
        return "system", "text", text.removeprefix("<system>\n").removesuffix("\n</system>")
    return role, "text", text


def _url(source: dict[str, Any]) -> str:
    if source["type"] == "url":
        return str(source["url"])
    return f"data:{source['media_type']};{source['type']},{source['data']}"


def assert_well_formed(body: dict[str, Any]) -> None:
    """What Anthropic demands of the order of messages (provider reference, section 9.1)."""
    messages = body["messages"]
    assert [message["role"] for message in messages] == [
        ("user", "assistant")[place % 2] for place in range(len(messages))
    ]
    asked: list[str] = []
    for message in messages:
        kinds = [block["type"] for block in message["content"]]
        results = [block["tool_use_id"] for block in message["content"] if block["type"] == "tool_result"]
        assert sorted(results) == sorted(asked)
        assert kinds[: len(results)] == ["tool_result"] * len(results)
        asked = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
        assert all(block["text"].strip() for block in message["content"] if block["type"] == "text")
    assert asked == []


@settings(max_examples=150, deadline=None)
@given(conversations(), CHOICES, st.booleans())
def test_any_valid_chat_request_keeps_its_meaning(messages: list[Any], choice: Any, parallel: bool) -> None:
    translation = translate(
        job_of(messages=messages, tools=TOOLS, tool_choice=choice, parallel_tool_calls=parallel, max_tokens=9)
    )
    body = json.loads(translation.request.body)
    ADAPTER.validate_python(body, strict=True)
    assert_well_formed(body)
    assert body["max_tokens"] == 9
    names = {told["name"]: told["description"].removeprefix("About ").removesuffix(".") for told in body["tools"]}
    assert meaning_of_anthropic(body, names) == meaning_of_chat(messages)
    back = [
        {"name": names[told["name"]], "description": told["description"], "parameters": told["input_schema"]}
        for told in body["tools"]
    ]
    assert back == [tool["function"] for tool in TOOLS]
    assert choice_of(body, names) == (choice, parallel or choice == "none")


def choice_of(body: dict[str, Any], names: dict[str, str]) -> tuple[Any, bool]:
    told = body.get("tool_choice", {"type": "auto"})
    words: dict[str, Any] = {"auto": "auto", "none": "none", "any": "required"}
    choice = words.get(told["type"]) or {"type": "function", "function": {"name": names[told["name"]]}}
    return choice, not told.get("disable_parallel_tool_use", False)


ROLES = st.sampled_from(["system", "user", "assistant", "tool"])
PART = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url", "file", "refusal"]) | JSON},
    optional=dict.fromkeys(("text", "image_url", "file", "prompt_cache_breakpoint"), JSON),
)
INNER = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("name", "description", "parameters", "arguments", "format", "input"), JSON)
    | {"strict": st.just(True)},
)
TOOL = st.fixed_dictionaries(
    {"type": st.sampled_from(["function", "custom", "allowed_tools"]) | JSON},
    optional=dict.fromkeys(("function", "custom", "allowed_tools"), INNER | JSON) | {"id": JSON},
)
MESSAGE = st.fixed_dictionaries(
    {"role": ROLES, "content": st.none() | st.text(max_size=3) | st.lists(PART | JSON, max_size=2)},
    optional={"tool_calls": st.lists(TOOL | JSON, max_size=2) | JSON, "tool_call_id": JSON, "refusal": JSON},
)
FORM = st.fixed_dictionaries(
    {"type": st.sampled_from(["json_schema", "json_object"])},
    optional={"json_schema": st.fixed_dictionaries({"schema": JSON}) | JSON},
)
OPTIONS = (
    "tool_choice",
    "stop",
    "temperature",
    "top_p",
    "reasoning_effort",
    "user",
    "service_tier",
    "parallel_tool_calls",
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(MESSAGE, min_size=1, max_size=3),
    st.lists(TOOL | JSON, max_size=2),
    st.none() | FORM,
    st.fixed_dictionaries({}, optional=dict.fromkeys(OPTIONS, JSON | TOOL)),
    st.sampled_from(["claude-opus-5", "claude-sonnet-4-5", "claude-3-haiku", "claude-sonnet-5-5"]),
)
def test_any_other_request_is_told_or_goes_elsewhere(
    messages: list[Any], tools: list[Any], form: Any, options: dict[str, Any], model: str
) -> None:
    try:
        translation = translate(job_of(model, messages=messages, tools=tools, response_format=form, **options))
    except AttemptFailed as failed:
        assert failed.outcome is Outcome.NOT_TRANSLATABLE
    else:
        assert json.loads(translation.request.body)["messages"][0]["role"] == "user"
