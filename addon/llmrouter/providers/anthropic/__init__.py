"""The wire format of Anthropic's Messages API.

What OpenAI's chat completions say in other words is told in Anthropic's, and the answers back; what a model of
Anthropic's cannot do is asked for in words and checked, or the call goes elsewhere. The facts are those of the provider
reference, sections 3.2 and 9, 2026-11-23.
"""

from collections.abc import Mapping
from types import MappingProxyType

from llmrouter.providers.anthropic.reply import read_reply
from llmrouter.providers.anthropic.request import write_body
from llmrouter.providers.anthropic.stream import StreamDecoder
from llmrouter.providers.headers import headers_for, url_for
from llmrouter.providers.wire import Job, UpstreamRequest
from llmrouter.replies import Reply

_PATH = "/messages"


class AnthropicTranslation:
    """A chat completion for a target that speaks the Messages API."""

    __slots__ = ("_expected", "_job", "changes", "emulation", "members", "request")

    def __init__(self, job: Job) -> None:
        written = write_body(job)
        self._job = job
        self._expected = written.expected
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
        return read_reply(data, self._job, self._expected)

    def decoder(self) -> StreamDecoder:
        """A decoder for one stream."""
        return StreamDecoder(self._job, self._expected)


def translate(job: Job) -> AnthropicTranslation:
    """The call as a Messages request; raises `AttemptFailed` with NOT_TRANSLATABLE."""
    return AnthropicTranslation(job)
