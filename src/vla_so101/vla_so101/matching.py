"""Whether a contract describes this arm, checked before the arm is touched. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vla_core.contract import Column, Contract
from vla_core.errors import MismatchError
from vla_so101.calibration import JOINTS
from vla_so101.units import GRIPPER

Floats = NDArray[np.float64]

# A joint that reaches less of its contract's range than this was calibrated wrongly.
SMALLEST_SHARE = 0.6
NEGLIGIBLE = 0.02  # [rad]


def arm_columns(contract: Contract) -> list[Column]:
    """Return the contract's columns of this arm, in the contract's order.

    Raises:
        MismatchError: joints are missing or of another kind or unit; lists all of it.
    """
    columns = [column for column in contract.action.columns if column.name in JOINTS]
    names = [column.name for column in columns]
    mistakes = []
    if sorted(names) != sorted(JOINTS):
        mistakes.append(
            f"expected columns {list(JOINTS)}, found {[c.name for c in contract.action.columns]}"
        )
    for column in columns:
        kind = "gripper" if column.name == GRIPPER else "joint_position"
        if (column.kind, column.unit) != (kind, "rad"):
            mistakes.append(
                f"column '{column.name}': expected a {kind} in rad, "
                f"found a {column.kind} in {column.unit}"
            )
    if mistakes:
        raise MismatchError(f"robot '{contract.robot}' as SO-101: " + "; ".join(mistakes))
    return columns


def state_topics(contract: Contract) -> list[str]:
    """Return the topics of the contract's joint streams that this arm fills.

    Raises:
        MismatchError: a stream mixes this arm's joints with others, or asks for another field.
    """
    topics = []
    for name, stream in contract.observation.state.items():
        ours = [entry for entry in stream.entries if entry in JOINTS]
        if not ours:
            continue
        if len(ours) < len(stream.entries) or stream.type != "sensor_msgs/msg/JointState":
            raise MismatchError(
                f"state stream '{name}' ({stream.type}) expects {list(stream.entries)}; "
                f"an SO-101 publishes {list(JOINTS)} as sensor_msgs/msg/JointState"
            )
        topics.append(stream.topic)
    return topics


def gripper_range(columns: Sequence[Column]) -> tuple[float, float]:
    """Return the gripper's closed and open position [rad]."""
    column = next(column for column in columns if column.name == GRIPPER)
    if column.position is None:
        raise MismatchError("column 'gripper': expected a position range, found none")
    return column.position


def check_reach(columns: Sequence[Column], low: Floats, high: Floats) -> list[str]:
    """Return which columns reach less than the contract allows, one sentence each.

    Args:
        columns: of the arm, in the order of ``low`` and ``high``.
        low, high: what the calibration allows [rad] (J,).

    Raises:
        MismatchError: a joint reaches so little that the calibration cannot be right.
    """
    notes, mistakes = [], []
    for column, first, last in zip(columns, low, high, strict=True):
        lower, upper = column.position or (-np.inf, np.inf)
        shared = min(upper, last) - max(lower, first)
        if shared < SMALLEST_SHARE * (upper - lower):
            mistakes.append(
                f"'{column.name}': the contract allows {lower:.2f} to {upper:.2f} rad, "
                f"the calibration {first:.2f} to {last:.2f}"
            )
        elif first > lower + NEGLIGIBLE or last < upper - NEGLIGIBLE:
            notes.append(
                f"'{column.name}' reaches {first:.3f} to {last:.3f} rad, less than the contract's "
                f"{lower:.3f} to {upper:.3f}: targets beyond end there"
            )
    if mistakes:
        raise MismatchError(
            "the calibration does not fit the contract: "
            + "; ".join(mistakes)
            + ". Calibrate again, moving every joint through its whole range."
        )
    return notes
