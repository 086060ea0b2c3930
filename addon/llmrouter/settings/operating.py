"""The settings of how the router behaves when there is too much to do, and when it ends."""

from llmrouter.settings.values import Frozen, PositiveInt, Wait


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
