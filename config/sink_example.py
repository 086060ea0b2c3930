"""An example of a sink of your own; in config/providers.yaml: `telemetry: {sinks: [sink_example.py:Dear]}`.

The path counts from the folder of that file. The class is made once per configuration, without arguments, and takes
every decision, as the decision log has it, on a thread of its own: no call ever waits for it. What it cannot take in
time is dropped for it, and counted; what it raises is logged. Where it has a method `close`, that runs at the end.
"""

import logging
from typing import Any

DEAR_USD = 0.05

logger = logging.getLogger(__name__)


class Dear:
    """Says in the log which calls cost much."""

    def take(self, decision: dict[str, Any]) -> None:
        """A cost that nobody knows is None; `known_cost_usd` is what is known of it then."""
        cost_usd = decision["cost_usd"]
        if cost_usd is not None and cost_usd >= DEAR_USD:
            logger.warning("%s cost $%.2f at %s.", decision["id"], cost_usd, decision["answered_by"])
