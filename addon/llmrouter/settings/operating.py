"""The settings of how the router behaves when there is too much to do."""

from llmrouter.settings.values import Frozen, PositiveInt


class OverloadSettings(Frozen):
    """How much the router takes on at the same time; what comes beyond that is refused at once, with 503 and a
    `retry-after`."""

    max_calls: PositiveInt = 1000
    """How many calls may be under way, those of background responses and of assistants' runs included."""
    max_held_mebibytes: PositiveInt = 512
    """How much the request bodies of all calls under way may take together, in MiB, those that still come in included;
    a single one is always taken, up to `max_request_mebibytes`."""
