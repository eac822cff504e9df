"""What `/diagnostics` says of bus and servos."""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from vla_core.types import NS_PER_S
from vla_ros.diagnostics import ERROR, OK, WARN, Report
from vla_so101.arm import Arm
from vla_so101.follower import Follower

WINDOW = 500  # exchanges
HOT, TOO_HOT = 60.0, 68.0  # [degC]; the servo switches off at 70
# A bus that loses more than this share of replies has a bad cable or a slow adapter.
BAD_SHARE = 0.05


class BusMeter:
    """Rate and duration of exchanges, and what was lost since the last report."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._durations_ns: deque[float] = deque(maxlen=WINDOW)
        self._count = 0
        self._since_ns = time.monotonic_ns()
        self._before = arm.counters

    def did(self, duration_ns: int) -> None:
        """Count one exchange."""
        self._count += 1
        self._durations_ns.append(duration_ns)

    def report(self) -> Report:
        """Return what happened since the last report; called once a second."""
        now_ns = time.monotonic_ns()
        rate_hz = self._count * NS_PER_S / max(1, now_ns - self._since_ns)
        self._count, self._since_ns = 0, now_ns
        counters, before = self._arm.counters, self._before
        self._before = counters
        replies, lost = counters.replies - before.replies, counters.lost - before.lost
        p50, p99 = np.percentile(list(self._durations_ns) or [np.nan], (50, 99)) / 1e6
        values: dict[str, object] = {
            "port": self._arm.settings.port,
            "rate_hz": f"{rate_hz:.1f}",
            "exchange_p50_ms": f"{p50:.2f}",
            "exchange_p99_ms": f"{p99:.2f}",
            "unheard_goals": self._arm.unheard,
            **vars(counters),
        }
        share = lost / max(1, replies + lost)
        if share > BAD_SHARE:
            return Report(WARN, f"{share:.0%} of the replies are lost or damaged", values)
        return Report(OK, f"{rate_hz:.0f} Hz", values)


def servo_report(follower: Follower) -> Report:
    """Return load, temperature, voltage and current of each servo, and what is wrong."""
    reading = follower.newest
    if reading is None:
        return Report(ERROR if follower.trouble else WARN, follower.trouble or "not read yet", {})
    state, values = reading.state, dict[str, object]()
    for i, joint in enumerate(follower.arm.settings.joints):
        values[f"{joint}_load"] = f"{state.loads[i]:.2f}"
        values[f"{joint}_temperature_c"] = f"{state.temperatures[i]:.0f}"
        values[f"{joint}_voltage_v"] = f"{state.voltages[i]:.1f}"
        values[f"{joint}_current_a"] = f"{state.currents[i]:.2f}"
    for joint, names in follower.arm.complaints().items():
        values[f"{joint}_complaint"] = ", ".join(names)
    hottest = int(state.temperatures.argmax())
    joint, degrees = follower.arm.settings.joints[hottest], state.temperatures[hottest]
    if follower.trouble or degrees >= TOO_HOT:
        return Report(ERROR, follower.trouble or f"'{joint}' is at {degrees:.0f} degC", values)
    if degrees >= HOT or follower.arm.complaints():
        return Report(WARN, f"'{joint}' is at {degrees:.0f} degC, the hottest", values)
    return Report(OK, f"at most {degrees:.0f} degC, at least {state.voltages.min():.1f} V", values)
