"""The content view "LLM" of mitmproxy: a body of a call as the conversation that it is."""

import re

from mitmproxy import contentviews, http

from llmrouter.proxy.call_notes import footer_of
from llmrouter.viewing.page import page_of

# Above mitmproxy's own view of JSON, which has 1.
_PRIORITY = 2.0
_PATH = re.compile(
    r"/(chat/completions|completions|embeddings|responses|messages|threads|conversations|converse(-stream)?)(/|\?|$)"
    r"|:(stream)?generatecontent",
    re.IGNORECASE,
)
_TYPES = ("json", "event-stream")


class LLMContentview(contentviews.Contentview):
    """Shows chats, responses and streams; chosen by itself for calls of models."""

    @property
    def name(self) -> str:
        """What the list of views calls it."""
        return "LLM"

    def prettify(self, data: bytes, metadata: contentviews.Metadata) -> str:
        """The page of a body; whatever the bytes are, there is one."""
        flow = metadata.flow
        if not isinstance(flow, http.HTTPFlow):
            return page_of(data)
        is_request = metadata.http_message is flow.request
        footer = () if is_request else footer_of(flow)
        return page_of(data, path=flow.request.path, is_request=is_request, footer=footer)

    def render_priority(self, data: bytes, metadata: contentviews.Metadata) -> float:
        """Above all others for the calls of models, and never chosen for anything else."""
        flow = metadata.flow
        if not isinstance(flow, http.HTTPFlow) or not data or not _PATH.search(flow.request.path):
            return -1
        return _PRIORITY if any(kind in (metadata.content_type or "") for kind in _TYPES) else -1
