"""What a client asked: a Call, with the JSON it sent kept as it came."""

from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec
import orjson
from pydantic import SecretStr

_split_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_split_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


# To hash all of a long text takes as long as to plan for it, and only an estimate rests on it.
_LONG_TEXT, _TEXT_END, _TEXT_STEP = 16_384, 1_024, 256


class Endpoint(StrEnum):
    """An OpenAI operation that the router answers itself."""

    CHAT_COMPLETIONS = "chat.completions"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"


class Need(StrEnum):
    """Something a call asks for that not every model can do; the words of `capabilities` in the settings."""

    TOOLS = "tools"
    PARALLEL_TOOLS = "parallel_tools"
    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"
    VISION = "vision"
    AUDIO = "audio"
    FILES = "files"
    LOGPROBS = "logprobs"
    SEVERAL_CHOICES = "n"
    SEED = "seed"


class JsonObject(Mapping[str, Any]):
    """A JSON object whose members are parsed when first looked at, and forwarded byte for byte as they came.

    Raises `ValueError` on construction where the text is no JSON object, and on access where a member is not valid
    UTF-8. Where a name occurs twice the last one counts, as in Python and JavaScript.
    """

    __slots__ = ("_members", "_parsed")

    def __init__(self, text: bytes) -> None:
        try:
            self._members: dict[str, msgspec.Raw] = _split_members(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(str(error)) from error
        self._parsed: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        try:
            return self._parsed[name]
        except KeyError:
            value = self._parsed[name] = orjson.loads(memoryview(self._members[name]))
            return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def keys(self) -> KeysView[str]:
        """The names; a dict's own view, whose set operations cost a tenth of those that `Mapping` brings."""
        return self._members.keys()

    def is_null(self, name: str) -> bool:
        """Whether a member is there and null."""
        member = self._members.get(name)
        return member is not None and bytes(memoryview(member)[:5]).strip() == b"null"

    def size_of(self, name: str) -> int:
        """The length in bytes of a member's JSON text; 0 where there is none."""
        member = self._members.get(name)
        return 0 if member is None else len(memoryview(member))

    def items_of(self, name: str) -> Iterator[memoryview]:
        """The JSON texts of an array's items, as they came; raises `ValueError` where the member is no array."""
        try:
            return map(memoryview, _split_items(self._members[name]))
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from error

    def text_of(self, name: str) -> memoryview:
        """The JSON text of a member, as it came; empty where there is none."""
        member = self._members.get(name)
        return memoryview(b"") if member is None else memoryview(member)

    def encode(self, replace: Mapping[str, Any], without: frozenset[str] = frozenset()) -> bytes:
        """This object as JSON text, some members replaced or added, some left out, all others byte for byte."""
        members = {name: raw for name, raw in self._members.items() if name not in without}
        for name, value in replace.items():
            members[name] = msgspec.Raw(orjson.dumps(value))
        return msgspec.json.encode(members)


class Beginning(NamedTuple):
    """A prompt up to the end of one of its messages: a hash that means nothing outside this process, and its length."""

    digest: int
    characters: int


type Part = memoryview | tuple[str, ...]
"""A message or another part of a prompt: its JSON text, or its strings where they say all that it says."""


class Beginnings:
    """The beginnings of a prompt, shortest first, found when they are first asked for; the last one is all of it.

    `parts` gives the prompt's parts in the order in which a model reads them.
    """

    __slots__ = ("_found", "_parts")

    def __init__(self, parts: Callable[[], Iterable[Part]] = tuple) -> None:
        self._parts = parts
        self._found: tuple[Beginning, ...] | None = None

    @property
    def found(self) -> tuple[Beginning, ...]:
        """All of them; Python's own hash of bytes is salted anew for each process."""
        if self._found is None:
            found, digest, characters = [], 0, 0
            for part in self._parts():
                texts = (bytes(part),) if isinstance(part, memoryview) else part
                digest = hash((digest, *map(_told, texts)))
                characters += sum(map(len, texts))
                found.append(Beginning(digest, characters))
            self._found = tuple(found)
        return self._found


def _told(text: bytes | str) -> object:
    """What tells a text from others; a long one by its length, its ends and every 256th character of it."""
    if len(text) <= _LONG_TEXT:
        return text
    return len(text), text[:_TEXT_END], text[-_TEXT_END:], text[::_TEXT_STEP]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asked, and the credential that goes to OpenAI or nowhere.

    `openai_headers` are `OpenAI-Organization` and `OpenAI-Project`, for OpenAI only; `trace` are `traceparent` and
    `tracestate`, for our own spans. `access` is the hash of the key that let the caller in, where that stood in place
    of a credential.
    """

    authorization: SecretStr | None = None
    openai_headers: Mapping[str, str] = field(default_factory=dict)
    trace: Mapping[str, str] = field(default_factory=dict, compare=False)
    access: str = ""


@dataclass(frozen=True, slots=True)
class CacheWishes:
    """What the client asked of the response cache: not to be kept, a new answer, a kept one or none, or how old it may
    be in seconds."""

    no_store: bool = False
    no_cache: bool = False
    only_if_cached: bool = False
    max_age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the client asked of the router itself, by its `x-llmrouter-*` headers and `Cache-Control`."""

    provider: str | None = None
    policy: str | None = None
    cache: CacheWishes = CacheWishes()
    max_cost_usd: float | None = None


class MediaTokens(NamedTuple):
    """What pictures, sound and files in a prompt count for: no more than a guess, and the least that they come to."""

    guess: int
    least: int


@dataclass(frozen=True, slots=True)
class ResponsesRequest:
    """The Responses request that a chat call stands for, for targets that speak Responses themselves.

    `fields` is its JSON as it was sent, and `items` are its input and all that comes before it, in their full form.
    `hosted` names what of it only those can do who run OpenAI's own tools; `has_custom_tools` tells whether it offers
    tools that take a text.
    """

    fields: JsonObject
    items: Sequence[Mapping[str, Any]]
    hosted: frozenset[str] = frozenset()
    has_custom_tools: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a client, checked.

    `body` is the OpenAI JSON as it was sent. `members` are the names of its members that ask for something: not null,
    and not what OpenAI does anyway; `tool_choice:forced` and `reasoning_effort:none` stand for these values, and
    `tools` for `functions`, too. `surface` is the API that was asked where that is another one, such as responses.
    `input_characters` is the length of the prompt's JSON text without media, for estimates, and `media` what these are
    guessed to count for, None where there are none; `max_output_tokens` is the client's own limit. `beginnings` are
    what a provider may still have of the prompt from an earlier turn. `responses` is what the client asked where that
    was a response, and `began` when it asked, in monotonic seconds, where this is not the first call that it takes.
    """

    id: str
    endpoint: Endpoint
    body: JsonObject
    model: str
    stream: bool = False
    include_usage: bool = False
    needs: frozenset[Need] = frozenset()
    members: frozenset[str] = frozenset()
    input_characters: int = 0
    media: MediaTokens | None = None
    max_output_tokens: int | None = None
    caller: Caller = Caller()
    preferences: Preferences = Preferences()
    beginnings: Beginnings = field(default_factory=Beginnings)
    surface: str = ""
    responses: ResponsesRequest | None = None
    began: float | None = None
