"""What a bag says, in arrays: commands, chunks, requests, the executor's states, the joints.

Two clocks: stamps are ROS time, the bag's own time is the wall clock of the recorder; `/clock`
ties them together where time is simulated. Images stay in the bag until asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import ConfigurationError
from vla_data.bag import BagReader, Message, ensure_readable
from vla_data.robot import Robot, read_robot

NS = 1_000_000_000
Floats = NDArray[np.float64]
Times = NDArray[np.int64]
EpochKey = tuple[int, int]  # boot id, counter

INACTIVE, IDLE, RUNNING, DEGRADED, HOLDING, STOPPED = range(6)
STACK_STAGES = ("wait", "decode", "hosting", "wire")  # of an answer; the others are the policy's
STATE_NS = NS // 10  # between two states of the executor
STACK_TOPICS = (
    "action_chunk",
    "inference_request",
    "inference_failure",
    "executor/state",
    "emergency_stop",
    "policy/state",
    "/clock",
)
FIELDS = ("positions", "velocities", "accelerations")  # of a point of a trajectory
UNSTAMPED = 0  # a message without a header
MODES = ("inactive", "idle", "running", "degraded", "holding", "stopped")


@dataclass(frozen=True, eq=False)
class Command:
    """One command message of one receiver, columns in the order of the contract's output."""

    stamp_ns: int  # the tick
    arrived_ns: int  # wall clock
    times_ns: Times  # (K,) after the stamp; row 0 is the next point, the rest the braking tail
    positions: Floats  # (K, A); for velocity columns zero
    velocities: Floats  # (K, A); NaN where the sender left them out
    accelerations: Floats  # (K, A)
    is_finite: bool = True  # whether every number that was sent is


@dataclass(frozen=True, eq=False)
class Chunk:
    """One answer of a policy."""

    arrived_ns: int  # wall clock
    request_id: int
    epoch: EpochKey
    policy: str
    start_ns: int
    step_ns: int
    columns: tuple[str, ...]
    values: Floats  # (H, A)
    prefix_rows: int
    ages_ns: Mapping[str, int]
    stages_ns: Mapping[str, int]

    @property
    def inference_ns(self) -> int:
        """Time that the policy itself took, without what the stack added."""
        return sum(spent for name, spent in self.stages_ns.items() if name not in STACK_STAGES)

    @property
    def end_ns(self) -> int:
        """When the last row is due."""
        return self.start_ns + (len(self.values) - 1) * self.step_ns

    def at(self, times_ns: Times) -> Floats:
        """Return the rows at some times, linear in between, (T, A); NaN outside."""
        due = np.arange(len(self.values)) * self.step_ns
        at = np.asarray(times_ns - self.start_ns, np.float64)
        columns = [np.interp(at, due, v, left=np.nan, right=np.nan) for v in self.values.T]
        return np.stack(columns, axis=1)


@dataclass(frozen=True)
class Request:
    """One request for a chunk."""

    arrived_ns: int
    sent_ns: int
    request_id: int
    epoch: EpochKey
    policy: str
    instruction: str


@dataclass(frozen=True)
class Failure:
    """A policy's word that there is no chunk."""

    arrived_ns: int
    request_id: int
    epoch: EpochKey
    policy: str
    code: int
    message: str


@dataclass(frozen=True)
class State:
    """One state of the executor; ``fields`` has all numbers of the message by name."""

    stamp_ns: int
    arrived_ns: int
    epoch: EpochKey
    mode: int
    reason: str
    task_id: str
    instruction: str
    policy: str
    fields: Mapping[str, float]


@dataclass(frozen=True)
class Task:
    """A stretch of time in which the executor had one task, in ROS time."""

    task_id: str
    instruction: str
    policy: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True, eq=False)
class Series:
    """Samples of one state stream, entries in the order of the contract."""

    stamps_ns: Times  # (N,)
    arrived_ns: Times  # (N,) wall clock
    entries: tuple[str, ...]
    values: Floats  # (N, entries)


class ClockMap:
    """Wall clock to ROS time and back, by the recorded `/clock`; without it they are the same."""

    def __init__(self, wall_ns: Times, ros_ns: Times) -> None:
        # As differences to the first: float64 holds 104 days of nanoseconds exactly.
        self._origin = (int(wall_ns[0]), int(ros_ns[0])) if len(wall_ns) else (0, 0)
        self._wall = (wall_ns - self._origin[0]).astype(np.float64)
        self._ros = (ros_ns - self._origin[1]).astype(np.float64)

    def to_ros(self, wall_ns: int) -> int:
        """Return the ROS time at a wall time."""
        at = wall_ns - self._origin[0]
        return self._map(at, self._wall, self._ros) + self._origin[1]

    def to_wall(self, ros_ns: int) -> int:
        """Return the wall time at a ROS time."""
        at = ros_ns - self._origin[1]
        return self._map(at, self._ros, self._wall) + self._origin[0]

    def factor(self, start_ns: int, end_ns: int) -> float:
        """Return the real-time factor between two ROS times; NaN: time is not simulated."""
        if len(self._wall) < 2 or end_ns <= start_ns:
            return float("nan")
        wall = self.to_wall(end_ns) - self.to_wall(start_ns)
        return (end_ns - start_ns) / wall if wall > 0 else float("nan")

    def _map(self, at: int, source: Floats, target: Floats) -> int:
        if not len(source):
            return at
        for end in (0, -1):  # beyond the ends: as if the clock went on at full speed
            beyond = at - int(source[end])
            if (beyond > 0) if end else (beyond < 0):
                return int(target[end]) + beyond
        return round(float(np.interp(at, source, target)))


class Recording:
    """One bag, read.

    Raises:
        ConfigurationError: no bag, or no contract in it and none given.
    """

    def __init__(self, path: Path, robot: Robot | None = None) -> None:
        self.path = path
        self.note = ensure_readable(path)  # a sentence if it had to be recovered
        with BagReader(path) as bag:
            self._topics = bag.topics
            self.start_ns, self.end_ns = bag.start_ns, bag.end_ns  # wall clock
            self.texts = {kind: _texts(bag, kind) for kind in ("contract", "policy", "notes")}
            if robot is None and not self.texts["contract"]:
                raise ConfigurationError(
                    f"bag {path} carries no contract, so it is no recording of this stack. It has "
                    f"{self.topics}. check and report take the contract's files by --contract."
                )
            self.robot = robot or read_robot(self.texts["contract"])
            self._read(bag)
        self.tasks = tuple(_tasks(self.states))

    @property
    def topics(self) -> list[str]:
        """Full names of the recorded topics."""
        return sorted(self._topics)

    def topic(self, relative: str) -> str | None:
        """Return the full name of one of the robot's topics, None if it was not recorded."""
        if relative.startswith("/"):
            return relative if relative in self._topics else None
        for name in self._topics:
            parts = name.lstrip("/").split("/", 1)  # namespace, rest
            if name == f"/{relative}" or parts[-1] == relative:
                return name
        return None

    def images(self, *streams: str) -> Iterator[tuple[str, int, Any, int]]:
        """Yield stream, stamp, message and arrival (wall clock) of each image, as they arrived."""
        topics = {self.topic(self.robot.images[name].topic): name for name in streams}
        with BagReader(self.path) as bag:
            for message in bag.messages([topic for topic in topics if topic]):
                decoded = message.decode()
                stamp = stamp_ns(decoded.header.stamp)
                yield topics[message.topic], stamp, decoded, message.time_ns

    def state_at(self, ros_ns: int) -> State | None:
        """Return the newest state of the executor not later than a time."""
        at = int(np.searchsorted(self._state_stamps, ros_ns, side="right"))
        return self.states[at - 1] if at else None

    def heard_before(self, ros_ns: int) -> bool:
        """Return whether a state of the executor was recorded before a time."""
        return bool((self._state_stamps < ros_ns).any())

    def _read(self, bag: BagReader) -> None:
        robot = self.robot
        self._messages = self._collect(bag)
        clock = [(m.time_ns, stamp_ns(m.decode().clock)) for m in self._of("/clock")]
        pairs = np.array(clock, np.int64).reshape(-1, 2)
        self.clock = ClockMap(pairs[:, 0], pairs[:, 1])
        self.commands: dict[str, list[Command]] = {
            name: [
                self._timed(c)
                for m in self._of(r.topic)
                if (c := _command(m, r.columns, r.fields))
            ]
            for name, r in robot.receivers.items()
        }
        self.chunks = [_chunk(m) for m in self._of("action_chunk")]
        self.requests = [_request(m) for m in self._of("inference_request")]
        self.failures = [_failure(m) for m in self._of("inference_failure")]
        states = [_state(m) for m in self._of("executor/state")]
        # Before simulated time has begun, stamps are 0.
        self.states = sorted(states, key=lambda state: (state.stamp_ns, state.arrived_ns))
        self._state_stamps = np.array([state.stamp_ns for state in self.states], np.int64)
        self.stops = [_stop(m) for m in self._of("emergency_stop")]
        self.policies = [m.decode() for m in self._of("policy/state")]
        self.series = {
            name: _series(self._of(stream.topic), stream.entries, stream.field)
            for name, stream in robot.states.items()
        }
        self._messages = {}

    def _timed(self, command: Command) -> Command:
        """Return a command in ROS time: what came without a stamp was sent when it arrived."""
        if command.stamp_ns != UNSTAMPED:
            return command
        return replace(command, stamp_ns=self.clock.to_ros(command.arrived_ns))

    def _collect(self, bag: BagReader) -> dict[str, list[Message]]:
        """Read all but the pictures in one pass: each pass decompresses the whole bag."""
        robot = self.robot
        wanted = [receiver.topic for receiver in robot.receivers.values()]
        wanted += [stream.topic for stream in robot.states.values()]
        topics = {name for topic in (*wanted, *STACK_TOPICS) if (name := self.topic(topic))}
        found: dict[str, list[Message]] = {name: [] for name in topics}
        for message in bag.messages(topics):
            found[message.topic].append(message)
        return found

    def _of(self, relative: str) -> list[Message]:
        topic = self.topic(relative)
        return self._messages.get(topic, []) if topic is not None else []


def stamp_ns(stamp: Any) -> int:
    """Return a time or duration message in nanoseconds."""
    return int(stamp.sec) * NS + int(stamp.nanosec)


def _texts(bag: BagReader, kind: str) -> list[str]:
    topics = [topic for topic in bag.topics if topic.endswith(f"/recorder/{kind}")]
    texts = [message.decode().data for message in bag.messages(topics)] if topics else []
    return list(dict.fromkeys(texts))


def _command(message: Message, columns: Sequence[str], fields: Sequence[str]) -> Command | None:
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


def _chunk(message: Message) -> Chunk:
    m = message.decode()
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


def _request(message: Message) -> Request:
    m = message.decode()
    at = stamp_ns(m.header.stamp)
    key = int(m.request_id)
    return Request(message.time_ns, at, key, _epoch(m), m.policy, m.instruction)


def _failure(message: Message) -> Failure:
    m = message.decode()
    key = int(m.request_id)
    return Failure(message.time_ns, key, _epoch(m), m.policy, int(m.code), m.message)


def _state(message: Message) -> State:
    m = message.decode()
    numbers = {
        name: float(value)
        for name, value in vars(m).items()
        if isinstance(value, int | float | np.number)
    }
    at, mode = stamp_ns(m.header.stamp), int(m.mode)
    words = (m.reason, m.task_id, m.instruction, m.policy)
    return State(at, message.time_ns, _epoch(m), mode, *words, numbers)


def _stop(message: Message) -> tuple[int, str]:
    m = message.decode()
    return stamp_ns(m.header.stamp), f"{m.source}: {m.reason}"


def _epoch(m: Any) -> EpochKey:
    return int(m.epoch.boot_id), int(m.epoch.counter)


def _series(messages: Sequence[Message], entries: tuple[str, ...], field: str) -> Series:
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


def _tasks(states: Sequence[State]) -> Iterator[Task]:
    """Yield each task from its first state to the state after its last, in order.

    A restarted executor goes on with the same task: that is one task.
    """
    of: dict[str, list[int]] = {}
    for i, state in enumerate(states):
        if state.task_id:
            of.setdefault(state.task_id, []).append(i)
    for task_id, found in of.items():
        first, last = states[found[0]], states[found[-1]]
        after = states[found[-1] + 1] if found[-1] + 1 < len(states) else last
        end = after if after.stamp_ns - last.stamp_ns < 2 * STATE_NS else last
        yield Task(task_id, first.instruction, first.policy, first.stamp_ns, end.stamp_ns)
