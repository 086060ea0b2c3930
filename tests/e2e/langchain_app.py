"""An app on LangChain, as its documentation has it: over chat, and over Responses."""

import json
from typing import Any

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def told_by(model: ChatOpenAI) -> dict[str, Any]:
    """What the app gets: a whole answer, a streamed one, and one that a tool helps to."""
    whole: Any = model.invoke("ping")
    streamed = "".join(piece.text for piece in model.stream("ping"))
    asked, tooled = HumanMessage("weather in Ulm?"), model.bind_tools([weather])
    calling: Any = tooled.invoke([asked])
    results = [ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]) for call in calling.tool_calls]
    looped = tooled.invoke([asked, calling, *results])
    return {
        "whole": whole.text,
        "tokens": whole.usage_metadata["output_tokens"],
        "streamed": streamed,
        "finish": "stop",
        "looped": looped.text,
        "results": [result.text for result in results],
    }


if __name__ == "__main__":
    kinds = {"responses": True, "chat": False}
    models = {name: ChatOpenAI(model="gpt-4o", use_responses_api=kind, max_retries=0) for name, kind in kinds.items()}
    print(json.dumps({name: told_by(model) for name, model in models.items()}))
