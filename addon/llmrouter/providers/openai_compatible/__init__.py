"""The wire format of OpenAI's chat completions, as OpenAI and everyone who copied it speak it.

What the provider sent goes to the client byte for byte; only what would not be OpenAI's shape is put right: the model's
name, the role and the ids of a stream, ends and tool calls that are told in other words, and usage that was not asked
for. The tolerances are those of the provider reference, sections 2.2, 3 and 15, 2026-11-23.
"""

from collections.abc import Mapping
from types import MappingProxyType

from llmrouter.providers.headers import headers_for, url_for
from llmrouter.providers.openai_compatible.reply import read_reply
from llmrouter.providers.openai_compatible.request import write_body
from llmrouter.providers.openai_compatible.stream import StreamDecoder
from llmrouter.providers.wire import Job, UpstreamRequest
from llmrouter.replies import Reply

_PATH = "/chat/completions"


class OpenAiTranslation:
    """A chat completion for a target that speaks the same, or nearly."""

    __slots__ = ("_job", "changes", "emulation", "members", "request")

    def __init__(self, job: Job) -> None:
        written = write_body(job)
        self._job = job
        self.changes = written.changes
        self.emulation = written.emulation
        self.members: Mapping[str, str] = MappingProxyType(written.members)
        self.request = UpstreamRequest(
            method="POST",
            url=url_for(job.target.base_url, _PATH),
            headers=headers_for(job),
            body=written.body,
            stream=job.call.stream,
        )

    def read_reply(self, data: bytes) -> Reply:
        """The complete answer in this body; raises `AttemptFailed` where there is none."""
        return read_reply(data, self._job)

    def decoder(self) -> StreamDecoder:
        """A decoder for one stream."""
        return StreamDecoder(self._job)


def translate(job: Job) -> OpenAiTranslation:
    """The call as a chat completion request; raises `AttemptFailed` with NOT_TRANSLATABLE."""
    return OpenAiTranslation(job)
