"""The core as the node's threads share it."""

from __future__ import annotations

import threading

from vla_core.execution import Executor


class Guarded:
    """Gives the core out under its lock: ``with guarded as core``, for the length of a call."""

    def __init__(self, core: Executor) -> None:
        self._core, self._lock = core, threading.Lock()

    def __enter__(self) -> Executor:
        self._lock.acquire()
        return self._core

    def __exit__(self, *_: object) -> None:
        self._lock.release()
