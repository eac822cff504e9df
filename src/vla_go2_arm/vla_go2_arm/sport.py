"""What the bridge may ask of the robot's sport service, and nothing else.

Source: unitree_ros2 `ros2_sport_client.h` (ids, parameters); ranges: Unitree's documentation of
the sport service. Damp (1001) is not here on purpose: the robot collapses, with an arm on its
back; the operator has it on the remote (L2+B). Neither are flips, jumps and dances.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from enum import IntEnum

from vla_core.errors import LimitError


class Api(IntEnum):
    """The whitelist."""

    BALANCE_STAND = 1002  # stand and give the joints free for Move
    STOP_MOVE = 1003
    STAND_UP = 1004  # stand with locked joints
    STAND_DOWN = 1005
    MOVE = 1008


# Of Move's parameter: forward and left [m/s], counter-clockwise [rad/s].
RANGES = {"x": (-2.5, 3.8), "y": (-1.0, 1.0), "z": (-4.0, 4.0)}

# What a response's code means.
CODES = {
    0: "done",
    3102: "the request was not sent",
    3104: "no answer in time",
    3203: "the firmware does not know this function",
    3204: "wrong parameter",
    4201: "the action timed out",
    4202: "the motion service is not initialised",
}


@dataclass(frozen=True)
class Call:
    """One request in plain values; `noreply`: the robot sends no response."""

    api_id: int
    parameter: str
    noreply: bool = False


def move(vx: float, vy: float, vyaw: float) -> Call:
    """Return the call that walks: x forward, y left [m/s], yaw counter-clockwise [rad/s].

    Raises:
        LimitError: outside the vendor's range, or not finite.
    """
    values = {"x": float(vx), "y": float(vy), "z": float(vyaw)}
    # Without an answer, as the vendor's own client does: 50 answers a second tell nothing.
    return _checked(Call(Api.MOVE, json.dumps(values, allow_nan=True), noreply=True))


def call(api: Api) -> Call:
    """Return the call of a function without parameters."""
    return _checked(Call(int(api), "{}"))


def explain(code: int) -> str:
    """Return what a response's code means, for people."""
    return f"{code} ({CODES.get(code, 'unknown')})"


def _checked(request: Call) -> Call:
    """Return the call if it is one of the whitelist, inside the vendor's ranges."""
    if request.api_id not in set(Api):
        raise LimitError(f"sport function {request.api_id} is not allowed; allowed: {list(Api)}")
    if request.api_id == Api.MOVE:
        for key, value in json.loads(request.parameter).items():
            low, high = RANGES[key]
            if not math.isfinite(value) or not low <= value <= high:
                raise LimitError(f"Move '{key}': expected {low:g} to {high:g}, got {value:g}")
    return request
