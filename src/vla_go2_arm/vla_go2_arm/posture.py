"""What the robot's state says about its body: may it walk, must it be unlocked, does it lie?

Firmware from V1.1.6 on (motion service `mcf`) tells it in `error_code` and no longer in `mode`;
older firmware (`normal`, `advanced`, `ai`) tells it in `mode`. Codes that are in neither table are
unknown, and an unknown state permits no motion.
Source: unitree_ros2 README (modes); Unitree's "sport services V2.0" (codes), as quoted in public
code; unitree_sdk2 `motion_switcher` (names of the services). Unchecked on hardware.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Posture(Enum):
    """What may be asked of the robot now."""

    READY = "stands and walks on request"
    LOCKED = "stands with locked joints"
    DOWN = "lies, sits or is damped"
    BUSY = "does something of its own"
    UNKNOWN = "is in a state that this bridge does not know"


_READY, _LOCKED, _DOWN, _BUSY = Posture.READY, Posture.LOCKED, Posture.DOWN, Posture.BUSY

# SportModeState.mode of older firmware.
_BY_MODE = {
    0: _READY, 1: _READY, 3: _READY,  # idle, balance stand, locomotion
    2: _LOCKED, 6: _LOCKED,  # pose, joint lock
    5: _DOWN, 7: _DOWN, 10: _DOWN,  # lie down, damping, sit
    8: _BUSY, 11: _BUSY, 12: _BUSY, 13: _BUSY,  # recovery stand, flip, jump, pounce
}  # fmt: skip
# SportModeState.error_code of the motion service V2.0; gaits too fast for an arm count as busy.
_BY_CODE = {
    100: _READY, 1013: _READY, 1015: _READY, 1017: _READY, 2010: _READY,
    1002: _LOCKED, 1091: _LOCKED,
    1001: _DOWN, 1004: _DOWN, 2006: _DOWN, 1007: _DOWN,
    **dict.fromkeys((1006, 1008, 1009, 1016, 2007, 2008, 2009, 2011), _BUSY),
    **dict.fromkeys((2012, 2013, 2014, 2016, 2017, 2019), _BUSY),
}  # fmt: skip

SERVICES = {"mcf": _BY_CODE, "normal": _BY_MODE, "advanced": _BY_MODE, "ai": _BY_MODE}


@dataclass(frozen=True, eq=False)
class BaseState:
    """One SportModeState in plain values."""

    stamp_ns: int  # the robot's own clock, which may be wrong by a year: only for its advance
    position: Floats  # (3,) in odom [m]
    rpy: Floats  # (3,) [rad]
    velocity: Floats  # (3,) vx, vy [m/s], vyaw [rad/s], in the frame of the base
    mode: int
    code: int

    def posture(self, service: str) -> Posture:
        """Return what this state says under a motion service; see `SERVICES`."""
        told = self.code if SERVICES[service] is _BY_CODE else self.mode
        return SERVICES[service].get(told, Posture.UNKNOWN)

    def describe(self) -> str:
        """Return the numbers an operator can look up."""
        return f"mode {self.mode}, error_code {self.code}"
