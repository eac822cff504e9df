"""What the executor plays: one accepted chunk as a curve, joined to the one before."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vla_core.contract.model import Column
from vla_core.execution.acceptance import Accepted
from vla_core.execution.curve import Curve, Spline
from vla_core.execution.smoothing import smoothed
from vla_core.execution.values import Request, Task
from vla_core.types import Prefix

Columns = tuple[Column, ...]


@dataclass(frozen=True, eq=False)
class Plan:
    """A curve with its horizon. Immutable: the tick swaps plans, nobody edits one.

    Times are the plan's own (see `pace.Pace`), except where it was observed and asked for.
    """

    own: Curve  # the chunk's rows alone
    curve: Curve  # what is played: the plan before, joined to these rows
    start_ns: int  # when row 0 is due, after a shift to now if there was one
    step_ns: int
    rows: int
    horizon_rows: int
    observed_ns: int  # the instant as of which the observation was assembled, never shifted
    requested_ns: int  # when the chunk was asked for
    sampled_ns: int  # stamp of the oldest sample in the observation

    @property
    def end_ns(self) -> int:
        """When the last row is due."""
        return self.start_ns + (self.rows - 1) * self.step_ns

    @property
    def horizon_end_ns(self) -> int:
        """When the next chunk should have taken over."""
        return min(self.end_ns, self.start_ns + self.horizon_rows * self.step_ns)

    def joined(self, curve: Curve) -> Plan:
        """Return the same plan along another curve."""
        return replace(self, curve=curve)

    @classmethod
    def of(cls, accepted: Accepted, request: Request, task: Task, columns: Columns) -> Plan:
        """Return the plan that an accepted chunk alone makes."""
        smooth = smoothed(accepted.rows, columns, task.execution.smoothing_rows)
        rows = Spline(smooth, accepted.start_ns, task.step_ns, columns)
        return cls(
            own=rows,
            curve=rows,
            start_ns=accepted.start_ns,
            step_ns=task.step_ns,
            rows=len(accepted.rows),
            horizon_rows=task.horizon_rows or task.horizon,
            observed_ns=accepted.observed_ns,
            requested_ns=request.sent_ns,
            sampled_ns=accepted.sampled_ns,
        )

    def knots(self, from_ns: int, committed_until_ns: int) -> Prefix | None:
        """Return the rows due from ``from_ns`` to the end, on the plan's own grid."""
        first = max(0, -((self.start_ns - from_ns) // self.step_ns))
        if first >= self.rows:
            return None
        start_ns = self.start_ns + first * self.step_ns
        times = start_ns + np.arange(self.rows - first, dtype=np.int64) * self.step_ns
        return Prefix(self.curve.values(times), start_ns, self.step_ns, committed_until_ns)
