"""Judges requests as the vendor's definitions do; shares no code with bridge or emulator."""

from __future__ import annotations

import json
import math
from typing import Any

ALLOWED = {
    1002: "BalanceStand",
    1003: "StopMove",
    1004: "StandUp",
    1005: "StandDown",
    1008: "Move",
}
MOVE_RANGE = {"x": (-2.5, 3.8), "y": (-1.0, 1.0), "z": (-4.0, 4.0)}
LARGEST_INT64 = 2**63 - 1


def mistakes(request: Any) -> list[str]:
    """Return what is wrong with a request on the topic of the sport service."""
    identity, policy = request.header.identity, request.header.policy
    found = []
    if identity.api_id not in ALLOWED:
        found.append(f"function {identity.api_id} is not on the whitelist")
    if not 0 < identity.id <= LARGEST_INT64:
        found.append(f"id {identity.id}")
    if request.header.lease.id or policy.priority or len(request.binary):
        found.append("lease, priority or binary is set")
    if policy.noreply != (identity.api_id == 1008):
        found.append(f"noreply {policy.noreply} of function {identity.api_id}")
    parameter = json.loads(request.parameter, parse_constant=float)
    return found + (_move(parameter) if identity.api_id == 1008 else _empty(parameter))


def _empty(parameter: Any) -> list[str]:
    return [] if parameter == {} else [f"parameter {parameter}"]


def _move(parameter: Any) -> list[str]:
    if not isinstance(parameter, dict) or set(parameter) != set(MOVE_RANGE):
        return [f"Move's parameter {parameter}"]
    return [
        f"Move's {key} is {parameter[key]}"
        for key, (low, high) in MOVE_RANGE.items()
        if not isinstance(parameter[key], float)
        or not math.isfinite(parameter[key])
        or not low <= parameter[key] <= high
    ]
