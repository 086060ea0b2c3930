"""The wire format of OpenAI's Responses, spoken to models that take tools nowhere else.

The client speaks chat completions; the reference for both directions is the provider reference, sections 10.1 to 10.7,
2026-11-23. Nothing is stored at the provider: what a later turn needs is kept by the router.
"""

from collections.abc import Mapping
from types import MappingProxyType

from llmrouter.providers.headers import headers_for, url_for
from llmrouter.providers.openai_responses.reply import read_reply
from llmrouter.providers.openai_responses.request import write_body
from llmrouter.providers.openai_responses.stream import StreamDecoder
from llmrouter.providers.wire import Job, UpstreamRequest
from llmrouter.replies import Reply

_PATH = "/responses"


class ResponsesTranslation:
    """A chat completion for a model that is reached by OpenAI's Responses."""

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


def translate(job: Job) -> ResponsesTranslation:
    """The call as a Responses request; raises `AttemptFailed` with NOT_TRANSLATABLE."""
    return ResponsesTranslation(job)
