"""One body of a call as a page of text: a conversation where it is one, else its JSON, else its bytes."""

from collections.abc import Sequence

from llmrouter.viewing.answers import answer_view
from llmrouter.viewing.bodies import Body, read_body
from llmrouter.viewing.conversation import Conversation, Turn
from llmrouter.viewing.requests import request_view
from llmrouter.viewing.shapes import as_json, object_of
from llmrouter.viewing.usage import USAGE

_MOST_CHARACTERS = 200_000


def page_of(data: bytes, *, path: str = "", is_request: bool = False, footer: Sequence[str] = ()) -> str:
    """The page, of any bytes whatever; `path` is the request's, `footer` is what is known of the call besides."""
    if not data:
        view = Conversation("No body", notes=[] if is_request else ["Nothing of the answer is kept."])
    else:
        view = _view(data, path.partition("?")[0], is_request=is_request)
    is_told = bool(view.footer)
    view.footer += [line for line in footer if not (is_told and line.startswith(USAGE))]
    text = view.to_text()
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}\n… the rest is not shown …\n"


def _view(data: bytes, path: str, *, is_request: bool) -> Conversation:
    try:
        body = read_body(data)
        view = _known(body, path, is_request=is_request)
        view.notes = [*body.notes, *view.notes]
    except Exception as error:  # noqa: BLE001 - nobody vouches for the bytes, and people want to see them all the same
        view = Conversation("Unknown body", notes=[f"It is not shown as a conversation: {error}."])
        view.turns.append(Turn("bytes", [data[:_MOST_CHARACTERS].decode("utf-8", "replace")]))
    return view


def _known(body: Body, path: str, *, is_request: bool) -> Conversation:
    value = object_of(body.value)
    view = request_view(value, path) if is_request else answer_view(value)
    if view is None:
        view = Conversation("JSON", turns=[Turn("body", [as_json(body.value, indent=True)])])
    if body.is_stream:
        view.title += ", streamed"
    return view
