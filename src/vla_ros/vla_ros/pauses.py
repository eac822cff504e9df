"""Keeps Python's garbage collector from stopping all threads of a node for long."""

from __future__ import annotations

import gc


def forget_start_up() -> None:
    """Exempt everything that exists from later collections.

    A full one looks at each object that imports and configuration have left: 54 000 in the
    executor, 40 ms and more in which nothing ticks. What comes later is little.
    """
    gc.collect()
    gc.freeze()
