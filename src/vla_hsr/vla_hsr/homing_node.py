"""Homing of the HSR: slowly, with MoveIt, or with what the vendor has for it.

The safe pose changer and `hsrb_interface` move the robot past the bridge, which listens to nobody
meanwhile.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sensor_msgs.msg import JointState

from vla_bridge.homing_node import NOBODY, Floats, HomingNode, HomingParams
from vla_core.errors import NotReadyError
from vla_hsr.names import preset
from vla_hsr.vendor import interface
from vla_ros import qos
from vla_ros.joints import joint_state_msg
from vla_ros.parameters import param
from vla_ros.run import run_node
from vla_ros.stamps import now_ns

FOUND_WITHIN_S = 2.0
POLL_S = 0.1


@dataclass(frozen=True)
class HsrHomingParams(HomingParams):
    """Parameters of the HSR's homing, beside those of every homing node."""

    names: str = param("ros2", "Names of topics: ros2 (root) or ros1 (/hsrb)")
    reference_topic: str = param("", "Safe pose changer, instead of the preset's")
    within_s: float = param(30.0, "Longest motion of the vendor's own homing [s]", 1.0, 300.0)


class HsrHomingNode(HomingNode):
    """Adds the methods `safe_pose` and `hsrb_interface`."""

    params_class = HsrHomingParams
    params: HsrHomingParams

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        topic = self.params.reference_topic or preset(self.params.names).reference_topic
        self._reference_topic = topic
        self._reference = self.create_publisher(JointState, topic, qos.COMMAND)
        self.methods |= {"safe_pose": self._ask_changer, "hsrb_interface": self._ask_vendor}

    def _ask_changer(self, _: Floats) -> None:
        """Give the home pose to the vendor's collision-checked pose changer."""
        end = time.monotonic() + FOUND_WITHIN_S
        while not self._reference.get_subscription_count():
            if time.monotonic() > end:
                raise NotReadyError(
                    f"the safe pose changer is not running: nobody listens to "
                    f"'{self._reference_topic}'. Start it, or use method 'slow'."
                )
            time.sleep(POLL_S)
        self.select(NOBODY)
        self._reference.publish(joint_state_msg(now_ns(self), self.names, self.home))
        self._wait(lambda: bool((abs(self._gap()) <= self.params.tolerance).all()))

    def _ask_vendor(self, _: Floats) -> None:
        """Move with the vendor's Python interface, in a process of its own: it spins by itself."""
        interface("hsrb_interface", "robot", "Robot", "method 'hsrb_interface'")
        self.select(NOBODY)
        goal = {name: float(value) for name, value in zip(self.names, self.home, strict=True)}
        script = (
            "import hsrb_interface\n"
            "with hsrb_interface.Robot() as robot:\n"
            f"    robot.get('whole_body').move_to_joint_positions({goal!r})\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", script], stderr=subprocess.PIPE, text=True
        ) as child:
            try:
                self._wait(lambda: child.poll() is not None)
            except NotReadyError:
                child.kill()
                raise
            if child.returncode:
                said = (child.stderr.read() if child.stderr else "").strip().splitlines()
                raise NotReadyError(f"hsrb_interface: {said[-1] if said else 'it failed'}")

    def _wait(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + self.params.within_s
        while not done():
            self.check_going_on()
            if time.monotonic() > end:
                raise NotReadyError(f"not home within {self.params.within_s:g} s")
            time.sleep(POLL_S)


def main() -> None:
    """Run the node as a process."""
    sys.exit(run_node(HsrHomingNode))
