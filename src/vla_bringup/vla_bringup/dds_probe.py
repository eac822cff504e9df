"""``python -m vla_bringup.dds_probe speak|listen``: whether two processes hear each other."""

from __future__ import annotations

import sys
import time

import rclpy
from std_msgs.msg import String

TOPIC = "vla_doctor"
WITHIN_S = 15.0


def main() -> int:
    """Speak, or listen until something is heard; returns 0 if it was."""
    rclpy.init()
    node = rclpy.create_node(f"doctor_{sys.argv[1]}_{time.time_ns() % 1000000}")
    heard: list[str] = []
    deadline = time.monotonic() + WITHIN_S
    if sys.argv[1] == "speak":
        publisher = node.create_publisher(String, TOPIC, 1)
        while time.monotonic() < deadline + 5.0:
            publisher.publish(String(data="hello"))
            time.sleep(0.05)
        return 0
    node.create_subscription(String, TOPIC, lambda message: heard.append(message.data), 1)
    while not heard and time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=0.1)
    return 0 if heard else 1


if __name__ == "__main__":
    sys.exit(main())
