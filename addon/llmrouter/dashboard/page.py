"""A page as it goes to a browser or a script, and the headers that every page has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

JSON = "application/json"
HTML = "text/html; charset=utf-8"

# Pages show what an owner asked and spent: no other site may frame, read or be told of them, and nothing is kept.
# What a page loads is named kind by kind, so that a hostile name that got past the escaping could still do nothing.
# OWASP Secure Headers Project; Content Security Policy Level 3; Fetch standard ("Cross-Origin-Resource-Policy"); RFC
# 9111, section 5.2.2.5 (no-store).
_HEADERS: Mapping[str, str] = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@dataclass(frozen=True, slots=True)
class Page:
    """A whole answer; `length` is that of the body that a GET gets, which a HEAD is told and not sent."""

    status: int
    body: bytes
    content_type: str = JSON
    more_headers: Mapping[str, str] = field(default_factory=dict)
    is_head: bool = False

    @property
    def length(self) -> int:
        """The length of the body in bytes, sent or not."""
        return len(self.body)

    @property
    def sent(self) -> bytes:
        """What follows the headers."""
        return b"" if self.is_head else self.body

    @property
    def headers(self) -> dict[str, str]:
        """All headers but the length."""
        return {"content-type": self.content_type, **_HEADERS, **self.more_headers}


def json_page(value: Any) -> Page:
    """Plain values as JSON."""
    return Page(200, orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
