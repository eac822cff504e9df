"""First-order joints and base: what the servos make of what they are told."""

from __future__ import annotations

import math
from collections.abc import Mapping

from vla_hsr.emulator.facts import BASE_SPEED, BASE_TIMEOUT_S, BASE_YAW_RATE, JOINTS

STEP_S = 0.002
JOINT_LAG_S = 0.05
BASE_LAG_S = 0.08


class Joints:
    """Every joint follows its target with a lag, no faster than the hardware can."""

    def __init__(self, positions: Mapping[str, float]) -> None:
        self.position = {name: float(positions.get(name, 0.0)) for name in JOINTS}
        self.velocity = dict.fromkeys(JOINTS, 0.0)
        self.target = dict(self.position)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        for name, joint in JOINTS.items():
            target = min(max(self.target[name], joint.lower), joint.upper)
            position, left = self.position[name], seconds
            while left > 1e-9:
                step = min(STEP_S, left)
                wanted = (target - position) / JOINT_LAG_S
                self.velocity[name] = min(max(wanted, -joint.velocity), joint.velocity)
                position += self.velocity[name] * step
                left -= step
            self.position[name] = position


class Base:
    """An omnidirectional base that takes velocities and forgets them after its time-out."""

    def __init__(self) -> None:
        self.pose = [0.0, 0.0, 0.0]  # x, y [m], yaw [rad] in odom
        self.velocity = [0.0, 0.0, 0.0]  # in the base's own frame
        self._commanded = [0.0, 0.0, 0.0]
        self._commanded_s = -math.inf

    def command(self, x: float, y: float, yaw: float, now_s: float) -> None:
        """Take a velocity [m/s, m/s, rad/s]."""
        self._commanded, self._commanded_s = [x, y, yaw], now_s

    def advance(self, seconds: float, now_s: float) -> None:
        """Let time pass, up to ``now_s``."""
        expired = now_s - self._commanded_s > BASE_TIMEOUT_S
        targets = [0.0, 0.0, 0.0] if expired else _possible(self._commanded)
        left = seconds
        while left > 1e-9:
            step = min(STEP_S, left)
            for i in range(3):
                self.velocity[i] += (targets[i] - self.velocity[i]) * step / BASE_LAG_S
            x, y, yaw = self.velocity
            heading = self.pose[2]
            self.pose[0] += (math.cos(heading) * x - math.sin(heading) * y) * step
            self.pose[1] += (math.sin(heading) * x + math.cos(heading) * y) * step
            self.pose[2] += yaw * step
            left -= step


def _possible(commanded: list[float]) -> list[float]:
    """Return the velocity that wheels and steering reach in the direction of the commanded one."""
    x, y, yaw = commanded
    share = min(1.0, BASE_SPEED / max(math.hypot(x, y), 1e-9))
    return [x * share, y * share, min(max(yaw, -BASE_YAW_RATE), BASE_YAW_RATE)]
