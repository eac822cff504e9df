"""Small geometry that robot, room and success share."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray


def look_at(position: list[float], target: list[float]) -> list[float]:
    """Return the quaternion of a camera (looks along -z, x right, z of the frame up)."""
    backward = np.subtract(position, target)
    backward = backward / np.linalg.norm(backward)
    right = np.cross([0, 0, 1], backward)
    right /= np.linalg.norm(right)
    matrix = np.column_stack([right, np.cross(backward, right), backward])
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, matrix.flatten())
    return [float(value) for value in quat]


def flat_yaw(rotation: NDArray[np.float64]) -> float:
    """Return how a cube is turned about the vertical, whichever face it lies on, in ±pi/4."""
    axis = int(np.argmin(np.abs(rotation[2])))  # the most level edge
    yaw = np.arctan2(rotation[1, axis], rotation[0, axis])
    return float((yaw + np.pi / 4) % (np.pi / 2) - np.pi / 4)
