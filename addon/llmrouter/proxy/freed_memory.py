"""What is freed stays with the process for the next request, where it is less than 64 MiB.

glibc gives the end of the heap back to the kernel and maps larger pieces one by one; a body of one mebibyte then costs
hundreds of page faults, a tenth of all that it costs (`man 3 mallopt`).
"""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 64 * 1024 * 1024
# The most that glibc takes (`HEAP_MAX_SIZE / 2` on 64-bit machines).
_MAPPED_BYTES = 32 * 1024 * 1024


def keep() -> None:
    """Says so to glibc; another C library is left alone."""
    if sys.platform != "linux":
        return
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        set_option(_M_MMAP_THRESHOLD, _MAPPED_BYTES)
