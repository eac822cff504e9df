"""A Go2 as far as its services show it: postures, what each request does, a first-order base.

Written from what is documented and reported of the robot, not from the bridge. What is not known
for sure has a parameter. Times are seconds of a steady clock.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field

# What the sport service answers.
DONE, NO_SUCH_API, BAD_PARAMETER, NOT_INITIALISED = 0, 3203, 3204, 4202

# All functions of unitree_ros2's sport client; those below are acted out, the rest only counted.
KNOWN = {
    *range(1001, 1011), 1015, 1016, 1017, 1020, 1022, 1023, *range(1027, 1033), 1036,
    1061, 1062, 1063, 2041, *range(2043, 2052), 2054, 2055, 2058,
}  # fmt: skip
DAMP, BALANCE, STOP, UP, DOWN, MOVE = 1001, 1002, 1003, 1004, 1005, 1008

# Posture -> (mode of old firmware, error_code of the motion service V2.0).
TOLD = {
    "standing": (1, 1013),
    "walking": (3, 100),
    "locked": (6, 1002),
    "lying": (5, 1004),
    "damped": (7, 1001),
    "odd": (77, 7777),  # for tests: a state that nobody has documented
}
BOUNDS = {"x": (-2.5, 3.8), "y": (-1.0, 1.0), "z": (-4.0, 4.0)}


@dataclass
class Traits:
    """What differs between robots and firmwares."""

    service: str = "mcf"  # "mcf" from V1.1.6 on; "normal", "advanced", "ai" before; "": none runs
    move_held_s: float = 1.0  # how long the last Move is kept
    deaf_s: float = 6.0  # after StandUp: Move answers 0 and does nothing
    lag_s: float = 0.15  # of the velocity behind what is wanted
    sway: float = 0.01  # of the velocity of a standing robot [m/s]
    drift: float = 0.01  # share of the way that odometry is wrong by


@dataclass
class Robot:
    """State and behaviour of one robot."""

    traits: Traits = field(default_factory=Traits)
    posture: str = "standing"
    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0
    velocity: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])  # vx, vy, vyaw
    ignored: int = 0  # Moves that were answered 0 and did nothing
    forbidden: list[int] = field(default_factory=list)  # flips and the like that were asked for
    _move: tuple[float, float, float] = (0.0, 0.0, 0.0)
    _move_at: float = -math.inf
    _stood_at: float = -math.inf
    _sticks: tuple[float, float, float] = (0.0, 0.0, 0.0)
    _now: float = 0.0

    def ask(self, api_id: int, parameter: str, now: float) -> int:
        """Do what a request asks; return the code of the response."""
        if not self.traits.service:
            return NOT_INITIALISED
        if api_id not in KNOWN:
            return NO_SUCH_API
        if api_id == MOVE:
            return self._ask_move(parameter, now)
        if api_id == STOP:
            self._move_at = -math.inf
        elif api_id == UP and self.posture in ("lying", "damped", "locked"):
            self.posture, self._stood_at = "locked", now
        elif api_id == BALANCE and self.posture in ("locked", "standing", "walking"):
            self.posture = "standing"
        elif api_id == DOWN:
            self.posture, self._move_at = "lying", -math.inf
        elif api_id == DAMP:
            self.posture, self._move_at = "damped", -math.inf
        elif api_id not in (UP, BALANCE):
            self.forbidden.append(api_id)
        return DONE

    def steer(self, vx: float, vy: float, vyaw: float) -> None:
        """Let the remote's sticks drive; zeros let go of them."""
        self._sticks = (vx, vy, vyaw)

    def step(self, now: float) -> None:
        """Go on to a time."""
        dt = min(max(0.0, now - self._now), 0.1)
        self._now = now
        wanted = self._wanted(now)
        share = 1.0 - math.exp(-dt / self.traits.lag_s)
        self.velocity = [v + share * (w - v) for v, w in zip(self.velocity, wanted, strict=True)]
        vx, vy, vyaw = self.velocity
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        self.x += (c * vx - s * vy) * dt * (1.0 + self.traits.drift)
        self.y += (s * vx + c * vy) * dt * (1.0 + self.traits.drift)
        self.yaw = math.remainder(self.yaw + vyaw * dt, math.tau)
        if self.posture in ("standing", "walking"):
            self.posture = "walking" if any(wanted) else "standing"

    @property
    def speed(self) -> float:
        """How fast it walks [m/s], turning counted at 0.25 m from its middle."""
        vx, vy, vyaw = self.velocity
        return math.hypot(vx, vy) + 0.25 * abs(vyaw)

    def told_velocity(self) -> tuple[float, float, float]:
        """Return what its estimator says: the velocity and a sway."""
        vx, vy, vyaw = self.velocity
        sway = self.traits.sway
        return vx + sway * math.sin(9.0 * self._now), vy + sway * math.sin(7.0 * self._now), vyaw

    def told_codes(self) -> tuple[int, int]:
        """Return `mode` and `error_code`; the new firmware no longer keeps `mode`."""
        mode, code = TOLD[self.posture]
        return (0, code) if self.traits.service == "mcf" else (mode, 0)

    def _ask_move(self, parameter: str, now: float) -> int:
        try:
            values = json.loads(parameter)
            wanted = (float(values["x"]), float(values["y"]), float(values["z"]))
        except (ValueError, KeyError, TypeError):
            return BAD_PARAMETER
        for value, (low, high) in zip(wanted, BOUNDS.values(), strict=True):
            if not (math.isfinite(value) and low <= value <= high):
                return BAD_PARAMETER
        if (
            self.posture not in ("standing", "walking")
            or now - self._stood_at < self.traits.deaf_s
        ):
            self.ignored += 1
            return DONE
        self._move, self._move_at = wanted, now
        return DONE

    def _wanted(self, now: float) -> tuple[float, float, float]:
        if self.posture not in ("standing", "walking"):
            return (0.0, 0.0, 0.0)
        if any(self._sticks):
            return self._sticks
        return self._move if now - self._move_at <= self.traits.move_held_s else (0.0, 0.0, 0.0)
