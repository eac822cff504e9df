"""Ctrl-C between two steps, not in the middle of one.

rclpy makes Python objects in C++; where a KeyboardInterrupt comes up there, it ends as a
RuntimeError ("Unable to convert call argument") or not at all.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back until the block has ended; for short blocks.

    In other threads than the main one, which Python never interrupts, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in INTERRUPTS}
    try:
        for number in INTERRUPTS:
            signal.signal(number, lambda number, _: came.append(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if came:
            signal.raise_signal(came[0])
