"""What a process asks of Linux so that it is in time, where that is permitted."""

from __future__ import annotations

import contextlib
import ctypes
import os

# malloc.h; the largest threshold that glibc takes on 64 bits.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_BLOCK, _LARGEST_REST = 32 << 20, 512 << 20

# Below the 50 of ros2_control and of Linux's own interrupt threads, above everything else.
PRIORITY = 10


def keep_freed_memory() -> None:
    """Let glibc reuse the memory of pictures instead of giving each one back to the system.

    Else every picture comes with fresh pages, and to get those costs more than to copy it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not in musl
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK)
        mallopt(_M_TRIM_THRESHOLD, _LARGEST_REST)


def go_first() -> bool:
    """Run this process's threads and those that they start ahead of all that is not real time.

    Returns whether that is permitted: to root, and where /etc/security/limits.conf says `rtprio`.
    """
    try:
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError:
        return False
    return True
