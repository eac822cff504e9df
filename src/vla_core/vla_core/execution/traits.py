"""A robot's columns as arrays: made once, since every chunk is compared with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.model import Column
from vla_core.smoothstep import smooth_limits

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Traits:
    """What the columns are and what they allow, (A,) where nothing else is said.

    A column's value is a position, or for velocity columns a velocity. Shared: not to be changed.
    """

    is_gripper: Flags
    is_velocity: Flags
    is_joint: Flags  # a joint's position
    lower: Array  # of the value
    upper: Array
    velocity: Array
    smooth: Array  # (3, A) see `smoothstep.smooth_limits`; grippers: infinite


@lru_cache(maxsize=8)
def traits(columns: tuple[Column, ...]) -> Traits:
    """Return the columns' traits; the same object for the same columns."""
    limits = [column.position or (-column.velocity, column.velocity) for column in columns]
    smooth = [(np.inf,) * 3 if column.is_gripper else smooth_limits(column) for column in columns]
    return Traits(
        is_gripper=np.array([column.is_gripper for column in columns]),
        is_velocity=np.array([not column.is_position for column in columns]),
        is_joint=np.array([column.kind == "joint_position" for column in columns]),
        lower=np.array([low for low, _ in limits]),
        upper=np.array([high for _, high in limits]),
        velocity=np.array([column.velocity for column in columns]),
        smooth=np.array(smooth).T,
    )
