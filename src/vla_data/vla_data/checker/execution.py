"""How the chunks were played: starvation, age, seams, smoothness. From commands and chunks alone.

Definitions, per tick of a running task, once the first chunk of its epoch has arrived:

- *starved*: the tick is later than the last row of the newest chunk that had arrived;
- *observation age*: the tick minus the start time of that chunk, while a plan is played;
- *seam*: a tick at which that chunk is another one than at the tick before;
- *seam gap*: how far the two plans of a seam are apart: mean over their first `SEAM_S` in common,
  largest over the joints. The policy's doing;
- *seam step*: change of commanded velocity (acceleration) from tick to tick at a seam beyond the
  95th percentile of that change elsewhere, largest over the joints. The join's doing.

Grippers count neither in seams nor in the jerk: there the newest plan simply wins. A chunk that
finds the robot at rest since before its start time is shifted to start when it arrives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vla_data.checker.reference import Segment, differences, segments
from vla_data.recording import Recording
from vla_data.records import DEGRADED, HOLDING, NS, RUNNING, Chunk, Command, EpochKey, Task

Floats = NDArray[np.float64]

SEAM_S = 0.25
PLAYING = (RUNNING, DEGRADED)
NEAR_TICKS = 2  # arrival and use may be a tick apart, and the change may spread over two
AT_REST = 1e-6  # [rad, m] from tick to tick


@dataclass(frozen=True, eq=False)
class Execution:
    """Figures of one task, or of several together; empty arrays where there is nothing."""

    ticks: int = 0
    starved: int = 0
    ages_s: Floats = field(default_factory=lambda: np.zeros(0))  # per tick
    seam_gaps: Floats = field(default_factory=lambda: np.zeros(0))  # per seam
    seam_steps_velocity: Floats = field(default_factory=lambda: np.zeros(0))  # per seam, >= 0
    seam_steps_acceleration: Floats = field(default_factory=lambda: np.zeros(0))
    seams_ns: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    jerk_rms: float = float("nan")  # largest over the columns
    chunks: int = 0
    # By epoch and request: how much later a chunk was played because the robot was at rest [ns].
    shifts_ns: Mapping[tuple[EpochKey, int], int] = field(default_factory=dict)


def judge_execution(recording: Recording, start_ns: int, end_ns: int) -> Execution:
    """Return the figures between two ROS times; all receivers of trajectories together.

    A receiver of nothing but grippers has no seams to judge: their plan is a staircase.
    """
    columns = recording.robot.columns
    parts = [
        _judge(recording, name, start_ns, end_ns)
        for name, receiver in recording.robot.receivers.items()
        if receiver.msgtype == "trajectory_msgs/msg/JointTrajectory"
        and not all(columns[column].is_gripper for column in receiver.columns)
    ]
    return max(parts, key=lambda part: part.starved) if parts else Execution()


def _judge(recording: Recording, name: str, start_ns: int, end_ns: int) -> Execution:
    commands = [c for c in recording.commands[name] if start_ns <= c.stamp_ns <= end_ns]
    columns = recording.robot.receivers[name].columns
    if not commands:
        return Execution()
    chunks = _chunks(recording, start_ns, end_ns)
    keys = [(chunk.epoch, chunk.request_id) for chunk in chunks]
    arrivals = np.array([chunk.arrived_ns for chunk in chunks], np.int64)
    newest = np.searchsorted(arrivals, [c.arrived_ns for c in commands], side="right") - 1
    shifts = _shifts(commands, newest, chunks)
    modes = [_mode(recording, command) for command in commands]
    played = [
        replace(chunk, start_ns=chunk.start_ns + shift)
        for chunk, shift in zip(chunks, shifts, strict=True)
    ]
    kept = [i for i, n in enumerate(newest) if n >= 0 and modes[i] in (*PLAYING, HOLDING)]
    plays = np.array([modes[i] in PLAYING for i in kept], bool)
    ends = [played[newest[i]].end_ns for i in kept]
    starts = [chunks[newest[i]].start_ns for i in kept]
    stamps = np.array([commands[i].stamp_ns for i in kept], np.int64)
    seams = [i for i in kept if i and newest[i] != newest[i - 1] >= 0]
    joints = np.array([not recording.robot.columns[name].is_gripper for name in columns])
    steps = _seam_steps(commands, [commands[i].stamp_ns for i in seams], joints)
    return Execution(
        ticks=len(kept),
        starved=int((stamps > np.array(ends, np.int64)).sum()) if kept else 0,
        ages_s=((stamps - np.array(starts, np.int64)) / NS)[plays],
        seam_gaps=np.array(
            [_gap(played, newest[i], commands[i].stamp_ns, columns, recording) for i in seams]
        ),
        seam_steps_velocity=steps[0],
        seam_steps_acceleration=steps[1],
        seams_ns=np.array([commands[i].stamp_ns for i in seams], np.int64),
        jerk_rms=_jerk_rms(commands, joints),
        chunks=len(chunks),
        shifts_ns={key: shift for key, shift in zip(keys, shifts, strict=True) if shift},
    )


def _chunks(recording: Recording, start_ns: int, end_ns: int) -> list[Chunk]:
    """Return the chunks that were computed for the tasks of a stretch of time, as they came."""
    epochs = {
        state.epoch
        for state in recording.states
        if state.task_id and start_ns <= state.stamp_ns <= end_ns
    }
    return sorted(
        (
            chunk
            for chunk in recording.chunks
            if start_ns <= recording.clock.to_ros(chunk.arrived_ns) <= end_ns
            and (not epochs or chunk.epoch in epochs)
        ),
        key=lambda chunk: chunk.arrived_ns,
    )


def _mode(recording: Recording, command: Command) -> int:
    state = recording.state_at(command.stamp_ns)
    return RUNNING if state is None else state.mode


def _shifts(
    commands: Sequence[Command], newest: NDArray[np.intp], chunks: Sequence[Chunk]
) -> list[int]:
    """Return by how much each chunk was moved because the robot was at rest [ns]."""
    stamps = np.array([command.stamp_ns for command in commands], np.int64)
    rows = np.array([command.positions[0] for command in commands])
    shifts = [0] * len(chunks)
    for number, chunk in enumerate(chunks):
        used = np.flatnonzero(newest == number)
        if not len(used):
            continue
        first = used[0]
        # The first tick with the chunk may move already: look at those before.
        since = np.flatnonzero((stamps >= chunk.start_ns) & (np.arange(len(stamps)) < first))
        still = len(since) < 2 or np.ptp(rows[since], axis=0).max() < AT_REST
        if still and (number == 0 or len(since)):
            shifts[number] = max(0, int(stamps[first]) - chunk.start_ns)
    return shifts


def _gap(
    chunks: Sequence[Chunk],
    number: int,
    at_ns: int,
    columns: Sequence[str],
    recording: Recording,
) -> float:
    old, new = chunks[number - 1], chunks[number]
    times = at_ns + np.arange(0, round(SEAM_S * NS) + 1, new.step_ns)
    known = recording.robot.columns
    joints = [
        i
        for i, name in enumerate(new.columns)
        if name in columns and known[name].is_position and not known[name].is_gripper
    ]
    apart = np.abs(new.at(times) - old.at(times))[:, joints]
    common = apart[np.isfinite(apart).all(axis=1)]
    return float(common.mean(axis=0).max()) if len(common) else float("nan")


def _seam_steps(
    commands: Sequence[Command], seams_ns: Sequence[int], joints: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    found: list[list[float]] = [[], []]
    for segment in segments(commands):
        mine = [
            at
            for at in seams_ns
            if segment.commands[0].stamp_ns <= at <= segment.commands[-1].stamp_ns
        ]
        if len(segment.times_ns) < 8 or not mine:
            continue
        for order, steps in enumerate(_steps_of(segment, mine, joints)):
            found[order] += steps
    return np.array(found[0]), np.array(found[1])


def _steps_of(
    segment: Segment, seams_ns: Sequence[int], joints: NDArray[np.bool_]
) -> list[list[float]]:
    """Return, per seam, by how much velocity and acceleration change more than elsewhere."""
    velocity, acceleration, _ = differences(segment.times_ns, segment.values[:, joints])
    result = []
    for order, rate in ((2, velocity), (3, acceleration)):
        change = np.abs(np.diff(rate, axis=0))  # (N - order, A), ends at point i + order
        ends = segment.times_ns[order:]
        # The point commanded at a tick is due one step later, hence searching from the right.
        at = [int(np.searchsorted(ends, seam, side="right")) for seam in seams_ns]
        near = np.zeros(len(change), bool)
        windows = [slice(max(0, i - 1), min(len(change), i + NEAR_TICKS)) for i in at]
        for window in windows:
            near[window] = True
        usual = np.percentile(change[~near], 95, axis=0) if (~near).any() else 0.0
        over = [np.max(change[w] - usual, initial=0.0) for w in windows]
        result.append([float(max(0.0, value)) for value in over])
    return result


def _jerk_rms(commands: Sequence[Command], joints: NDArray[np.bool_]) -> float:
    jerks = [
        differences(segment.times_ns, segment.values[:, joints])[2]
        for segment in segments(commands)
        if len(segment.times_ns) > 3
    ]
    if not jerks:
        return float("nan")
    return float(np.sqrt((np.concatenate(jerks) ** 2).mean(axis=0)).max())


def join(parts: Sequence[Execution]) -> Execution:
    """Return the figures of several tasks together."""
    if not parts:
        return Execution()
    jerk = [part.jerk_rms for part in parts if np.isfinite(part.jerk_rms)]
    return Execution(
        ticks=sum(part.ticks for part in parts),
        starved=sum(part.starved for part in parts),
        ages_s=np.concatenate([part.ages_s for part in parts]),
        seam_gaps=np.concatenate([part.seam_gaps for part in parts]),
        seam_steps_velocity=np.concatenate([part.seam_steps_velocity for part in parts]),
        seam_steps_acceleration=np.concatenate([part.seam_steps_acceleration for part in parts]),
        seams_ns=np.concatenate([part.seams_ns for part in parts]),
        jerk_rms=float(np.sqrt(np.mean(np.square(jerk)))) if jerk else float("nan"),
        chunks=sum(part.chunks for part in parts),
        shifts_ns={key: shift for part in parts for key, shift in part.shifts_ns.items()},
    )


def spans(recording: Recording) -> list[tuple[int, int]]:
    """Return the stretches of ROS time to judge: the tasks, else from first to last command."""
    tasks: Sequence[Task] = recording.tasks
    if tasks:
        return [(task.start_ns, task.end_ns) for task in tasks]
    stamps = [c.stamp_ns for commands in recording.commands.values() for c in commands]
    return [(min(stamps), max(stamps))] if stamps else []
