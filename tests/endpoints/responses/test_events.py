"""Chunks of a chat completion as the events of a response."""

import json
from dataclasses import replace
from typing import Any

import pytest

from llmrouter.endpoints.responses.events import Event, EventStream, render
from tests.endpoints.responses.answers import SHAPE, Ids, call, citation, delta, final, read_back, token, told, types
from tests.endpoints.responses.event_order import check_order

USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 7,
    "total_tokens": 17,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
BEGUN, ENDED = ["created", "in_progress"], ["completed"]
ADDED, DONE = "output_item.added", "output_item.done"
PART, PART_DONE = "content_part.added", "content_part.done"


def text_message(text: str, id: str = "msg_1", status: str = "completed") -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"id": id, "type": "message", "status": status, "role": "assistant", "content": [part]}


def thought(text: str, id: str = "rs_1", status: str = "completed") -> dict[str, Any]:
    content = [{"type": "reasoning_text", "text": text}]
    return {"id": id, "type": "reasoning", "status": status, "summary": [], "content": content}


def function(call_id: str, name: str, arguments: str, id: str, status: str = "completed") -> dict[str, Any]:
    told = {"id": id, "type": "function_call", "status": status, "call_id": call_id, "name": name}
    return {**told, "arguments": arguments}


def test_text() -> None:
    events = told([delta(role="assistant", content=""), delta(content="Hi"), delta(content=" there"), delta("stop")])
    deltas = ["output_text.delta", "output_text.delta", "output_text.done"]
    assert types(events) == [*BEGUN, ADDED, PART, *deltas, PART_DONE, DONE, *ENDED]
    response = final(events)
    assert response["output"] == [text_message("Hi there")]
    assert (response["status"], response["completed_at"], response["usage"]) == ("completed", 1700000002.0, None)
    first = events[0].data["response"]
    assert (first["status"], first["output"], first["completed_at"]) == ("in_progress", [], None)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_comes_before_the_message(name: str) -> None:
    events = told([delta(**{name: "Let me "}), delta(**{name: "see."}), delta(content="Hi"), delta("stop")])
    thinking = ["reasoning_text.delta", "reasoning_text.delta", "reasoning_text.done"]
    saying = ["output_text.delta", "output_text.done"]
    items = [ADDED, PART, *thinking, PART_DONE, DONE, ADDED, PART, *saying, PART_DONE, DONE]
    assert types(events) == [*BEGUN, *items, *ENDED]
    assert final(events)["output"] == [thought("Let me see."), text_message("Hi", "msg_2")]


def test_reasoning_is_told_as_the_summary_that_was_asked_for() -> None:
    shape = replace(SHAPE, echoed={"reasoning": {"summary": "auto"}})
    events = told([delta(reasoning="Let me see."), delta(content="Hi"), delta("stop")], shape)
    added, done = "reasoning_summary_part.added", "reasoning_summary_part.done"
    thinking = [added, "reasoning_summary_text.delta", "reasoning_summary_text.done", done]
    saying = [PART, "output_text.delta", "output_text.done", PART_DONE]
    assert types(events) == [*BEGUN, ADDED, *thinking, DONE, ADDED, *saying, DONE, *ENDED]
    assert [event.data["summary_index"] for event in events if "summary" in event.type] == [0] * 4
    item = final(events)["output"][0]
    assert (item["summary"], item["content"]) == ([{"type": "summary_text", "text": "Let me see."}], [])


def test_reasoning_that_is_told_by_both_names_is_told_once() -> None:
    assert final(told([delta(reasoning="Hm", reasoning_content="Hm"), delta("stop")]))["output"] == [thought("Hm")]


def test_reasoning_between_texts_is_an_item_of_its_own() -> None:
    chunks = [delta(content="One"), delta(reasoning="Hm"), delta(content="Two"), delta("stop")]
    output = [text_message("One"), thought("Hm", "rs_2"), text_message("Two", "msg_3")]
    assert final(told(chunks))["output"] == output


def test_a_refusal() -> None:
    events = told([delta(content="Well"), delta(refusal="I can"), delta(refusal="not."), delta("stop")])
    refusing = ["refusal.delta", "refusal.delta", "refusal.done"]
    assert types(events)[4:] == [
        *("output_text.delta", "output_text.done", PART_DONE),
        *(PART, *refusing, PART_DONE, DONE, "completed"),
    ]
    message = text_message("Well")
    message["content"].append({"type": "refusal", "refusal": "I cannot."})
    assert final(events)["output"] == [message]


def test_a_function_call() -> None:
    chunks = [
        delta(content="Look:"),
        delta(tool_calls=[call(0, "call_a", "weather", "")]),
        delta(tool_calls=[call(0, arguments='{"city"')]),
        delta(tool_calls=[call(0, arguments=':"Köln"}')]),
        delta("tool_calls"),
    ]
    events = told(chunks)
    deltas = ["function_call_arguments.delta"] * 2
    assert types(events)[4:] == [
        *("output_text.delta", "output_text.done", PART_DONE, DONE, ADDED),
        *deltas,
        *("function_call_arguments.done", DONE, "completed"),
    ]
    weather = function("call_a", "weather", '{"city":"Köln"}', "fc_2")
    assert final(events)["output"] == [text_message("Look:"), weather]


def test_fragments_of_parallel_calls_may_interleave() -> None:
    chunks = [
        delta(tool_calls=[call(0, "a", "one", '{"x'), call(1, "b", "two", '{"y')]),
        delta(tool_calls=[call(1, arguments='":1}')]),
        delta(tool_calls=[call(0, arguments='":2}')]),
        delta("tool_calls"),
    ]
    one, two = function("a", "one", '{"x":2}', "fc_1"), function("b", "two", '{"y":1}', "fc_2")
    assert final(told(chunks))["output"] == [one, two]


def test_text_after_a_call_is_another_message() -> None:
    chunks = [delta(content="a"), delta(tool_calls=[call(0, "c", "f", "{}")]), delta(content="b"), delta("stop")]
    output = [text_message("a"), function("c", "f", "{}", "fc_2"), text_message("b", "msg_3")]
    assert final(told(chunks))["output"] == output


@pytest.mark.parametrize("arguments", ['{"city":', "not JSON", "", "[]", '"text"'])
def test_broken_arguments_are_passed_as_they_are(arguments: str) -> None:
    output = final(told([delta(tool_calls=[call(0, "c", "f", arguments)]), delta("tool_calls")]))["output"]
    assert output == [function("c", "f", arguments, "fc_1")]


@pytest.mark.parametrize(
    "calls",
    [
        [call(0, None, "f", "{}")],
        [call(0, "", "f", "{}")],
        [call(0, None, None, "{"), call(0, None, "f", "}")],
    ],
)
def test_a_call_without_id_gets_one(calls: list[dict[str, Any]]) -> None:
    output = final(told([delta(tool_calls=[fragment]) for fragment in calls]))["output"]
    assert output == [function("call_1", "f", "{}", "fc_2")]


def test_no_two_calls_share_an_id() -> None:
    output = final(told([delta(tool_calls=[call(0, "c", "f", "1"), call(1, "c", "f", "2")])]))["output"]
    assert output == [function("c", "f", "1", "fc_1"), function("call_2", "f", "2", "fc_3")]


def test_a_call_whose_name_never_comes_is_told_at_the_end() -> None:
    output = final(told([delta(tool_calls=[call(0, "c", None, "{}")])]))["output"]
    assert output == [function("c", "", "{}", "fc_1")]


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        (['{"input":', '"ls -la\\n"}'], "ls -la\n"),
        (['{"input":""}'], ""),
        (['{"input":"ls', ""], '{"input":"ls'),
        (['{"command":"ls"}'], '{"command":"ls"}'),
        (['{"input":3}'], '{"input":3}'),
        (["[1]"], "[1]"),
        (["ls -la"], "ls -la"),
    ],
)
def test_a_bridged_custom_tool_gets_its_text(arguments: list[str], given: str) -> None:
    pieces = [delta(tool_calls=[call(0, arguments=piece)]) for piece in arguments]
    chunks = [delta(tool_calls=[call(0, "c", "shell")]), *pieces, delta("tool_calls")]
    events = told(chunks, replace(SHAPE, custom_tools=frozenset({"shell"})))
    deltas = ["custom_tool_call_input.delta"] if given else []
    assert types(events) == [*BEGUN, ADDED, *deltas, "custom_tool_call_input.done", DONE, *ENDED]
    item = {"id": "ctc_1", "type": "custom_tool_call", "status": "completed", "call_id": "c", "name": "shell"}
    assert events[2].data["item"] == {**item, "status": "in_progress", "input": ""}
    assert final(events)["output"] == [{**item, "input": given}]


def test_a_custom_tool_that_the_model_knows_is_told_as_it_comes() -> None:
    begun = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "shell", "input": "ls"}}
    chunks = [delta(tool_calls=[begun]), delta(tool_calls=[{"index": 0, "custom": {"input": " -la"}}])]
    events = told(chunks, replace(SHAPE, custom_tools=frozenset({"shell"})))
    deltas = [event.data["delta"] for event in events if event.type.endswith(".delta")]
    assert deltas == ["ls", " -la"]
    item = {"id": "ctc_1", "type": "custom_tool_call", "status": "completed", "call_id": "c", "name": "shell"}
    assert final(events)["output"] == [{**item, "input": "ls -la"}]


def test_log_probabilities_stand_with_their_text() -> None:
    events = told(
        [
            delta(content="Hi", logprobs={"content": [token("Hi", "Yo")], "refusal": None}),
            delta(content=" you", logprobs={"content": [token(" you")]}),
            delta(content="", logprobs={"content": [{"token": "!", "logprob": -1, "bytes": None}]}),
            delta("stop", logprobs={"content": [{"token": 3, "logprob": -1}, "x", {"token": "y", "logprob": True}]}),
        ]
    )
    hi = {"token": "Hi", "logprob": -0.5, "top_logprobs": [{"token": "Yo", "logprob": -2.0}]}
    you = {"token": " you", "logprob": -0.5, "top_logprobs": []}
    mark = {"token": "!", "logprob": -1, "top_logprobs": []}
    deltas = [event.data["logprobs"] for event in events if event.type == "response.output_text.delta"]
    assert deltas == [[hi], [you]]
    assert [event.data["logprobs"] for event in events if event.type == "response.output_text.done"] == [
        [hi, you, mark]
    ]
    top = {"token": "Yo", "bytes": [89, 111], "logprob": -2.0}
    assert final(events)["output"][0]["content"][0]["logprobs"] == [
        {"token": "Hi", "bytes": [72, 105], "logprob": -0.5, "top_logprobs": [top]},
        {"token": " you", "bytes": [32, 121, 111, 117], "logprob": -0.5, "top_logprobs": []},
        {"token": "!", "bytes": [], "logprob": -1, "top_logprobs": []},
    ]


def test_log_probabilities_of_reasoning_are_not_those_of_the_text() -> None:
    chunks = [delta(reasoning="Hm", logprobs={"content": [token("Hm")]}), delta(content="Hi"), delta("stop")]
    assert final(told(chunks))["output"][1]["content"][0]["logprobs"] == []


@pytest.mark.parametrize(
    "chunks",
    [
        [delta(content="Fish swim."), delta(annotations=[citation(0, 4)]), delta("stop")],
        [delta(content="Fish swim.", annotations=[citation(0, 4)]), delta("stop")],
        [delta(content="", annotations=[citation(0, 4)]), delta(content="Fish swim."), delta("stop")],
        [delta(content="Fish swim."), delta("stop", annotations=[citation(0, 4)])],
    ],
)
def test_citations(chunks: list[dict[str, Any]]) -> None:
    events = told(chunks)
    cited = {"type": "url_citation", "start_index": 0, "end_index": 4, "url": "https://fish.example/", "title": "Fish"}
    adding = [event.data for event in events if event.type == "response.output_text.annotation.added"]
    assert [(data["annotation_index"], data["annotation"]) for data in adding] == [(0, cited)]
    assert final(events)["output"][0]["content"][0]["annotations"] == [cited]


@pytest.mark.parametrize(
    "annotation",
    [
        {"type": "file_citation", "file_citation": {}},
        {"type": "url_citation"},
        citation(0, 4, url=None),
        citation(-1, 4),
        citation(0, True),
        "x",
    ],
)
def test_annotations_that_responses_do_not_know_are_left_out(annotation: Any) -> None:
    output = final(told([delta(content="Fish"), delta(annotations=[annotation]), delta("stop")]))["output"]
    assert output == [text_message("Fish")]


def test_citations_of_a_text_that_has_closed_do_not_get_into_the_next() -> None:
    calls = [call(0, "c", "f", "{}")]
    chunks = [delta(content="a"), delta(tool_calls=calls), delta(annotations=[citation(0, 1)]), delta(content="b")]
    assert final(told(chunks))["output"][2] == text_message("b", "msg_3")


def test_usage_and_the_tier_come_from_the_chunks() -> None:
    chunks = [delta(content="Hi"), delta("stop") | {"service_tier": "flex"}, {"choices": [], "usage": USAGE}]
    response = final(told(chunks))
    assert response["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 17,
    }
    assert response["service_tier"] == "flex"


@pytest.mark.parametrize("tier", ["standard", None, 3, ["flex"]])
def test_a_tier_that_responses_do_not_know_is_not_told(tier: Any) -> None:
    assert final(told([delta(content="Hi") | {"service_tier": tier}]))["service_tier"] == "auto"


CUT = [("length", "max_output_tokens"), ("content_filter", "content_filter")]


@pytest.mark.parametrize(("reason", "why"), CUT)
@pytest.mark.parametrize(
    ("chunks", "statuses"),
    [
        ([delta(content="Hi")], ["incomplete"]),
        ([delta(reasoning="Hm")], ["incomplete"]),
        ([delta(reasoning="Hm"), delta(content="Hi")], ["completed", "incomplete"]),
        ([delta(content="Hi"), delta(tool_calls=[call(0, "c", "f", "{")])], ["completed", "incomplete"]),
        ([delta(tool_calls=[call(0, "a", "f", "{}"), call(1, "b", "f", "{")])], ["completed", "incomplete"]),
        ([delta(tool_calls=[call(0, "a", "f"), call(1, "b", "f", "{"), call(0)])], ["completed", "incomplete"]),
        ([], []),
    ],
)
def test_an_answer_that_is_cut_short(reason: str, why: str, chunks: list[dict[str, Any]], statuses: list[str]) -> None:
    events = told([*chunks, delta(reason), {"choices": [], "usage": USAGE}])
    response = final(events)
    assert types(events)[-1] == response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": why}
    assert response["completed_at"] is None and response["usage"]["total_tokens"] == 17
    assert [item["status"] for item in response["output"]] == statuses


def test_a_failure_leaves_out_what_was_open() -> None:
    stream = EventStream(SHAPE, Ids())
    events = stream.begin()
    events += stream.feed(delta(reasoning="Hm", content="Hi", tool_calls=[call(0, "c", "f", '{"a":')]))
    events += stream.fail("server_error", "the provider's stream broke off")
    response = final(events)
    assert response["error"] == {"code": "server_error", "message": "the provider's stream broke off"}
    assert response["output"] == [thought("Hm"), text_message("Hi", "msg_2")] == stream.output
    assert types(events)[-1] == response["status"] == "failed"


def test_a_failure_before_anything_was_said() -> None:
    stream = EventStream(SHAPE, Ids())
    events = [*stream.begin(), *stream.fail("rate_limit_exceeded", "wait")]
    assert types(events) == [*BEGUN, "failed"]
    assert final(events)["output"] == []


def test_a_response_in_the_background_waits_first() -> None:
    stream = EventStream(replace(SHAPE, background=True), Ids())
    assert stream.response["status"] == "queued"
    events = stream.begin()
    states = [(event.type, event.data["response"]["status"]) for event in events]
    assert states == [
        ("response.created", "queued"),
        ("response.queued", "queued"),
        ("response.in_progress", "in_progress"),
    ]
    response = final([*events, *stream.feed(delta("stop", content="Hi")), *stream.end(2.0)])
    assert (response["background"], response["status"]) == (True, "completed")


def test_the_response_can_be_seen_while_it_comes() -> None:
    stream = EventStream(replace(SHAPE, custom_tools=frozenset({"shell"})), Ids())
    stream.begin()
    stream.feed(delta(content="Hi", tool_calls=[call(0, "a", "f", '{"x"'), call(1, "b", "shell", '{"inp')]))
    response = stream.response
    shell = {"id": "ctc_3", "type": "custom_tool_call", "status": "in_progress", "call_id": "b", "name": "shell"}
    assert response["output"] == [
        text_message("Hi"),
        function("a", "f", '{"x"', "fc_2", "in_progress"),
        {**shell, "input": ""},
    ]
    assert response["status"] == "in_progress"
    stream.feed(delta(tool_calls=[call(0, arguments=":1}")]))
    assert response["output"][1]["arguments"] == '{"x"'


def test_what_was_told_does_not_change_later() -> None:
    stream = EventStream(SHAPE, Ids())
    events = stream.begin() + stream.feed(delta(content="Hi", logprobs={"content": [token("Hi")]}))
    before = [render(event) for event in events]
    stream.feed(delta(content=" you", annotations=[citation(0, 2)], logprobs={"content": [token(" you")]}))
    stream.end(2.0)
    assert [render(event) for event in events] == before


@pytest.mark.parametrize(
    "chunk",
    [
        {},
        {"choices": None},
        {"choices": []},
        {"choices": ["x"]},
        {"choices": [{"index": 0}]},
        {"choices": [{"index": 0, "delta": None}]},
        {"choices": [{"index": 1, "delta": {"content": "another choice"}}]},
        delta(content=None, reasoning=None, refusal=None, tool_calls=None, annotations=None),
        delta(content=[{"type": "text"}], tool_calls={"index": 0}, usage=3),
        delta(tool_calls=["x"]),
        delta(logprobs={"content": None}),
    ],
)
def test_chunks_that_say_nothing_are_passed_over(chunk: dict[str, Any]) -> None:
    assert types(told([chunk, delta("stop")])) == [*BEGUN, *ENDED]


def test_a_frame_names_its_event_and_there_is_no_done() -> None:
    frames = b"".join(map(render, told([delta("stop", content="a\n\nb")]))).decode()
    blocks = frames.split("\n\n")
    assert blocks.pop() == "" and "[DONE]" not in frames
    for number, block in enumerate(blocks):
        name, data = block.split("\n")
        parsed = json.loads(data.removeprefix("data: "))
        assert name == f"event: {parsed['type']}" and parsed["sequence_number"] == number


def test_the_wire_gives_back_the_events() -> None:
    events = told([delta("stop", content="Grüße 🐟\r\n")])
    assert read_back(events) == events
    check_order([(event.type, event.data) for event in events])
    assert isinstance(events[0], Event)
