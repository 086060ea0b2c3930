"""The wire format of Gemini's own API, `generateContent` and `streamGenerateContent`.

It is spoken where Gemini's compatible route loses something: thought signatures of tool calls, log probabilities,
seeds, penalties and several choices (provider reference, section 3.8, 2026-11-23).
"""

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote

from llmrouter.providers.gemini.reply import read_reply
from llmrouter.providers.gemini.request import write_body
from llmrouter.providers.gemini.stream import StreamDecoder
from llmrouter.providers.headers import headers_for
from llmrouter.providers.wire import Job, UpstreamRequest
from llmrouter.replies import Reply


class GeminiTranslation:
    """A chat completion for a model that is reached by Gemini's own API."""

    __slots__ = ("_job", "changes", "emulation", "members", "request")

    def __init__(self, job: Job) -> None:
        written = write_body(job)
        self._job = job
        self.changes = written.changes
        self.emulation = written.emulation
        self.members: Mapping[str, str] = MappingProxyType(written.members)
        self.request = UpstreamRequest(
            method="POST",
            url=_url(job.target.base_url, job.target.model, job.call.stream),
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


def translate(job: Job) -> GeminiTranslation:
    """The call as a `generateContent` request; raises `AttemptFailed` with NOT_TRANSLATABLE."""
    return GeminiTranslation(job)


def _url(base_url: str, model: str, stream: bool) -> str:
    """The model's address; the base URL may be that of the compatible route, and may have a query of its own."""
    address, _, query = base_url.partition("?")
    address = address.rstrip("/").removesuffix("/openai")
    name = quote(model.removeprefix("models/"), safe="")
    method = "streamGenerateContent" if stream else "generateContent"
    queries = [query, "alt=sse" if stream else ""]
    told = "&".join(part for part in queries if part)
    return f"{address}/models/{name}:{method}{'?' if told else ''}{told}"
