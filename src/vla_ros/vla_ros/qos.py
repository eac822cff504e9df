"""Quality of service by meaning. All publishers and subscriptions of the stack use these."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

# Best effort matches reliable and best-effort publishers alike (REP-2003: consumers of sensors).
SENSOR = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
# Newest wins and nothing is replayed to a late joiner: a latched command could move a robot.
COMMAND = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
# Describes; the newest value is there for whoever comes later. Nothing acts on it.
STATE = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
# Each one counts: requests, failures, stops, metrics.
EVENT = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)

NAMES = {"SENSOR": SENSOR, "COMMAND": COMMAND, "STATE": STATE, "EVENT": EVENT}
