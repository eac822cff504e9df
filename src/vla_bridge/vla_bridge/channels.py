"""One output of the contract as its receiver sees it: the newest command, and how it ends.

A trajectory is played by time and ends in its own braking tail; plain positions are held; plain
velocities ramp to zero when nothing more is heard for the deadline. No ROS beyond messages.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import Twist
from numpy.typing import NDArray
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from vla_core.bridge import TrajectoryPlayer, Watchdog
from vla_core.contract import Column, Contract, Output
from vla_core.errors import ChunkError, NonFiniteError
from vla_core.types import NS_PER_S
from vla_ros.joints import MESSAGE_TYPES, entries_from_msg, trajectory_arrays, twist_values
from vla_ros.stamps import time_ns

Floats = NDArray[np.float64]


class Channel:
    """What all outputs share: name, columns, watchdog."""

    def __init__(self, name: str, output: Output, contract: Contract) -> None:
        self.name, self.output = name, output
        by_name = {column.name: column for column in contract.action.columns}
        self.columns: list[Column] = [by_name[c] for c in output.columns]
        self.index = np.array([contract.columns.index(c) for c in output.columns])
        self.watchdog = Watchdog(int(output.deadline_s * NS_PER_S))
        self.message_type = MESSAGE_TYPES[output.type]

    def receive(self, msg: Any, now_ns: int, measured: Floats | None) -> None:
        """Take a command over; ``measured`` are positions by output column, if known.

        Raises:
            ChunkError: malformed; nothing was taken over.
        """
        raise NotImplementedError

    def evaluate(self, now_ns: int, fresh: bool, positions: Floats, velocities: Floats) -> None:
        """Write the targets at ``now_ns`` into arrays by contract column."""
        raise NotImplementedError

    def is_at_rest(self, now_ns: int) -> bool:
        """Return whether the targets stand still from now on."""
        raise NotImplementedError

    def clear(self) -> None:
        """Forget everything that was received."""
        self.watchdog.clear()


class TrajectoryChannel(Channel):
    """Plays joint trajectories by time."""

    def __init__(self, name: str, output: Output, contract: Contract) -> None:
        super().__init__(name, output, contract)
        self._player = TrajectoryPlayer(len(self.columns), self.columns)

    def receive(self, msg: JointTrajectory, now_ns: int, measured: Floats | None) -> None:
        arrays = trajectory_arrays(msg, self.output.columns)
        # As in ros2_control, a stamp of zero means: starts now.
        self._player.load(time_ns(msg.header.stamp) or now_ns, *arrays, measured)

    def evaluate(self, now_ns: int, fresh: bool, positions: Floats, velocities: Floats) -> None:
        played = self._player.at(now_ns)
        if played is not None:
            positions[self.index], velocities[self.index] = played

    def is_at_rest(self, now_ns: int) -> bool:
        return self._player.is_at_rest(now_ns)

    def clear(self) -> None:
        super().clear()
        self._player.clear()


class ValueChannel(Channel):
    """Takes plain values: holds positions, ramps velocities to zero when they are not fresh."""

    def __init__(self, name: str, output: Output, contract: Contract) -> None:
        super().__init__(name, output, contract)
        self._is_velocity = np.array([not column.is_position for column in self.columns])
        self._ramp = np.array([column.acceleration for column in self.columns])
        self._values: Floats | None = None
        self._now_ns: int | None = None

    def receive(self, msg: Any, now_ns: int, measured: Floats | None) -> None:
        self._values = self._read(msg)

    def evaluate(self, now_ns: int, fresh: bool, positions: Floats, velocities: Floats) -> None:
        elapsed_s = 0.0 if self._now_ns is None else max(0, now_ns - self._now_ns) / NS_PER_S
        self._now_ns = now_ns
        if self._values is None:
            return
        if not fresh:
            slower = np.maximum(np.abs(self._values) - self._ramp * elapsed_s, 0.0)
            ramped = np.copysign(slower, self._values)
            self._values = np.where(self._is_velocity, ramped, self._values)
        positions[self.index] = np.where(self._is_velocity, np.nan, self._values)
        velocities[self.index] = np.where(self._is_velocity, self._values, 0.0)

    def is_at_rest(self, now_ns: int) -> bool:
        return self._values is None or not self._values[self._is_velocity].any()

    def clear(self) -> None:
        super().clear()
        self._values = self._now_ns = None

    def _read(self, msg: Any) -> Floats:
        if isinstance(msg, Twist):
            return twist_values(msg, self.output.fields)
        if isinstance(msg, JointState):
            return entries_from_msg(msg, "position", self.output.columns)
        values = np.asarray(msg.data, np.float64)
        if values.shape != (len(self.columns),):
            raise ChunkError(
                f"'{self.output.topic}': expected {len(self.columns)} values for "
                f"{list(self.output.columns)}, got {len(values)}"
            )
        if not np.isfinite(values).all():
            raise NonFiniteError(f"'{self.output.topic}': NaN or infinity")
        return values


def open_channels(contract: Contract) -> list[Channel]:
    """Return one channel per output of the contract."""
    kinds = {"trajectory_msgs/msg/JointTrajectory": TrajectoryChannel}
    return [
        kinds.get(output.type, ValueChannel)(name, output, contract)
        for name, output in contract.outputs.items()
    ]
