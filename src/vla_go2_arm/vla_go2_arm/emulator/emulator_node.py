"""The robot's side of the wire: topics and services of a Go2, message for message.

Runs for `backend:=mock` and in tests. Topics are the robot's own, in the root namespace, as on the
robot's network; `prefix` puts them elsewhere.
"""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import dataclass
from typing import Any

from geometry_msgs.msg import Twist
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from unitree_api.msg import Request, Response
from unitree_go.msg import Go2FrontVideoData, LowState, SportModeState, WirelessController

from vla_go2_arm.emulator.camera import Camera
from vla_go2_arm.emulator.robot import DONE, NO_SUCH_API, STOP, Robot, Traits
from vla_ros.parameters import declare, param, watch
from vla_ros.run import run_node

# Stand pose of one leg: hip, thigh, calf [rad].
LEG = (0.0, 0.8, -1.5)
STICK_SPEED = 0.4  # of a stick that is all the way out [m/s, rad/s]


@dataclass(frozen=True)
class EmulatorParams:
    """Parameters of the emulated robot."""

    prefix: str = param("", "Put before the robot's topics, for instance /dog1")
    service: str = param("mcf", "Motion service: mcf (V1.1.6 and later), normal, advanced, ai, ''")
    posture: str = param("standing", "At start: standing, locked, lying, damped, odd")
    state_hz: float = param(100.0, "Rate of the state; the real robot has 300 [Hz]", 5.0, 500.0)
    low_state_hz: float = param(20.0, "Rate of the low state [Hz]", 1.0, 500.0)
    video_hz: float = param(0.0, "Rate of the front camera, 0: none [Hz]", 0.0, 30.0)
    clock_offset_s: float = param(-2.8e7, "Error of the robot's clock [s]")
    move_held_s: float = param(1.0, "How long the last Move is kept [s]", 0.0, 5.0)
    deaf_s: float = param(6.0, "How long Move is ignored after StandUp [s]", 0.0, 20.0)
    remote_on: bool = param(True, "False: the remote is off and its topic silent", live=True)
    # Faults.
    silent: bool = param(False, "Tell no state", live=True)
    frozen: bool = param(False, "Tell the same state again and again", live=True)
    mute: bool = param(False, "Answer no request", live=True)
    blind: bool = param(False, "Send no pictures", live=True)
    lost_stops: int = param(0, "So many StopMove requests get lost", 0, 1000, live=True)


class EmulatorNode(Node):
    """Node around `Robot`."""

    def __init__(self, **options: Any) -> None:
        super().__init__("go2", **options)
        self.params = declare(self, EmulatorParams)
        self.robot = Robot(
            Traits(
                service=self.params.service,
                move_held_s=self.params.move_held_s,
                deaf_s=self.params.deaf_s,
            ),
            posture=self.params.posture,
        )
        self._stops_to_lose = self.params.lost_stops
        self._told: SportModeState | None = None
        self._remote = WirelessController()
        self._tick = 0
        self._open_topics()
        watch(self, self.params, self._on_params)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / self.params.state_hz, self._on_state, clock=steady)
        self.create_timer(1.0 / self.params.low_state_hz, self._on_low_state, clock=steady)
        if self.params.video_hz > 0:
            self._camera = Camera(self.params.video_hz)
            self.create_timer(1.0 / self.params.video_hz, self._on_frame, clock=steady)

    def _open_topics(self) -> None:
        at = self.params.prefix
        self._state = self.create_publisher(SportModeState, f"{at}/sportmodestate", 10)
        self._low = self.create_publisher(LowState, f"{at}/lf/lowstate", 10)
        self._sticks = self.create_publisher(WirelessController, f"{at}/wirelesscontroller", 10)
        # How it really moves, whatever it tells: for those who judge.
        self._truth = self.create_publisher(Twist, "~/velocity", 10)
        self._video = self.create_publisher(Go2FrontVideoData, f"{at}/frontvideostream", 10)
        for service, answer in (("sport", self._sport), ("motion_switcher", self._switcher)):
            publisher = self.create_publisher(Response, f"{at}/api/{service}/response", 10)
            self.create_subscription(
                Request,
                f"{at}/api/{service}/request",
                lambda msg, answer=answer, publisher=publisher: self._serve(
                    msg, answer, publisher
                ),
                10,
            )
        # Stands for the operator's hands: what the remote's sticks and keys do from now on.
        self.create_subscription(WirelessController, "~/remote", self._on_remote, 10)

    # Services of the robot.

    def _serve(self, msg: Request, answer: Any, publisher: Any) -> None:
        identity = msg.header.identity
        if self.params.mute or self._is_lost(identity.api_id, answer):
            return
        code, data = answer(identity.api_id, msg.parameter)
        if msg.header.policy.noreply:
            return
        response = Response(data="" if data is None else json.dumps(data))
        response.header.identity = identity
        response.header.status.code = code
        publisher.publish(response)

    def _is_lost(self, api_id: int, answer: Any) -> bool:
        if answer != self._sport or api_id != STOP or self._stops_to_lose == 0:
            return False
        self._stops_to_lose -= 1
        return True

    def _sport(self, api_id: int, parameter: str) -> tuple[int, None]:
        return self.robot.ask(api_id, parameter, time.monotonic()), None

    def _switcher(self, api_id: int, parameter: str) -> tuple[int, dict[str, str] | None]:
        if api_id != 1001:  # CheckMode; the others would end the motion service
            return NO_SUCH_API, None
        return DONE, {"form": "0", "name": self.params.service}

    # What the robot tells.

    def _on_state(self) -> None:
        self.robot.step(time.monotonic())
        self._tick += 1
        truth = Twist()
        truth.linear.x, truth.linear.y, truth.angular.z = self.robot.velocity
        self._truth.publish(truth)
        if self.params.remote_on and self._tick % 5 == 0:
            self._sticks.publish(self._remote)
        if self.params.silent:
            return
        if self._told is None or not self.params.frozen:
            self._told = self._sport_mode_state()
        self._state.publish(self._told)

    def _sport_mode_state(self) -> SportModeState:
        robot = self.robot
        msg = SportModeState()
        clock = time.time() + self.params.clock_offset_s
        msg.stamp.sec, msg.stamp.nanosec = int(clock), int(clock % 1 * 1e9)
        msg.mode, msg.error_code = robot.told_codes()
        vx, vy, vyaw = robot.told_velocity()
        msg.position = [robot.x, robot.y, 0.32 if robot.posture != "lying" else 0.07]
        msg.velocity, msg.yaw_speed = [vx, vy, 0.0], vyaw
        msg.body_height, msg.gait_type = 0.32, int(robot.posture == "walking")
        msg.imu_state.quaternion = [math.cos(robot.yaw / 2), 0.0, 0.0, math.sin(robot.yaw / 2)]
        msg.imu_state.rpy = [0.0, 0.0, robot.yaw]
        msg.imu_state.gyroscope = [0.0, 0.0, vyaw]
        msg.imu_state.accelerometer = [0.0, 0.0, 9.81]
        return msg

    def _on_low_state(self) -> None:
        if self.params.silent:
            return
        msg = LowState(power_v=29.4)
        msg.bms_state.soc = 87
        for motor in range(12):
            # Each motor a little different, so that a wrong order shows.
            msg.motor_state[motor].q = LEG[motor % 3] + 0.01 * motor
        self._low.publish(msg)

    def _on_frame(self) -> None:
        if self.params.blind:
            return
        frames = self._camera.next_frames()
        msg = Go2FrontVideoData(time_frame=time.monotonic_ns())
        msg.video360p, msg.video180p = frames
        self._video.publish(msg)

    # The operator, and what a test breaks.

    def _on_remote(self, msg: WirelessController) -> None:
        self._remote = msg
        # Left stick walks, right stick turns; to the right is negative in ROS.
        sticks = (msg.ly, -msg.lx, -msg.rx)
        self.robot.steer(*(STICK_SPEED * value if abs(value) > 0.05 else 0.0 for value in sticks))

    def _on_params(self, params: EmulatorParams) -> None:
        if params.lost_stops != self.params.lost_stops:
            self._stops_to_lose = params.lost_stops
        self.params = params


def main() -> int:
    """Run the node."""
    return run_node(EmulatorNode)


if __name__ == "__main__":
    sys.exit(main())
