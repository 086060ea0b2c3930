"""What every wire format offers: a call in the words of one target, and its answers back in OpenAI's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from llmrouter.brands.dialect import Dialect
from llmrouter.calls import Call
from llmrouter.providers.structured import Emulation
from llmrouter.providers.turn_memory import TurnMemory
from llmrouter.replies import Chunk, Reply, Usage
from llmrouter.targets import Target


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """One request to a provider.

    `headers` (lower-case names) hold the credential and `body` the prompt, so the text form shows neither. `stream`
    tells whether a stream is the answer.
    """

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """What a wire format is given: a call, the target that it goes to, and how that target speaks for this call.

    `created` is Unix seconds, for replies of formats that know no date. `unsupported` are members of the call that the
    target has refused before, and that must not be sent again. `memory` keeps what a later turn must bring back.
    """

    call: Call
    target: Target
    dialect: Dialect
    created: int
    memory: TurnMemory
    unsupported: frozenset[str] = frozenset()


class ChunkDecoder(Protocol):
    """Decodes one stream of a provider, for one call.

    `feed` takes the bytes as they come, `finish` is called at their end. Both raise `AttemptFailed`: BAD_REPLY for
    what is malformed or ends too early, else what an error in the stream tells. Chunks are those of a valid
    chat-completion stream: one id, one `created`, the role first, one end for each choice. `done` tells that the
    stream's own end mark came after a real end; what follows it is not looked at. `is_holding` tells that content came
    which is held back until it is whole. `usage` is what was told by now, also before the chunk that tells it.
    """

    @property
    def done(self) -> bool: ...

    @property
    def is_holding(self) -> bool: ...

    @property
    def usage(self) -> Usage | None: ...

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that these bytes complete."""
        ...

    def finish(self) -> list[Chunk]:
        """The chunks that the end of the stream completes; what is cut off after the answer's real end is dropped."""
        ...


class Translation(Protocol):
    """One call in the words of one target; made for one attempt.

    `request` is what is sent. `changes` names what was left out or done in another way, for the decision record.
    `members` maps names that the provider may call unsupported to the call's members that they stand for. With an
    `emulation` the text of the answer is JSON that still has to be validated.
    """

    request: UpstreamRequest
    changes: tuple[str, ...]
    members: Mapping[str, str]
    emulation: Emulation | None

    def read_reply(self, data: bytes) -> Reply:
        """The complete answer in this body; raises `AttemptFailed` where there is none."""
        ...

    def decoder(self) -> ChunkDecoder:
        """A decoder for one stream."""
        ...


class WireFormat(Protocol):
    """One module of this room: makes translations.

    Raises `AttemptFailed` with NOT_TRANSLATABLE where the call cannot be said in this format.
    """

    def __call__(self, job: Job) -> Translation: ...
