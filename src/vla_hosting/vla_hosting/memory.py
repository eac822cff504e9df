"""What a process that receives images does about its memory."""

from __future__ import annotations

import contextlib
import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3): M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
_KEPT_BYTES = 256 * 2**20


def keep_freed_memory() -> None:
    """Have malloc keep what is freed, instead of returning it to the system.

    Else the pages of each observation are returned and taken anew, which costs more than all the
    rest of receiving it. For programs of our own; where malloc is not glibc's, nothing happens.
    """
    with contextlib.suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
