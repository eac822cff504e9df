"""Two cameras of 640x480 pixels at 30 Hz, raw, as a driver would publish them."""

from __future__ import annotations

import sys

from rclpy.node import Node
from sensor_msgs.msg import Image

from executor_vs_lerobot.scenario import CAMERA_HZ, frames
from vla_ros import qos
from vla_ros.images import image_msg
from vla_ros.run import run_node
from vla_ros.stamps import now_ns, time_msg


class CamerasNode(Node):
    """Publishes the same noise again and again with new stamps."""

    def __init__(self) -> None:
        super().__init__("cameras")
        self._out = [
            (
                self.create_publisher(Image, f"observation/images/{name}", qos.SENSOR),
                image_msg(picture, 0, f"{name}_camera"),
            )
            for name, picture in frames().items()
        ]
        self.create_timer(1.0 / CAMERA_HZ, self._on_timer)

    def _on_timer(self) -> None:
        for publisher, msg in self._out:
            msg.header.stamp = time_msg(now_ns(self))
            publisher.publish(msg)


if __name__ == "__main__":
    sys.exit(run_node(CamerasNode))
