"""Builds a small recording in code: one joint and a gripper that follow a slow wave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.bag import LATCHED, BagWriter, TypeStore

NS = 1_000_000_000
MS = 1_000_000
STEP = 20 * MS
WALL = 1_700_000_000 * NS  # wall clock at ROS time 0
COLUMNS = ("pan", "gripper")
TYPES = TypeStore()

CONTRACT = """
robot: test
observation:
  max_age_s: 0.15
  max_skew_s: 0.08
  images:
    front: {topic: observation/images/front, transport: raw, height_px: 24, width_px: 32}
    wrist: {topic: observation/images/wrist, transport: raw, height_px: 24, width_px: 32}
  state:
    joints:
      topic: observation/joints
      type: sensor_msgs/msg/JointState
      field: position
      entries: [pan, gripper]
action:
  step_s: 0.02
  columns:
    - {name: pan, kind: joint_position, unit: rad, position: [-1.5, 1.5], velocity: 2.5,
       acceleration: 12.0, jerk: 150.0}
    - {name: gripper, kind: gripper, unit: rad, position: [-0.2, 1.7], velocity: 4.0,
       acceleration: 40.0, jerk: 800.0}
outputs:
  arm:
    topic: command/joints
    type: trajectory_msgs/msg/JointTrajectory
    columns: [pan, gripper]
    deadline_s: 0.1
home: {pan: 0.0, gripper: 0.0}
tracking_error: {limit: 0.6, duration_s: 0.5}
"""


def wave(t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return positions, velocities and accelerations at a time [s]; at rest before 0."""
    scale, w = np.array([0.15, 0.1]), 2.0
    x = w * max(t, 0.0)
    return scale * (x - np.sin(x)), scale * w * (1 - np.cos(x)), scale * w * w * np.sin(x)


def tail(p: np.ndarray, v: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, ...]:
    """Brake to rest in 0.6 s by the quintic that ends where it gets to with the least effort."""
    duration, rows = 0.6, np.arange(1, 16) * 0.04
    # Velocity falls as a cubic: v(0) = v, v'(0) = a, v(T) = v'(T) = 0.
    s = rows[:, None] / duration
    h00, h10 = 2 * s**3 - 3 * s**2 + 1, s**3 - 2 * s**2 + s
    i00, i10 = s**4 / 2 - s**3 + s, s**4 / 4 - 2 * s**3 / 3 + s**2 / 2
    d00, d10 = 6 * s**2 - 6 * s, 3 * s**2 - 4 * s + 1
    return (
        rows,
        p + duration * (i00 * v + i10 * duration * a),
        h00 * v + h10 * duration * a,
        (d00 * v + d10 * duration * a) / duration,
    )


@dataclass
class Tick:
    """One command before it is written; tests spoil it."""

    stamp_ns: int
    times_ns: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray
    accelerations: np.ndarray
    names: tuple[str, ...] = COLUMNS


@dataclass
class Run:
    """What to record. ``spoil`` changes a tick or, returning None, leaves it out."""

    duration_s: float = 3.0
    chunk_every_s: float = 0.4
    delay_s: float = 0.1
    rows: int = 32
    row_ns: int = 50 * MS
    disagreement: float = 0.0  # added to every second chunk
    spoil: Callable[[Tick], Tick | None] = lambda tick: tick
    modes: dict[float, int] = field(default_factory=lambda: {0.0: 4, 0.1: 2})  # from when on: mode
    states_from_s: float = 0.0
    restart_s: float | None = None  # a state of an executor that has just started
    unheard_s: tuple[float, float] | None = None  # no states; then those of another executor
    images: bool = False
    chunks_until_s: float = 1e9
    cut_chunk: int | None = None  # one that lacks its last number
    start_s: float = 100.0  # ROS time of the task's start
    speed: float = 1.0  # simulated seconds per wall second


def record(path: Path, run: Run | None = None) -> Path:
    """Write the bag of a run with one task."""
    run = run or Run()
    start = round(run.start_s * NS)
    with BagWriter(path, types=TYPES) as bag:
        text = TYPES.make("std_msgs/msg/String", data=CONTRACT)
        bag.write_message("/test/recorder/contract", text, WALL, LATCHED)
        for i in range(-10, round(run.duration_s * 100) + 20):
            ros = start + i * 10 * MS
            bag.write_message(
                "/clock", make("rosgraph_msgs/msg/Clock", clock=time(ros)), _wall(run, ros)
            )
        _chunks(bag, run, start)
        _ticks(bag, run, start)
        _states(bag, run, start)
        _observations(bag, run, start)
    return path


def make(msgtype: str, **fields: Any) -> Any:
    """Return a message."""
    return TYPES.make(msgtype, **fields)


def time(ns: int) -> Any:
    """Return a stamp."""
    return make("builtin_interfaces/msg/Time", sec=ns // NS, nanosec=ns % NS)


def duration(ns: int) -> Any:
    """Return a duration."""
    return make("builtin_interfaces/msg/Duration", sec=int(ns // NS), nanosec=int(ns % NS))


def header(ns: int) -> Any:
    """Return a header."""
    return make("std_msgs/msg/Header", stamp=time(ns))


def epoch(boot_id: int = 7) -> Any:
    """Return the epoch of the only task."""
    return make("vla_interfaces/msg/Epoch", boot_id=boot_id, counter=1)


def _wall(run: Run, ros_ns: int) -> int:
    return WALL + round(ros_ns / run.speed)


def _chunks(bag: BagWriter, run: Run, start: int) -> None:
    for i in range(round(run.duration_s / run.chunk_every_s)):
        at = start + round(i * run.chunk_every_s * NS)
        if (at - start) / NS > run.chunks_until_s:
            return
        rows = [wave((at + r * run.row_ns - start) / NS)[0] for r in range(run.rows)]
        values = np.array(rows) + run.disagreement * (i % 2)
        request = make(
            "vla_interfaces/msg/InferenceRequest",
            header=header(at),
            request_id=i + 1,
            epoch=epoch(),
            policy="demo",
            instruction="wave",
            names=list(COLUMNS),
        )
        chunk = make(
            "vla_interfaces/msg/ActionChunk",
            header=header(at),
            request_id=i + 1,
            epoch=epoch(),
            policy="demo",
            step=duration(run.row_ns),
            names=list(COLUMNS),
            values=values.ravel()[: -1 if i == run.cut_chunk else None],
            stream_names=["front", "joints"],
            stream_ages=[duration(10 * MS), duration(0)],
            stage_names=["decode", "infer"],
            stage_durations=[duration(MS), duration(round(run.delay_s * NS) - 2 * MS)],
        )
        bag.write_message("/test/inference_request", request, _wall(run, at))
        arrived = at + round(run.delay_s * NS)
        bag.write_message("/test/action_chunk", chunk, _wall(run, arrived))


def _ticks(bag: BagWriter, run: Run, start: int) -> None:
    for i in range(round(run.delay_s * 50) + 1, round(run.duration_s * 50)):
        stamp = start + i * STEP
        # Motion begins with the first chunk.
        p, v, a = wave((i + 1) * 0.02 - run.delay_s)
        rest = tail(p, v, a)
        tick = run.spoil(
            Tick(
                stamp,
                np.concatenate([[STEP], STEP + (rest[0] * NS).astype(np.int64)]),
                np.concatenate([[p], rest[1]]),
                np.concatenate([[v], rest[2]]),
                np.concatenate([[a], rest[3]]),
            )
        )
        if tick is not None:
            bag.write_message("/test/command/joints", _trajectory(tick), _wall(run, stamp) + MS)


def _trajectory(tick: Tick) -> Any:
    points = [
        make(
            "trajectory_msgs/msg/JointTrajectoryPoint",
            positions=tick.positions[k],
            velocities=tick.velocities[k],
            accelerations=tick.accelerations[k],
            time_from_start=duration(int(tick.times_ns[k])),
        )
        for k in range(len(tick.times_ns))
    ]
    return make(
        "trajectory_msgs/msg/JointTrajectory",
        header=header(tick.stamp_ns),
        joint_names=list(tick.names),
        points=points,
    )


def _states(bag: BagWriter, run: Run, start: int) -> None:
    for i in range(round(run.duration_s * 10) + 1):
        t = i / 10
        since, until = run.unheard_s or (np.inf, np.inf)
        if t < run.states_from_s or since <= t < until:
            continue
        mode = run.modes[max(at for at in run.modes if at <= t)]
        new = t == run.restart_s
        last = i == round(run.duration_s * 10) or new
        state = make(
            "vla_interfaces/msg/ExecutorState",
            header=header(0 if new else start + i * 100 * MS),
            epoch=epoch(8 if t >= until else 7),
            mode=1 if last else mode,
            reason="plays the plan",
            task_id="" if last else "task-1",
            instruction="" if last else "wave",
            policy="" if last else "demo",
            requests_sent=5,
            requests_by_threshold=4,
        )
        bag.write_message("/test/executor/state", state, _wall(run, start + i * 100 * MS))


def _observations(bag: BagWriter, run: Run, start: int) -> None:
    for i in range(round(run.duration_s * 50)):
        at = start + i * STEP
        joints = make(
            "sensor_msgs/msg/JointState",
            header=header(at),
            name=["gripper", "pan"],  # another order than the contract's
            position=wave((at - start) / NS - run.delay_s - 0.02)[0][::-1].copy(),
        )
        bag.write_message("/test/observation/joints", joints, _wall(run, at))
    for i in range(round(run.duration_s * 20) if run.images else 0):
        at = start + i * 50 * MS
        for k, name in enumerate(("front", "wrist")):
            pixels = np.full((24, 32, 3), (i * 2 + 100 * k) % 256, np.uint8)
            image = make(
                "sensor_msgs/msg/Image",
                header=header(at),
                height=24,
                width=32,
                encoding="rgb8",
                step=96,
                data=pixels.ravel(),
            )
            bag.write_message(f"/test/observation/images/{name}", image, _wall(run, at))
