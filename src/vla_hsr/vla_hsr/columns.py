"""Whether the contract's columns are in the units of this robot's joints; pure."""

from __future__ import annotations

from collections.abc import Iterable

from vla_core.contract import Column

LIFT = "arm_lift_joint"  # the one joint that slides; all others turn


def unit_mistakes(columns: Iterable[Column]) -> list[str]:
    """Return a sentence for each position column in another unit than its joint's."""
    return [
        f"column '{column.name}': expected {unit_of(column.name)}, found {column.unit}"
        for column in columns
        if column.is_position and column.unit != unit_of(column.name)
    ]


def unit_of(joint: str) -> str:
    """Return the SI unit of a joint's position."""
    return "m" if joint == LIFT else "rad"
