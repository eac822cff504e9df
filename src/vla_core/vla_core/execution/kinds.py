"""What the kind of a column asks for, beside its limits: circles, grippers, bases."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.model import Column

Array = NDArray[np.float64]
Columns = Sequence[Column]

TURN = 2 * math.pi


def apart(columns: Columns, one: Array, other: Array) -> Array:
    """Return ``one - other`` (..., A), on the circle where a column is continuous."""
    way = one - other
    turns = np.array([column.continuous for column in columns])
    return np.where(turns, (way + math.pi) % TURN - math.pi, way) if turns.any() else way


def unwrapped(rows: Array, columns: Columns, near: Array, first: int) -> Array:
    """Return rows (T, A) whose continuous columns go the short way, beginning near the robot.

    Args:
        rows: as the policy gives them, whole turns apart from where the robot thinks it is.
        columns: of the contract.
        near: positions (A,) now.
        first: row that is due next.
    """
    turning = [i for i, column in enumerate(columns) if column.continuous]
    if not turning:
        return rows
    rows = rows.copy()
    for i in turning:
        angles = np.unwrap(rows[:, i])
        turns = round((near[i] - angles[first]) / TURN)
        lower, upper = columns[i].position or (-math.inf, math.inf)
        # Where the joint may turn no further, the other way round is the only one.
        turns -= int(angles.max() + TURN * turns > upper)
        turns += int(angles.min() + TURN * turns < lower)
        rows[:, i] = angles + TURN * turns
    return rows


def steady(rows: Array, columns: Columns, held: Array, first: int) -> Array:
    """Return rows (T, A) in which grippers keep their value until a change is worth it.

    Args:
        rows: as the policy gives them.
        columns: of the contract, with their ``hysteresis``.
        held: values (A,) in force.
        first: row that is due next.
    """
    grippers = [i for i, column in enumerate(columns) if column.hysteresis > 0.0]
    if not grippers:
        return rows
    rows = rows.copy()
    for i in grippers:
        kept, asked, least = float(held[i]), rows[first:, i].tolist(), columns[i].hysteresis
        for row, value in enumerate(asked):
            kept = asked[row] = value if abs(value - kept) > least else kept
        rows[first:, i] = asked
    return rows


def base(columns: Columns) -> list[int]:
    """Return the columns that move one base together; empty: there are fewer than two."""
    found = [i for i, column in enumerate(columns) if column.kind == "base_velocity"]
    return found if len(found) > 1 else []


def slowed(rows: Array, columns: Columns) -> Array:
    """Return rows (T, A) whose base velocities are inside their limits and keep their direction.

    The planar velocity stays inside the ellipse of its columns' limits, turning inside its own.
    What is too fast is slowed as a whole, so the base follows the same way.
    """
    moving = base(columns)
    if not moving:
        return rows
    share = np.abs(rows[:, moving]) / np.array([columns[i].velocity for i in moving])
    planar = np.array([columns[i].unit == "m/s" for i in moving])
    excess = np.maximum(
        np.sqrt((share[:, planar] ** 2).sum(axis=1)), share[:, ~planar].max(axis=1, initial=0.0)
    )
    rows = rows.copy()
    rows[:, moving] /= np.maximum(excess, 1.0)[:, None]
    return rows
