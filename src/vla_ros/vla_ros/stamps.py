"""Nanoseconds to messages and back, and the ROS clock as a number."""

from __future__ import annotations

from builtin_interfaces.msg import Duration, Time
from rclpy.node import Node
from std_msgs.msg import Header

from vla_core.types import NS_PER_S


def time_msg(ns: int) -> Time:
    """Return a stamp; ``ns`` must not be negative."""
    return Time(sec=int(ns // NS_PER_S), nanosec=int(ns % NS_PER_S))


def time_ns(msg: Time) -> int:
    """Return a stamp in nanoseconds."""
    return msg.sec * NS_PER_S + msg.nanosec


def duration_msg(ns: int) -> Duration:
    """Return a duration; the seconds carry the sign, as ROS wants it."""
    return Duration(sec=int(ns // NS_PER_S), nanosec=int(ns % NS_PER_S))


def duration_ns(msg: Duration) -> int:
    """Return a duration in nanoseconds."""
    return msg.sec * NS_PER_S + msg.nanosec


def header(ns: int, frame_id: str = "") -> Header:
    """Return a header with this stamp."""
    return Header(stamp=time_msg(ns), frame_id=frame_id)


def now_ns(node: Node) -> int:
    """Return the node's ROS time; 0: simulated time that has not begun."""
    return int(node.get_clock().now().nanoseconds)


def is_simulated(node: Node) -> bool:
    """Return whether the node's clock follows `/clock`."""
    return bool(node.get_clock().ros_time_is_active)


class JumpDetector:
    """Tells a jump of the ROS clock from the passing of time, by comparing it with the steady one.

    A simulated clock may run slowly or pause, which is no jump; a real one may do neither.
    """

    def __init__(self, simulated: bool, limit_ns: int = NS_PER_S // 10) -> None:
        self._simulated = simulated
        self._limit_ns = limit_ns
        self._last: tuple[int, int] | None = None

    def update(self, ros_ns: int, steady_ns: int) -> int:
        """Return by how much the ROS clock jumped since the last call [ns], 0 if it did not."""
        last, self._last = self._last, (ros_ns, steady_ns)
        if last is None:
            return 0
        passed, elapsed = ros_ns - last[0], steady_ns - last[1]
        expected = min(max(passed, 0), elapsed) if self._simulated else elapsed
        jump = passed - expected
        return jump if abs(jump) > self._limit_ns else 0
