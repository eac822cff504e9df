"""The arm's bus in a thread of its own, so that a slow or lost bus never delays the base.

The arm is a port: `vla_so101`'s follower on the robot, anything with these methods in tests.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Reading(Protocol):
    """What the joints measured, (J,) by the arm's columns."""

    @property
    def positions(self) -> Floats:
        """[rad]."""
        ...

    @property
    def velocities(self) -> Floats:
        """[rad/s]."""
        ...


class Arm(Protocol):
    """What the bridge needs of an arm; see `vla_so101.follower`."""

    @property
    def trouble(self) -> str:
        """Why the arm must not be commanded; empty: nothing."""
        ...

    def connect(self, now_ns: int) -> None:
        """Open and check; the arm does not move. Raises a VlaError with the reason."""
        ...

    def hold(self) -> None:
        """Hold the present position with torque; raises NotReadyError."""
        ...

    def recover(self) -> None:
        """Switch torque on again where a servo protected itself; raises NotReadyError."""
        ...

    def step(self, goals: Floats | None, now_ns: int) -> Reading | None:
        """Send goals (J,) [rad], None: nothing; return what was measured, None: not all of it."""
        ...

    def close(self) -> None:
        """Let go; the arm goes on holding. Also twice."""
        ...


class ArmLoop:
    """Steps the arm at once when there is a command, and at a rate when there is none.

    Args:
        arm: only this thread talks to it between `start` and `stop`, but for `hold`.
        period_s: between readings without a command [s].
        on_measured: called with each complete reading.
        on_trouble: called with a sentence after each step with which something is wrong.
    """

    def __init__(
        self,
        arm: Arm,
        period_s: float,
        on_measured: Callable[[Reading], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        self._arm, self._period_s = arm, period_s
        self._on_measured, self._on_trouble = on_measured, on_trouble
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._goal: Floats | None = None
        self._measured: Floats | None = None
        self._recovers = False
        self._running = False
        self._thread: threading.Thread | None = None
        self.trouble = ""

    def start(self) -> None:
        """Connect and begin to read; raises what `Arm.connect` raises."""
        self._arm.connect(time.monotonic_ns())
        self._goal, self._measured, self._running, self.trouble = None, None, True, ""
        self._thread = threading.Thread(target=self._run, name="arm", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close the arm; also twice."""
        thread, self._thread = self._thread, None
        self._running = False
        self._wake.set()
        if thread is not None:
            thread.join(timeout=1.0)
        self._arm.close()

    def hold(self) -> None:
        """Hold the present position with torque; raises NotReadyError."""
        self._arm.hold()

    def command(self, positions: Floats) -> None:
        """Hand over goals (J,) [rad]; the newest wins."""
        with self._lock:
            self._goal = positions
        self._wake.set()

    def recover(self) -> None:
        """Switch torque on again where a servo protected itself, with the next step."""
        self._recovers = True

    def measured(self) -> Floats | None:
        """Return the newest complete measurement (J,) [rad]; None: none now."""
        with self._lock:
            return self._measured

    def _run(self) -> None:
        while self._running:
            due = time.monotonic() + self._period_s
            self._wake.clear()
            with self._lock:
                goal, self._goal = self._goal, None
            try:
                if self._recovers:
                    self._recovers = False
                    self._arm.recover()
                reading = self._arm.step(goal, time.monotonic_ns())
                self._take(reading, self._arm.trouble)
            except Exception as error:  # the base has to hear of it, whatever it is
                self._take(None, f"the arm's driver failed: {error!r}")
            self._wake.wait(max(0.0, due - time.monotonic()))

    def _take(self, reading: Reading | None, trouble: str) -> None:
        self.trouble = trouble
        with self._lock:
            if reading is not None:
                self._measured = reading.positions
            elif trouble:
                self._measured = None
        if reading is not None:
            self._on_measured(reading)
        if trouble and self._running:
            self._on_trouble(trouble)
