"""What a wire format hands to the connection: one HTTP request, ready to send."""

from dataclasses import dataclass, field


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
