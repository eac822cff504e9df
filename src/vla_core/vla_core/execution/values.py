"""What goes into the executor and what comes out of it. Times in ns of the caller's clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.policy_config import ExecutionConfig, JoinName
from vla_core.errors import NonFiniteError, ShapeError
from vla_core.execution.modes import Mode
from vla_core.types import ActionChunk, Epoch, Prefix

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Execution:
    """How one policy's chunks are played."""

    synchronous: bool = False  # stop for each inference
    join: JoinName = "blend"
    threshold: float | None = None  # share of the horizon below which to ask; None: from latency
    refresh_s: float | None = None  # ask again when the plan's observation is older
    mode_switch: float = 0.5  # plans farther apart [rad, m] stop instead of blending
    smoothing_rows: float = 6.0  # wiggles of the rows shorter than this are removed; 0: none
    # An observation within this share of the ranges of the plan's own is not asked about; 0: all.
    similar_within: float = 0.0
    similar_age_s: float = 1.0  # unless the plan's own is older

    @classmethod
    def of(cls, config: ExecutionConfig) -> Execution:
        """Return what a policy's file asks for."""
        return cls(
            synchronous=config.mode == "sync",
            join=config.join,
            threshold=config.threshold,
            refresh_s=config.refresh_s,
            mode_switch=config.mode_switch,
            smoothing_rows=config.smoothing_rows,
            similar_within=config.similar_within,
            similar_age_s=config.similar_age_s,
        )


@dataclass(frozen=True)
class Task:
    """One instruction for one policy, and what its chunks look like."""

    task_id: str
    instruction: str
    policy: str
    columns: tuple[str, ...]
    horizon: int  # rows per chunk, H
    step_ns: int  # between rows
    horizon_rows: int | None = None  # rows played before the next chunk is due, h; None: H
    execution: Execution = Execution()
    accepts_prefix: bool = False  # whether the policy continues a plan: `PolicySpec`


@dataclass(frozen=True)
class ExecutorSettings:
    """What does not depend on the task. Each wait with its deadline; see `modes.TABLE`."""

    lease_s: float = 1.0  # an older lease: hold
    clock_jump_s: float = 0.1  # a larger step of the clock: hold, new epoch
    measured_age_s: float = 0.2  # an older measured state: hold
    measured_lost_s: float = 2.0  # missing for longer: stop
    start_tolerance: float = 0.1  # measured may leave its limits by this at the start [rad, m]
    row_tolerance: float = 0.05  # rows may leave the limits by this share of the range: clamped
    request_timeout_s: float = 2.0  # after the first answers: at least this, else 4 x p99
    first_timeout_s: float = 30.0  # a first inference may take long
    rejections_to_hold: int = 3
    failures_to_hold: int = 5
    tail_step_s: float = 0.04  # between points of the braking tail
    shadow: bool = False  # decide everything, command nothing: somebody else moves the robot


@dataclass(frozen=True, eq=False)
class Answer:
    """A policy's answer to one request."""

    request_id: int
    epoch: Epoch
    policy: str
    chunk: ActionChunk


@dataclass(frozen=True, eq=False)
class Correction:
    """Residual on the plan for one target time.

    Raises:
        ShapeError: values and columns differ in number.
        NonFiniteError: a value is NaN or infinite.
    """

    target_ns: int
    epoch: Epoch
    policy: str
    columns: tuple[str, ...]
    values: Array  # (len(columns),), SI

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.columns),):
            raise ShapeError(
                f"correction: expected {len(self.columns)} values for {list(self.columns)}, "
                f"got shape {self.values.shape}"
            )
        if not np.isfinite(self.values).all():
            raise NonFiniteError("correction: NaN or infinity among its values")


@dataclass(frozen=True)
class Request:
    """Asks one policy for its next chunk."""

    request_id: int
    epoch: Epoch
    policy: str
    instruction: str
    sent_ns: int
    prefix: Prefix | None  # the plan as knots; None: there is no plan to continue


@dataclass(frozen=True, eq=False)
class Command:
    """The next point of every column and a braking tail to rest, after limits.

    Columns in the order of the contract. For velocity columns ``velocities`` is the command and
    ``positions`` its integral since the executor started.
    """

    stamp_ns: int  # the tick
    times_ns: NDArray[np.int64]  # (K,) after stamp_ns; row 0: the next point, due one tick later
    positions: Array  # (K, A)
    velocities: Array  # (K, A)
    accelerations: Array  # (K, A)


@dataclass(frozen=True, eq=False)
class Decision:
    """The outcome of one tick."""

    mode: Mode
    reason: str
    command: Command | None  # None: send nothing
    request: Request | None  # None: ask nothing
    at_rest: bool = True  # whether the command ends where it begins
    withheld: Command | None = None  # in shadow: what would have been commanded


@dataclass(frozen=True)
class Snapshot:
    """Everything `ExecutorState` carries; times in s, NaN: not known. Same names."""

    epoch: Epoch
    mode: Mode
    reason: str
    task_id: str
    instruction: str
    policy: str
    synchronous: bool
    synchronous_reason: str
    horizon_left: float
    plan_left: float
    request_threshold: float
    request_in_flight: bool
    observation_age: float
    seam_gap: float
    seam_step_velocity: float
    seam_step_acceleration: float
    jerk_rms: float
    ticks: int
    starved_ticks: int
    chunks_accepted: int
    chunks_rejected: int
    rows_dropped_late: int
    requests_sent: int
    requests_by_threshold: int
    requests_failed: int
    requests_timed_out: int
    limit_interventions: int
    latency_p50: float
    latency_p95: float
    latency_p99: float
    tick_error_p50: float
    tick_error_p99: float
    join: str
    speed_scale: float
    shadow: bool
    observation_age_p50: float
    observation_age_p95: float
    observation_age_max: float
    sample_age: float
    chunk_rate: float
    stage_names: tuple[str, ...]
    stage_p50: tuple[float, ...]
    overlap_rms: float
    jerk_peak: float
    tick_error_max: float
    stop_time: float
    starved_longest: float
    command_gap_max: float
    command_gaps: int
    rows_accepted: int
    rows_clamped: int
    mode_switches: int
    corrections_used: int
