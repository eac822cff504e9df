"""Where the first command of a task begins: where the robot is, bounded."""

from __future__ import annotations

from collections.abc import Sequence

from vla_core.contract.model import Column
from vla_core.errors import LimitError


def start_positions(
    columns: Sequence[Column],
    measured: Sequence[float],
    commanded: Sequence[float] | None,
    tolerance: float,
) -> list[float] | None:
    """Return the positions (A,) to start from; None: go on from the last command.

    The last command is kept where the robot is still near it: a robot sags a little below its
    command, and a start from there would drop it by as much again. A gripper that holds something
    is never near its command, so the other columns decide for it.

    Args:
        columns: of the contract.
        measured: positions (A,).
        commanded: where the last command rests (A,); None: there was none.
        tolerance: a start may be outside the limits, or away from the last command, by this.

    Raises:
        LimitError: the robot is outside its limits.
    """
    start, is_near = [], commanded is not None
    for i, column in enumerate(columns):
        if column.position is None:
            start.append(0.0)  # a velocity column: its integral starts anew
            continue
        lower, upper = column.position
        if not column.is_gripper and not lower - tolerance <= measured[i] <= upper + tolerance:
            raise LimitError(
                f"column '{column.name}' is at {measured[i]:.4g} {column.unit}, outside its "
                f"limits {lower:g} to {upper:g}: move the robot inside, then reset"
            )
        if commanded is not None and not column.is_gripper:
            is_near = is_near and abs(measured[i] - commanded[i]) <= tolerance
        start.append(measured[i])
    return None if is_near else start
