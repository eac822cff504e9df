"""`/diagnostics`: the rate and age of each input and what else a node has to say, once a second.

Names of statuses and keys are stable: dashboards rely on them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from vla_core.types import NS_PER_S
from vla_ros import qos
from vla_ros.stamps import now_ns, time_msg

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
    DiagnosticStatus.STALE,
)


@dataclass(frozen=True)
class Report:
    """One status: how bad, in one sentence, and its figures."""

    level: bytes
    message: str
    values: Mapping[str, object]


class Meter:
    """Counts one stream: its rate, and the age of its newest stamp."""

    def __init__(self, stale_s: float = 1.0) -> None:
        self._stale_ns = int(stale_s * NS_PER_S)
        self._count = 0
        self._since_ns = time.monotonic_ns()
        self._received_ns = 0
        self._age_ns = 0

    def seen(self, age_ns: int = 0) -> None:
        """Count one message whose stamp was this old when it came."""
        self._count += 1
        self._received_ns = time.monotonic_ns()
        self._age_ns = age_ns

    def report(self) -> Report:
        """Return rate and age since the last report."""
        now = time.monotonic_ns()
        rate = self._count * NS_PER_S / max(1, now - self._since_ns)
        self._count, self._since_ns = 0, now
        if not self._received_ns:
            return Report(STALE, "nothing received yet", {"rate_hz": "0.0"})
        silent = now - self._received_ns
        values = {
            "rate_hz": f"{rate:.1f}",
            "age_s": f"{(self._age_ns + silent) / NS_PER_S:.3f}",
            "delay_s": f"{self._age_ns / NS_PER_S:.3f}",
        }
        if silent > self._stale_ns:
            return Report(ERROR, f"silent for {silent / NS_PER_S:.1f} s", values)
        return Report(OK, f"{rate:.1f} Hz", values)


def with_skew(report: Report, skew: tuple[int, str] | None, most_ns: int) -> Report:
    """Return the report of a stream with its distance to another one; too far is a warning.

    Args:
        skew: distance [ns] and which stream, as of `vla_core.observation.skew.furthest`.
        most_ns: the contract's limit.
    """
    if skew is None:
        return report
    distance_ns, other = skew
    distance = f"{distance_ns / NS_PER_S:.3f}"
    values = {**report.values, "skew_s": distance, "skew_to": other}
    if report.level == OK and distance_ns > most_ns:
        return Report(WARN, f"{distance} s apart from '{other}'", values)
    return Report(report.level, report.message, values)


class Diagnostics:
    """Publishes the reports of one node on `/diagnostics` each second."""

    def __init__(self, node: Node, period_s: float = 1.0) -> None:
        self._node = node
        self._sources: dict[str, Callable[[], Report]] = {}
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", qos.EVENT)
        # On the steady clock: a paused simulation still has a state to report.
        self._timer = node.create_timer(
            period_s, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def add(self, name: str, source: Callable[[], Report]) -> None:
        """Report under ``<node>: <name>`` from now on; replaces a source of the same name."""
        self._sources[name] = source

    def remove(self, name: str) -> None:
        """Report it no longer."""
        self._sources.pop(name, None)

    def publish(self) -> None:
        """Publish all reports now."""
        if not self._sources:
            return
        msg = DiagnosticArray(status=[self._status(n, s()) for n, s in self._sources.items()])
        msg.header.stamp = time_msg(now_ns(self._node))
        self._publisher.publish(msg)

    def _status(self, name: str, report: Report) -> DiagnosticStatus:
        return DiagnosticStatus(
            level=report.level,
            name=f"{self._node.get_fully_qualified_name().lstrip('/')}: {name}",
            message=report.message,
            hardware_id=self._node.get_namespace().strip("/"),
            values=[KeyValue(key=k, value=str(v)) for k, v in report.values.items()],
        )
