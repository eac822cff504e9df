"""Where the first command of a task begins: where the robot is, bounded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vla_core.contract.model import Column
from vla_core.errors import LimitError
from vla_core.execution.guards import MeasuredState
from vla_core.execution.kinds import apart
from vla_core.execution.limiter import Limiter
from vla_core.execution.modes import Condition, Standing
from vla_core.execution.values import ExecutorSettings

# A robot that moved by less since it was found is still at rest [rad, m].
STILL = 0.02


class Start:
    """Puts the limiter where the robot is, and follows the robot until the first command.

    While nothing is commanded somebody else may move the robot, so nothing is taken for granted:
    only once a plan is played is the robot where the commands are.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        measured: MeasuredState,
        limiter: Limiter,
        settings: ExecutorSettings,
    ) -> None:
        self._columns, self._measured = columns, measured
        self._limiter, self._settings = limiter, settings
        self._last_command: list[float] | None = None  # where the newest command rests
        self._found: list[float] | None = None  # measured when the robot was found at rest
        self._is_forgetting = False
        self.is_placed = False
        self.is_commanding = False

    def commanded(self) -> None:
        """Note that a command leaves: from now on the robot is where the commands are."""
        self.is_commanding = True

    def leave(self) -> None:
        """Note that no commands leave any more: the robot must be found again."""
        if self.is_commanding:
            keep = not self._is_forgetting
            self._last_command = self._limiter.rest_positions if keep else None
        self.is_placed = self.is_commanding = self._is_forgetting = False
        self._found = None

    def forget(self) -> None:
        """Do not go on from the last command, nor from one that still brakes."""
        self._last_command = None
        self._is_forgetting = self.is_commanding

    def trouble(self, now_ns: int) -> Standing | None:
        """Place the limiter unless commands leave; return why that is not possible yet."""
        if self.is_commanding:
            return None
        age_ns = self._measured.age_ns(now_ns)
        if age_ns is None:
            missing = self._measured.missing
            return Standing(Condition.MEASURED_MISSING, f"no measured state of {missing} yet")
        if age_ns > self._settings.measured_age_s * 1e9:
            sentence = f"measured state is {age_ns / 1e9:.2f} s old"
            return Standing(Condition.MEASURED_OLD, sentence)
        measured = self._measured.positions.tolist()
        moved = self._moved(measured)
        if not moved:
            return None
        tolerance = self._settings.start_tolerance
        try:
            start = start_positions(self._columns, measured, self._last_command, tolerance)
        except LimitError as error:
            return Standing(Condition.OUT_OF_PLACE, str(error))
        outside = self._limiter.outside_workspace(np.array([start]))
        if outside is not None:
            sentence = f"{outside}: move the robot inside, then reset"
            return Standing(Condition.OUT_OF_PLACE, sentence)
        # A gripper that still closes does not make an observation of the scene old.
        is_same = self._found is not None and all(column.is_gripper for column in moved)
        self._limiter.place(start, self._limiter.rest_ns if is_same else now_ns)
        self._found = measured
        self.is_placed = True
        return None

    def _moved(self, measured: list[float]) -> list[Column]:
        """Return the columns that are no longer where they were found; all if none was."""
        if self._found is None:
            return list(self._columns)
        moved = np.abs(apart(self._columns, np.array(measured), np.array(self._found)))
        return [
            column
            for column, way in zip(self._columns, moved.tolist(), strict=True)
            if column.position is not None and way > STILL
        ]


def start_positions(
    columns: Sequence[Column],
    measured: Sequence[float],
    commanded: Sequence[float] | None,
    tolerance: float,
) -> list[float]:
    """Return the positions (A,) to start from.

    The last command is kept where the robot is still near it: a robot sags a little below its
    command, and a start from there would drop it by as much again. A gripper that holds something
    is never near its command, so the other columns decide for it.

    Args:
        columns: of the contract.
        measured: positions (A,).
        commanded: where the last command rests (A,); None: there was none.
        tolerance: a start may be outside the limits, or away from the last command, by this.

    Raises:
        LimitError: the robot is outside its limits.
    """
    start, is_near = [], commanded is not None
    ways = apart(
        columns, np.array(measured), np.array(measured if commanded is None else commanded)
    )
    for i, column in enumerate(columns):
        if column.position is None:
            start.append(0.0)  # a velocity column: its integral starts anew
            continue
        lower, upper = column.position
        if not column.is_gripper and not lower - tolerance <= measured[i] <= upper + tolerance:
            raise LimitError(
                f"column '{column.name}' is at {measured[i]:.4g} {column.unit}, outside its "
                f"limits {lower:g} to {upper:g}: move the robot inside, then reset"
            )
        if commanded is not None and not column.is_gripper:
            is_near = is_near and abs(float(ways[i])) <= tolerance
        start.append(measured[i])
    return list(commanded) if commanded is not None and is_near else start
