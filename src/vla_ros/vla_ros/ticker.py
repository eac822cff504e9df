"""Calls one function at a fixed period from a thread of its own.

On real hardware on an absolute schedule of the steady clock; with simulated time at exact
multiples of the period, driven by the updates of `/clock`.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable

import numpy as np
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node

from vla_core.types import NS_PER_S
from vla_ros.stamps import is_simulated

MAKE_UP = 2
_WINDOW_S = 10.0


class Ticker:
    """Calls ``on_tick(now_ns, steady_ns)`` each period with the instant at which the tick is due.

    ``steady_ns`` is that instant on the steady clock; None in simulated time, which may pause.
    A thread that comes late makes up for at most `MAKE_UP` ticks, each with the instant at which
    it was due: what is placed by time is still right a little later. More are left out and
    counted in ``missed``. An exception in ``on_tick`` is logged and ends the ticking:
    ``on_crash`` is called once.
    """

    def __init__(
        self,
        node: Node,
        period_ns: int,
        on_tick: Callable[[int, int | None], None],
        on_crash: Callable[[], None] = lambda: None,
    ) -> None:
        self._node, self._clock = node, node.get_clock()
        self._period_ns = period_ns
        self._on_tick, self._on_crash = on_tick, on_crash
        self._wake = threading.Event()
        self._running = False
        self._thread: threading.Thread | None = None
        self._jump_handle: object | None = None
        self._errors_ns = np.zeros(max(8, int(_WINDOW_S * NS_PER_S / period_ns)))
        self._count = 0
        self._last_steady_ns = 0
        self.missed = 0

    def start(self) -> None:
        """Begin to tick; does nothing if it ticks already."""
        if self._thread is not None:
            return
        self._running, self._count, self._last_steady_ns = True, 0, 0
        self._wake.clear()
        loop = self._run_simulated if is_simulated(self._node) else self._run_steady
        if is_simulated(self._node):
            self._jump_handle = self._clock.create_jump_callback(
                JumpThreshold(
                    min_forward=Duration(nanoseconds=1),
                    min_backward=Duration(nanoseconds=-1),
                    on_clock_change=False,
                ),
                post_callback=lambda _: self._wake.set(),
            )
        self._thread = threading.Thread(target=self._guard, args=(loop,), name="tick", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the ticking and wait for the tick in progress (at most 1 s)."""
        thread, self._thread = self._thread, None
        self._running = False
        self._wake.set()
        if self._jump_handle is not None:
            self._jump_handle.unregister()  # type: ignore[attr-defined]
            self._jump_handle = None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=1.0)

    def period_error_s(self) -> tuple[float, float]:
        """Return the 50th and 99th percentile of the period's error over 10 s [s], NaN: none."""
        errors = self._errors_ns[: min(self._count, len(self._errors_ns))]
        if not len(errors):
            return float("nan"), float("nan")
        p50, p99 = np.percentile(errors, (50, 99)) / NS_PER_S
        return float(p50), float(p99)

    def worst_period_error_s(self) -> float:
        """Return the largest error of the period over 10 s [s], NaN: none."""
        errors = self._errors_ns[: min(self._count, len(self._errors_ns))]
        return float(errors.max()) / NS_PER_S if len(errors) else float("nan")

    def _guard(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except Exception:
            self._node.get_logger().fatal(f"the tick failed:\n{traceback.format_exc()}")
            self._on_crash()

    def _run_steady(self) -> None:
        due = time.monotonic_ns()
        while self._running:
            late = time.monotonic_ns() - due
            if late < 0:
                self._wake.wait(-late / NS_PER_S)
                continue
            skipped = late // self._period_ns - MAKE_UP
            if skipped > 0:
                self.missed += skipped
                due += skipped * self._period_ns
                late -= skipped * self._period_ns
            self._measure()
            # The due instant, not the present one: the kernel's jitter stays out of the plan.
            self._on_tick(self._clock.now().nanoseconds - late, due)
            due += self._period_ns

    def _run_simulated(self) -> None:
        last = self._clock.now().nanoseconds // self._period_ns
        while self._running:
            self._wake.wait()
            self._wake.clear()
            number = self._clock.now().nanoseconds // self._period_ns
            if last == 0 < number:
                last = number - 1  # simulated time has only just begun
            # A clock that was turned back begins anew; the core finds that out by itself.
            first = number if number < last else max(last + 1, number - MAKE_UP)
            self.missed += max(0, first - last - 1)
            for due in range(first, number + 1):
                if not self._running:
                    return
                self._measure()
                self._on_tick(due * self._period_ns, None)
            last = number

    def _measure(self) -> None:
        now = time.monotonic_ns()
        if self._last_steady_ns:
            error = abs(now - self._last_steady_ns - self._period_ns)
            self._errors_ns[self._count % len(self._errors_ns)] = error
            self._count += 1
        self._last_steady_ns = now
