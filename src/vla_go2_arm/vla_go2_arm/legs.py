"""The leg motors in the order and with the names that ROS uses.

LowState counts motors FR, FL, RR, RL; joint states go FL, FR, RL, RR as in Unitree's URDF.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_UNITREE = ("FR", "FL", "RR", "RL")
_ROS = ("FL", "FR", "RL", "RR")
_PARTS = ("hip", "thigh", "calf")

JOINTS = tuple(f"{leg}_{part}_joint" for leg in _ROS for part in _PARTS)
# Joint i of JOINTS is this motor.
MOTORS = tuple(_UNITREE.index(leg) * 3 + part for leg in _ROS for part in range(3))


def in_ros_order(by_motor: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (12,) by `JOINTS` of (12 or more,) by motor."""
    return by_motor[list(MOTORS)]
