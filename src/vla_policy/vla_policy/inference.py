"""The one thread that hosts the policy, and the one locked hand-over between it and the node."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

from vla_core.errors import InferenceError
from vla_core.types import NS_PER_S

R = TypeVar("R")
Answer = Callable[[], None]  # publishes it


@dataclass(frozen=True, eq=False)
class _Turn:
    """A request that the thread works on."""

    request: Any
    since_ns: int


class InferenceThread:
    """Serves the newest request in one named thread; each request is answered exactly once.

    Args:
        serve: called in the thread with a request; returns what publishes the answer; must not
            raise.
        give_up: called, from any thread, with a request that ``serve`` does not answer, and why.
        deadline_s: an inference that takes longer is given up [s].
        nice: how far this thread stands back for the rest of the system.
    """

    def __init__(
        self,
        serve: Callable[[Any], Answer],
        give_up: Callable[[Any, Exception], None],
        deadline_s: float,
        nice: int = 0,
    ) -> None:
        self._serve, self._give_up = serve, give_up
        self._deadline_s, self._nice = deadline_s, nice
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._lock = threading.Lock()  # guards the three below
        self._pending: Any = None
        self._turn: _Turn | None = None
        self._is_stuck = False  # in an inference that has been given up
        # A daemon: a policy that hangs must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], R], timeout_s: float | None = None) -> R:
        """Run ``function`` in the thread, after what it is doing now, and wait for it.

        Raises:
            TimeoutError: not done within ``timeout_s``; it may still run later.
        """
        future: Future[R] = Future()

        def job() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

        self._jobs.put(job)
        # TimeoutError has two names before Python 3.11.
        if not _wait(future, timeout_s):
            raise TimeoutError(f"the inference thread is busy for more than {timeout_s} s")
        return future.result()

    def ask(self, request: Any) -> None:
        """Hand over a request; one that still waits is given up for it."""
        with self._lock:
            older: Any = request
            if not self._is_stuck:
                older, self._pending = self._pending, request
        if older is request:
            self._give_up(request, InferenceError("the policy hangs in an earlier inference"))
            return
        if older is not None:
            self._give_up(older, InferenceError("a newer request came before this one's turn"))
        self._jobs.put(self._take_turn)

    def withdraw(self, reason: Exception) -> None:
        """Give up what waits and what is being worked on; its answer will be dropped."""
        with self._lock:
            waiting, self._pending = self._pending, None
            turn, self._turn = self._turn, None
        for request in (waiting, turn.request if turn else None):
            if request is not None:
                self._give_up(request, reason)

    def enforce_deadline(self) -> None:
        """Give up an inference that takes too long; call this a few times a second."""
        with self._lock:
            turn = self._turn
            if turn is None or time.monotonic_ns() - turn.since_ns < self._deadline_s * NS_PER_S:
                return
            self._turn, self._is_stuck = None, True
        self._give_up(
            turn.request, InferenceError(f"the policy gave no answer within {self._deadline_s} s")
        )

    def close(self) -> None:
        """End the thread; wait a second for what it is doing."""
        self._jobs.put(None)
        self._thread.join(timeout=1.0)

    def _run(self) -> None:
        # On Linux this is the niceness of the thread, inherited by those that it starts.
        os.nice(self._nice)
        while (job := self._jobs.get()) is not None:
            job()

    def _take_turn(self) -> None:
        with self._lock:
            request, self._pending = self._pending, None
            if request is None:
                return
            turn = self._turn = _Turn(request, time.monotonic_ns())
        publish = self._serve(request)
        with self._lock:
            is_wanted, self._is_stuck = self._turn is turn, False
            if is_wanted:
                self._turn = None
        if is_wanted:
            publish()


def _wait(future: Future[Any], timeout_s: float | None) -> bool:
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    return done.wait(timeout_s)
