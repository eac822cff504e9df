"""What a robot last said of its joints, and for how long that counts."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import ObservationError
from vla_core.types import NS_PER_S

Floats = NDArray[np.float64]

# A measured state older than this is none: no command is taken, for example while a simulation
# is paused.
MEASURED_AGE_S = 0.5


class Measured:
    """The newest positions (A,) that a topic told, by the steady clock."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._newest: tuple[int, Floats] | None = None
        self._reason = "no joint states heard yet"

    def take(self, positions: Floats) -> None:
        """Note what was told just now."""
        self._newest = time.monotonic_ns(), positions

    def doubt(self, reason: str) -> None:
        """Note that something cannot be used; what was told before counts for its time."""
        self._reason = reason

    def lose(self, reason: str) -> None:
        """Note that it cannot be used, and that what was told before counts no more."""
        self._newest, self._reason = None, reason

    @property
    def trouble(self) -> str:
        """Why there is no measured state at all, however old; empty: there is one."""
        return "" if self._newest is not None else f"'{self._topic}': {self._reason}"

    def read(self) -> Floats:
        """Return the positions.

        Raises:
            ObservationError: there are none, or they are too old.
        """
        if self._newest is None:
            raise ObservationError(self.trouble)
        heard_ns, positions = self._newest
        age_s = (time.monotonic_ns() - heard_ns) / NS_PER_S
        if age_s > MEASURED_AGE_S:
            raise ObservationError(f"'{self._topic}': silent for {age_s:.1f} s")
        return positions
