"""The simulated six-joint robot behind our topics: a bridge like every other, and a logbook."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.publisher import Publisher
from sensor_msgs.msg import JointState

from executor_vs_lerobot.scenario import HOME, JOINTS, SERVO_S, Scenario
from vla_bridge.bridge import BridgeNode, Floats
from vla_bridge.channels import Channel
from vla_data.tuning.reference import Follower, Servo
from vla_interfaces.srv import JudgeTask, ResetScene
from vla_ros import qos
from vla_ros.joints import joint_state_msg
from vla_ros.run import run_node
from vla_ros.stamps import now_ns, time_ns


class RobotNode(BridgeNode):
    """Plays commands like every bridge; servos follow with a lag; everything is written down.

    `reset_scene` puts the robot back and writes the logbook of the run before into the folder
    VLA_BENCH_FOLDER, as <seed of that run>.npz.
    """

    def __init__(self) -> None:
        super().__init__("bridge")
        self._servo = Servo(np.array(HOME), SERVO_S)
        self._guard = threading.Lock()
        self._last_ns = time.monotonic_ns()
        self._commands: list[tuple[int, Any]] = []
        self._states: list[tuple[int, Floats]] = []
        self._follower: Follower | None = None
        self._seed = -1
        self._joints: Publisher = self.create_publisher(
            JointState, "observation/joints", qos.SENSOR
        )
        self.create_service(ResetScene, "sim/reset_scene", self._on_reset_scene)
        self.create_service(JudgeTask, "sim/judge_task", self._on_judge)

    def read(self) -> Floats | None:
        with self._guard:
            return self._servo.positions.copy()

    def write(self, positions: Floats, velocities: Floats) -> None:
        now, steady = now_ns(self), time.monotonic_ns()
        with self._guard:
            self._servo.advance((steady - self._last_ns) * 1e-9)
            self._last_ns = steady
            if np.isfinite(positions).all():
                self._servo.targets[:] = positions
            measured = self._servo.positions.copy()
        self._states.append((now, measured))
        self._joints.publish(joint_state_msg(now, JOINTS, measured))

    def accepted(self, channel: Channel, msg: Any, now_ns: int) -> None:
        self._commands.append((now_ns, msg))

    def _on_reset_scene(
        self, request: ResetScene.Request, response: ResetScene.Response
    ) -> ResetScene.Response:
        self._write_down()
        self.forget_commands()
        with self._guard:
            self._servo = Servo(np.array(HOME), SERVO_S)
        self._commands, self._states, self._seed = [], [], request.seed
        if request.instruction:
            self._follower = Scenario.of(request.instruction).follower()
        response.success = True
        return response

    def _write_down(self) -> None:
        commands, states = list(self._commands), list(self._states)  # others still append
        if self._seed < 0:
            return
        first = [msg.points[0] for _, msg in commands]
        folder = Path(os.environ["VLA_BENCH_FOLDER"])
        np.savez(
            folder / f"{self._seed}.npz",
            arrived_ns=np.array([at for at, _ in commands]),
            stamps_ns=np.array([time_ns(msg.header.stamp) for _, msg in commands]),
            commands=np.array([list(point.positions) for point in first]).reshape(-1, len(JOINTS)),
            states_ns=np.array([at for at, _ in states]),
            states=np.array([row for _, row in states]).reshape(-1, len(JOINTS)),
        )

    def _on_judge(
        self, request: JudgeTask.Request, response: JudgeTask.Response
    ) -> JudgeTask.Response:
        response.known = self._follower is not None
        if self._follower is not None:
            response.success = self._follower.is_done(self.read())
        return response


if __name__ == "__main__":
    sys.exit(run_node(RobotNode))
