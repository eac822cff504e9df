"""Where the tool is: forward kinematics of one serial chain, for the workspace box."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.model import Contract, Link

Array = NDArray[np.float64]


class SerialChain:
    """Joint positions to the tool's position, link by link as a URDF describes them.

    A link is placed by its origin, then turned about (or moved along) its axis by its column.
    """

    def __init__(self, links: tuple[Link, ...], columns: tuple[str, ...]) -> None:
        """Take the links from the frame of the box to the tool, and the contract's columns."""
        self._links = [_Placed(link, columns) for link in links]

    def __call__(self, positions: Array) -> Array:
        """Return tool positions (K, 3) [m] for joint positions (K, A)."""
        points: Array = np.zeros((len(positions), 3))
        for link in reversed(self._links):
            points = link.outwards(points, positions)
        return points


class _Placed:
    """One link with everything that does not depend on the joints."""

    def __init__(self, link: Link, columns: tuple[str, ...]) -> None:
        self._origin = np.array(link.origin)
        self._turn = _rotation(*link.rpy)
        self._index = None if link.column is None else columns.index(link.column)
        axis = np.array(link.axis)
        self._axis = axis / np.linalg.norm(axis)
        self._slides = link.slides

    def outwards(self, points: Array, positions: Array) -> Array:
        """Return points (K, 3) of this link's frame in the frame before it."""
        if self._index is not None:
            way = positions[:, self._index, None]
            points = points + way * self._axis if self._slides else self._turned(points, way)
        return np.asarray(points @ self._turn.T + self._origin)

    def _turned(self, points: Array, angle: Array) -> Array:
        """Return points turned about the axis. Source: Rodrigues' formula."""
        across = np.cross(self._axis, points)
        along = (points @ self._axis)[:, None] * self._axis
        turned = along + np.cos(angle) * (points - along) + np.sin(angle) * across
        return np.asarray(turned)


def _rotation(roll: float, pitch: float, yaw: float) -> Array:
    """Return the matrix of fixed-axis angles, as in URDF."""
    (cr, cp, cy), (sr, sp, sy) = np.cos([roll, pitch, yaw]), np.sin([roll, pitch, yaw])
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def tip_of(contract: Contract) -> SerialChain | None:
    """Return the kinematics that the contract's workspace describes; None: it has none."""
    box = contract.action.workspace
    return None if box is None or not box.chain else SerialChain(box.chain, contract.columns)
