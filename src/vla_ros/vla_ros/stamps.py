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
