"""Values that travel through the stack: observation, chunk, prefix, epoch. No behaviour of nodes.

Times are integer nanoseconds of one clock that the caller chooses (ROS time when live, the
recording's time in replay). Letters: ``T`` rows of a chunk, ``A`` action columns, ``H, W`` pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import NonFiniteError, ShapeError

NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class Epoch:
    """Which run of the executor something belongs to: random boot id, then a counter."""

    boot_id: int
    counter: int

    def next(self) -> Epoch:
        """Return the epoch after a reset, a new instruction or another policy."""
        return Epoch(self.boot_id, self.counter + 1)


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare
class Observation:
    """What the robot knows as of one instant."""

    as_of_ns: int
    images: Mapping[str, NDArray[np.uint8]]  # stream -> (H, W, 3) RGB
    state: Mapping[str, NDArray[np.float64]]  # stream -> (entries,), order of the contract, SI
    instruction: str
    ages_ns: Mapping[str, int] = field(default_factory=dict)  # stream -> as_of - sample stamp


@dataclass(frozen=True, eq=False)
class Prefix:
    """The executor's plan as knots, for policies that continue it. Only rows that exist."""

    values: NDArray[np.float64]  # (T, A), absolute SI units
    start_ns: int  # row i is due at start_ns + i * step_ns
    step_ns: int
    committed_until_ns: int  # rows due earlier are executed whatever the answer is


@dataclass(frozen=True, eq=False)
class ActionChunk:
    """Actions for the next T steps, computed from one observation.

    Row ``i`` is due at ``start_ns + i * step_ns``. Values are absolute and in SI units.

    Raises:
        ShapeError: ``values`` is not a non-empty (T, A) array or does not match ``columns``.
        NonFiniteError: a value is NaN or infinite.
    """

    values: NDArray[np.float64]  # (T, A)
    start_ns: int  # the instant as of which the observation was assembled
    step_ns: int
    columns: tuple[str, ...]  # A names, in the order of the robot's contract
    prefix_rows: int = 0  # leading rows that repeat the request's prefix
    ages_ns: Mapping[str, int] = field(default_factory=dict)  # stream -> age at start_ns
    stages_ns: Mapping[str, int] = field(default_factory=dict)  # stage -> time spent

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or not len(self.values):
            raise ShapeError(
                f"action chunk: expected a non-empty (T, A) array, got shape {self.values.shape}"
            )
        if self.values.shape[1] != len(self.columns):
            raise ShapeError(
                f"action chunk: expected {len(self.columns)} columns {list(self.columns)}, "
                f"got {self.values.shape[1]}"
            )
        if self.step_ns <= 0:
            raise ShapeError(f"action chunk: expected a step above 0 ns, got {self.step_ns}")
        finite = np.isfinite(self.values)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise NonFiniteError(
                f"action chunk: NaN or infinity first at row {row}, "
                f"column '{self.columns[column]}'"
            )

    @property
    def horizon(self) -> int:
        """Number of rows T."""
        return len(self.values)

    def due_ns(self, row: int) -> int:
        """Return when ``row`` is due."""
        return self.start_ns + row * self.step_ns

    @property
    def end_ns(self) -> int:
        """When the last row is due."""
        return self.due_ns(self.horizon - 1)
