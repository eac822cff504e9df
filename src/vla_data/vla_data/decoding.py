"""From a message of a bag to what a recording is made of. None of it trusts the sender."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vla_data.bag import Message
from vla_data.records import (
    NS,
    UNSTAMPED,
    Chunk,
    Command,
    EpochKey,
    Failure,
    Floats,
    Request,
    Series,
    State,
)

FIELDS = ("positions", "velocities", "accelerations")  # of a point of a trajectory


def stamp_ns(stamp: Any) -> int:
    """Return a time or duration message in nanoseconds."""
    return int(stamp.sec) * NS + int(stamp.nanosec)


def command(message: Message, columns: Sequence[str], fields: Sequence[str]) -> Command | None:
    decoded = message.decode()
    if message.msgtype == "trajectory_msgs/msg/JointTrajectory":
        return _trajectory(message, decoded, columns)
    if message.msgtype == "sensor_msgs/msg/JointState":
        by_name = dict(zip(decoded.name, decoded.position, strict=False))
        row = np.array([[by_name.get(name, np.nan) for name in columns]])
        return _single(message, stamp_ns(decoded.header.stamp), row, np.zeros_like(row))
    if message.msgtype == "geometry_msgs/msg/Twist":
        parts = [field.split(".") for field in fields]
        row = np.array([[getattr(getattr(decoded, a), b) for a, b in parts]])
    else:
        row = np.asarray(decoded.data, np.float64).reshape(1, -1)
    return _single(message, UNSTAMPED, np.zeros_like(row), row)


def _single(message: Message, stamp: int, positions: Floats, velocities: Floats) -> Command:
    finite = bool(np.isfinite(positions).all() and np.isfinite(velocities).all())
    unknown = np.full_like(velocities, np.nan)
    times = np.zeros(1, np.int64)
    return Command(stamp, message.time_ns, times, positions, velocities, unknown, finite)


def _trajectory(message: Message, decoded: Any, columns: Sequence[str]) -> Command | None:
    if not decoded.points:  # "stop here" in the words of a trajectory controller
        return None
    order = [decoded.joint_names.index(name) for name in columns]

    sent = [[getattr(point, field) for point in decoded.points] for field in FIELDS]
    finite = all(np.isfinite(row).all() for rows in sent for row in rows)

    def rows(values: list[Floats]) -> Floats:
        given = [row if len(row) else np.full(len(order), np.nan) for row in values]
        return np.array(given, np.float64)[:, order]

    times = np.array([stamp_ns(p.time_from_start) for p in decoded.points], np.int64)
    at = stamp_ns(decoded.header.stamp)
    return Command(at, message.time_ns, times, rows(sent[0]), rows(sent[1]), rows(sent[2]), finite)


def chunk(message: Message) -> Chunk | None:
    """Return a chunk; None: its values are no whole rows, which every executor refuses."""
    m = message.decode()
    if not len(m.names) or len(m.values) % len(m.names):
        return None
    ages = [stamp_ns(age) for age in m.stream_ages]
    stages = [stamp_ns(duration) for duration in m.stage_durations]
    return Chunk(
        arrived_ns=message.time_ns,
        request_id=int(m.request_id),
        epoch=_epoch(m),
        policy=m.policy,
        start_ns=stamp_ns(m.header.stamp),
        step_ns=stamp_ns(m.step),
        columns=tuple(m.names),
        values=np.array(m.values, np.float64).reshape(-1, len(m.names)),
        prefix_rows=int(m.prefix_rows),
        ages_ns=dict(zip(m.stream_names, ages, strict=False)),
        stages_ns=dict(zip(m.stage_names, stages, strict=False)),
    )


def request(message: Message) -> Request:
    m = message.decode()
    at = stamp_ns(m.header.stamp)
    key = int(m.request_id)
    return Request(message.time_ns, at, key, _epoch(m), m.policy, m.instruction)


def failure(message: Message) -> Failure:
    m = message.decode()
    key = int(m.request_id)
    return Failure(message.time_ns, key, _epoch(m), m.policy, int(m.code), m.message)


def state(message: Message) -> State:
    m = message.decode()
    numbers = {
        name: float(value)
        for name, value in vars(m).items()
        if isinstance(value, int | float | np.number)
    }
    at, mode = stamp_ns(m.header.stamp), int(m.mode)
    words = (m.reason, m.task_id, m.instruction, m.policy)
    return State(at, message.time_ns, _epoch(m), mode, *words, numbers)


def stop(message: Message) -> tuple[int, str]:
    m = message.decode()
    return stamp_ns(m.header.stamp), f"{m.source}: {m.reason}"


def _epoch(m: Any) -> EpochKey:
    return int(m.epoch.boot_id), int(m.epoch.counter)


def series(messages: Sequence[Message], entries: tuple[str, ...], field: str) -> Series:
    stamps, arrived, rows = [], [], []
    order: list[int] | None = None
    for message in messages:
        m = message.decode()
        if message.msgtype == "sensor_msgs/msg/JointState":
            if order is None or [m.name[i] for i in order] != list(entries):
                order = [m.name.index(name) for name in entries if name in m.name]
            if len(order) != len(entries):
                continue
            stamps.append(stamp_ns(m.header.stamp))
            rows.append(np.asarray(getattr(m, field))[order])
        else:
            stamps.append(message.time_ns)
            rows.append(np.asarray(m.data, np.float64))
        arrived.append(message.time_ns)
    values = np.array(rows, np.float64).reshape(-1, len(entries))
    return Series(np.array(stamps, np.int64), np.array(arrived, np.int64), entries, values)
