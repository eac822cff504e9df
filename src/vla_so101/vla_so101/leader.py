"""From the positions of a leader arm to commands inside the follower's limits. Pure.

A filter takes the steps of the leader's encoders away, the core's limiter does the rest: each
command is inside the limits and ends at rest, so a leader that is unplugged stops the follower.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vla_core.contract import Contract
from vla_core.execution.curve import Points, Times
from vla_core.execution.limiter import Limiter
from vla_core.execution.values import Command
from vla_core.types import NS_PER_S

Floats = NDArray[np.float64]

# Follows with a lag of 2 / RATE = 0.1 s; a step of one encoder tick stays inside the jerk limits.
RATE = 20.0  # [rad/s]
# A leader that is elsewhere is approached with at most this share of the velocity limit.
APPROACH = 0.5
TAIL_STEP_S = 0.04


class Leader:
    """Tracks a leader's positions (J,) for the columns of one output; times of one clock [ns]."""

    def __init__(self, contract: Contract, columns: Sequence[str]) -> None:
        by_name = {column.name: column for column in contract.action.columns}
        self._columns = tuple(by_name[name] for name in columns)
        action = contract.action.model_copy(update={"columns": self._columns, "workspace": None})
        self._limiter = Limiter(contract.model_copy(update={"action": action}), TAIL_STEP_S)
        self._step_s = contract.action.step_s
        self._fastest = APPROACH * np.array([column.velocity for column in self._columns])
        bounds = [column.position or (-np.inf, np.inf) for column in self._columns]
        self._low, self._high = np.array(bounds).T
        self._aim: Floats = np.zeros(len(self._columns))
        self._position: Floats = self._aim
        self._velocity: Floats = self._aim

    def begin(self, follower: Floats, now_ns: int) -> None:
        """Start from where the follower is, at rest."""
        self._limiter.place(follower.tolist(), now_ns)
        self._aim = self._position = np.clip(follower, self._low, self._high)
        self._velocity = np.zeros(len(self._columns))

    def follow(self, leader: Floats, now_ns: int) -> Command:
        """Return the command of one tick; call it once per step of the contract.

        Raises:
            LimitError: the leader's positions are not finite.
        """
        step_s = self._step_s
        way = np.clip(leader, self._low, self._high) - self._aim
        self._aim = self._aim + np.clip(way, -self._fastest * step_s, self._fastest * step_s)
        # Critically damped, solved exactly for an aim that stands still during the step.
        gap, fade = self._position - self._aim, np.exp(-RATE * step_s)
        slope = self._velocity + RATE * gap
        self._position = self._aim + (gap + slope * step_s) * fade
        self._velocity = (self._velocity - RATE * slope * step_s) * fade
        begin_ns = now_ns + round(step_s * NS_PER_S)

        def plan(times: Times) -> Points:
            # The filter's own future: it approaches the aim, so nothing overshoots.
            s = np.maximum(0, times - begin_ns)[:, None] / NS_PER_S
            rest = self._position - self._aim
            push = self._velocity + RATE * rest
            decay = np.exp(-RATE * s)
            position = self._aim + (rest + push * s) * decay
            velocity = (self._velocity - RATE * push * s) * decay
            return position, velocity, RATE**2 * (self._aim - position) - 2 * RATE * velocity

        self._limiter.follow(plan, now_ns)
        return self._limiter.command(now_ns)
