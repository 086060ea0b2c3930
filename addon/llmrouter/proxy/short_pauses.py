"""How long a request may wait for what is not its own work: for other threads, and for the garbage collection."""

import gc
import sys

_SWITCH_S = 0.0005
_THRESHOLDS = (2_000, 40, 1)


def delay_collecting() -> None:
    """While modules are imported: what they make stays, and looking for garbage in it takes a tenth of the start."""
    gc.disable()


def begin() -> None:
    """Once the router serves; looks for garbage from now on."""
    # A thread that writes the ledger, or imports something, keeps the others waiting for 5 ms each time by default.
    sys.setswitchinterval(_SWITCH_S)
    stays()
    # The default, 700, looks for garbage at each request, of which hardly any is found that way. The oldest is
    # looked for at every second turn: connections outlive the turns before, and each one's TLS holds 30 KB
    # that Python does not count.
    gc.set_threshold(*_THRESHOLDS)
    gc.enable()


def stays() -> None:
    """What is there now is not looked at again: a full collection of all of mitmproxy takes a tenth of a second."""
    gc.freeze()
