"""The settings of who may use the router, how it behaves when there is too much to do, and when it ends."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from llmrouter.settings.values import Flag, Frozen, PositiveInt, Seconds, Wait

type KeyHash = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
"""What is kept of an access key. Keys are random and long, so that one round of SHA-256 is enough."""


class OverloadSettings(Frozen):
    """How much the router takes on at the same time; what comes beyond that is refused at once, with 503 and a
    `retry-after`."""

    max_calls: PositiveInt = 1000
    """How many calls may be under way, those of background responses and of assistants' runs included."""
    max_held_mebibytes: PositiveInt = 512
    """How much the request bodies of all calls under way may take together, in MiB, those that still come in included;
    a single one is always taken, up to `max_request_mebibytes`."""


class ShutdownSettings(Frozen):
    """How the router ends at SIGTERM or Ctrl-C: it takes no new requests, lets those under way finish, and writes down
    what it counted. A second signal ends it at once."""

    grace_seconds: Wait = 25
    """How long requests, streams and runs in the background may go on after the signal; what starts the router must
    wait a little longer before it kills it."""


class AccessSettings(Frozen):
    """Who may use the router where it listens beyond this machine: it does not start there without one of these."""

    keys: tuple[KeyHash, ...] = ()
    """Hashes of the keys that let a client in, as `llmrouter access new` prints them. A client of the proxy gives its
    key as the password of the proxy, one of the API port as its OpenAI key or in `x-llmrouter-key`, a browser as a
    password."""
    local: Flag = True
    """Whether clients that come to a loopback address need no key; `false` where a reverse proxy on this machine lets
    others in that way."""
    open: Flag = False
    """Whether anybody who reaches the router may use it, and spend your keys, without one."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if self.keys and self.open:
            raise ValueError("`open: true` lets everybody in without a key; leave out either `keys` or `open`")
        return self


class ClientSettings(Frozen):
    """What clients may do to connections."""

    request_seconds: Seconds = 30
    """How long a request may take to come; for each `min_bytes_per_second` that came of it, a second longer."""
    min_bytes_per_second: PositiveInt = 500
    """How slowly a long request may come, on average."""
    max_connections: PositiveInt = 5000
    """How many connections clients may have; beyond that the ones that are idle the longest are closed."""
