"""The state streams that measure the contract's position columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import JointState

from vla_core.contract import Contract, StateStream
from vla_core.errors import ObservationError
from vla_ros.joints import MESSAGE_TYPES, entries_from_msg
from vla_ros.stamps import time_ns


@dataclass(frozen=True)
class Measurement:
    """One state stream and the columns it measures."""

    name: str
    stream: StateStream
    columns: tuple[str, ...]
    entries: tuple[str, ...]  # of the stream, one per column

    @property
    def message_type(self) -> type:
        """Return the type of the stream's messages."""
        return MESSAGE_TYPES[self.stream.type]

    def read(self, msg: Any, now_ns: int) -> tuple[NDArray[np.float64], int]:
        """Return positions by column (C,) and their stamp; without a stamp: ``now_ns``.

        Raises:
            ObservationError: an entry is missing or not finite.
        """
        if isinstance(msg, JointState):
            return entries_from_msg(msg, self.stream.field, self.entries), time_ns(
                msg.header.stamp
            )
        values = np.asarray(msg.data, np.float64)
        if values.shape != (len(self.stream.entries),):
            raise ObservationError(
                f"stream '{self.name}': expected {len(self.stream.entries)} values, "
                f"got {len(values)}"
            )
        order = [self.stream.entries.index(entry) for entry in self.entries]
        if not np.isfinite(values[order]).all():
            raise ObservationError(f"stream '{self.name}': NaN or infinity")
        return values[order], now_ns


def measurements(contract: Contract) -> list[Measurement]:
    """Return the streams that measure position columns."""
    by_stream: dict[str, list[tuple[str, str]]] = {}
    for column, (stream, entry) in contract.measurements.items():
        by_stream.setdefault(stream, []).append((column, entry))
    return [
        Measurement(
            name,
            contract.observation.state[name],
            tuple(column for column, _ in pairs),
            tuple(entry for _, entry in pairs),
        )
        for name, pairs in by_stream.items()
    ]
