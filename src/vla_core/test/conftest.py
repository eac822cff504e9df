"""A small robot, a judge of its commands, and a closed loop with a post office between."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vla_core.contract import Contract, parse_contract
from vla_core.errors import ChunkError
from vla_core.execution import (
    Answer,
    Command,
    Decision,
    Execution,
    Executor,
    ExecutorSettings,
    Mode,
    Request,
    Task,
)
from vla_core.types import ActionChunk, Epoch

Array = NDArray[np.float64]
MS = 1_000_000
S = 1_000_000_000
STEP = 20 * MS
ROW = 50 * MS

RAW: dict[str, Any] = {
    "robot": "tiny",
    "observation": {
        "max_age_s": 0.15,
        "max_skew_s": 0.08,
        "images": {"front": {"topic": "images/front", "height_px": 4, "width_px": 6}},
        "state": {
            "joints": {
                "topic": "joints",
                "type": "sensor_msgs/msg/JointState",
                "entries": ["lift", "turn", "gripper"],
            }
        },
    },
    "action": {
        "step_s": 0.02,
        "columns": [
            {
                "name": "lift",
                "kind": "joint_position",
                "unit": "rad",
                "position": [-1.0, 1.5],
                "velocity": 2.0,
                "acceleration": 12.0,
                "jerk": 150.0,
            },
            {
                "name": "turn",
                "kind": "joint_position",
                "unit": "rad",
                "position": [-2.0, 2.0],
                "velocity": 3.0,
                "acceleration": 8.0,
                "jerk": 80.0,
            },
            {
                "name": "drive",
                "kind": "base_velocity",
                "unit": "m/s",
                "velocity": 0.5,
                "acceleration": 1.0,
                "jerk": 8.0,
            },
            {
                "name": "gripper",
                "kind": "gripper",
                "unit": "rad",
                "position": [0.0, 1.0],
                "velocity": 4.0,
                "acceleration": 40.0,
                "jerk": 800.0,
            },
        ],
    },
    "outputs": {
        "arm": {
            "topic": "command/joints",
            "type": "trajectory_msgs/msg/JointTrajectory",
            "columns": ["lift", "turn", "gripper"],
            "deadline_s": 0.1,
        },
        "base": {
            "topic": "command/base",
            "type": "geometry_msgs/msg/Twist",
            "columns": ["drive"],
            "fields": ["linear.x"],
            "deadline_s": 0.2,
        },
    },
    "home": {"lift": 0.2, "turn": 0.0, "gripper": 0.5},
    "tracking_error": {"limit": 0.6, "duration_s": 0.5},
}


@pytest.fixture
def raw() -> dict[str, Any]:
    """A contract as parsed YAML, free to be spoiled."""
    return copy.deepcopy(RAW)


@pytest.fixture
def contract() -> Contract:
    return parse_contract(RAW)


class Judge:
    """Checks commands against the contract. Shares no code with the limiter.

    At every point: position, velocity, acceleration; between points in time: mean jerk, and a
    distance that the velocity limit allows.
    """

    def __init__(self, contract: Contract) -> None:
        columns = contract.action.columns
        self._lower = np.array([(c.position or (-np.inf, np.inf))[0] for c in columns])
        self._upper = np.array([(c.position or (-np.inf, np.inf))[1] for c in columns])
        self._velocity = np.array([c.velocity for c in columns])
        self._acceleration = np.array([c.acceleration for c in columns])
        self._jerk = np.array([c.jerk for c in columns])
        self._last: tuple[int, Array, Array, Array] | None = None
        self.points = 0

    def forget(self) -> None:
        """Begin anew: the robot was placed or the clock was set."""
        self._last = None

    def see(self, command: Command) -> None:
        rows = (command.positions, command.velocities, command.accelerations)
        assert all(np.isfinite(part).all() for part in rows)
        assert (np.diff(command.times_ns) > 0).all()
        assert command.times_ns[0] == STEP
        times = command.stamp_ns + command.times_ns
        if self._last is not None:
            assert times[0] > self._last[0], "target times must rise"
            before = self._last[1:]
            rows = tuple(np.vstack([old, part]) for old, part in zip(before, rows, strict=True))
            # A tick that comes early leaves the last command before its first point: the robot
            # never gets there, and the two points are apart by the way back and forth.
            way_ns = STEP + abs(command.stamp_ns - self._last[0])
            self._check(np.concatenate([[times[0] - way_ns], times]), *rows)
        else:
            self._check(times, *rows)
        assert np.abs(command.velocities[-1]).max() == 0.0, "a command ends at rest"
        assert np.abs(command.accelerations[-1]).max() == 0.0
        self._last = (
            int(command.stamp_ns + command.times_ns[0]),
            command.positions[0],
            command.velocities[0],
            command.accelerations[0],
        )
        self.points += 1

    def _check(self, times: NDArray[np.int64], q: Array, v: Array, a: Array) -> None:
        more = 1 + 1e-6
        assert (q >= self._lower - 1e-6).all() and (q <= self._upper + 1e-6).all()
        assert (np.abs(v) <= self._velocity * more).all()
        assert (np.abs(a) <= self._acceleration * more).all()
        seconds = np.diff(times)[:, None] * 1e-9
        jerk = np.abs(np.diff(a, axis=0)) / seconds
        assert (jerk <= self._jerk * more + 1e-6).all(), (jerk.max(axis=0), self._jerk)
        assert (np.abs(np.diff(v, axis=0)) <= self._acceleration * seconds * more + 1e-9).all()
        assert (np.abs(np.diff(q, axis=0)) <= self._velocity * seconds * more + 1e-9).all()


Reference = Callable[[Array], Array]  # seconds (T,) -> rows (T, A)


def standing(times_s: Array) -> Array:
    """Rows that stay at home."""
    return np.tile([0.2, 0.0, 0.0, 0.5], (len(times_s), 1))


def swinging(times_s: Array) -> Array:
    """Rows that every limit allows."""
    t = times_s
    return np.stack(
        [
            0.2 + 0.3 * np.sin(1.5 * t),
            0.4 * np.sin(1.1 * t),
            0.2 * np.sin(0.8 * t),
            np.where(np.sin(0.5 * t) > 0, 0.8, 0.2),
        ],
        axis=1,
    )


@dataclass
class Rig:
    """The executor between a robot that obeys at once and a policy that answers by post."""

    contract: Contract
    executor: Executor
    judge: Judge
    reference: Reference = standing
    now_ns: int = 0
    steady_ns: int | None = None  # None: the executor is not told the steady clock
    latency_ns: int = 100 * MS
    rows: int = 32
    row_ns: int = ROW
    is_answering: bool = True
    is_measuring: bool = True
    is_leasing: bool = True
    mail: list[tuple[int, Request]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    positions: Array = field(default_factory=lambda: standing(np.zeros(1))[0])

    def task(self, **changes: Any) -> Task:
        execution = Execution(**changes.pop("execution", {}))
        values: dict[str, Any] = {
            "task_id": "t1",
            "instruction": "lift the cube",
            "policy": "p",
            "columns": self.contract.columns,
            "horizon": self.rows,
            "step_ns": self.row_ns,
            "horizon_rows": 16,
        }
        return Task(**{**values, **changes}, execution=execution)

    def begin(self, **changes: Any) -> None:
        if self.executor.mode is Mode.INACTIVE:
            self.executor.activate(self.now_ns)
        self.executor.begin_task(self.task(**changes), self.now_ns)

    def chunk(self, start_ns: int, **changes: Any) -> ActionChunk:
        times = (start_ns + np.arange(self.rows) * self.row_ns) * 1e-9
        values: dict[str, Any] = {
            "values": self.reference(times),
            "start_ns": start_ns,
            "step_ns": self.row_ns,
            "columns": self.contract.columns,
        }
        return ActionChunk(**{**values, **changes})

    def answer(self, request: Request, **changes: Any) -> Answer:
        epoch: Epoch = changes.pop("epoch", request.epoch)
        policy: str = changes.pop("policy", request.policy)
        request_id: int = changes.pop("request_id", request.request_id)
        chunk = changes.pop("chunk", None) or self.chunk(
            changes.pop("start_ns", request.sent_ns), **changes
        )
        return Answer(request_id, epoch, policy, chunk)

    def deliver(self, request: Request, **changes: Any) -> None:
        try:
            self.executor.accept(self.answer(request, **changes), self.now_ns)
        except ChunkError as error:
            self.refusals.append(str(error))

    def tick(self, step_ns: int = STEP) -> Decision:
        """Let time pass, deliver the post, measure, tick, judge, obey."""
        self.now_ns += step_ns
        if self.is_leasing:
            self.executor.renew_lease("t1", self.now_ns)
        if self.is_measuring:
            self.measure()
        due = [item for item in self.mail if item[0] <= self.now_ns]
        self.mail = [item for item in self.mail if item[0] > self.now_ns]
        for _, request in due:
            self.deliver(request)
        return self.decide()

    def measure(self) -> None:
        names = ["lift", "turn", "gripper"]
        positions = self.positions[[0, 1, 3]].tolist()
        self.executor.measure(names, positions, self.now_ns, self.now_ns)

    def decide(self) -> Decision:
        decision = self.executor.tick(self.now_ns, self.steady_ns)
        self.decisions.append(decision)
        if decision.command is None:
            self.judge.forget()
        else:
            self.judge.see(decision.command)
            self.positions = decision.command.positions[0]
        if decision.request is not None:
            self.requests.append(decision.request)
            if self.is_answering:
                self.mail.append((self.now_ns + self.latency_ns, decision.request))
        return decision

    def run(self, seconds: float) -> list[Decision]:
        count = round(seconds * S / STEP)
        return [self.tick() for _ in range(count)]

    def run_to_rest(self, most_s: float = 3.0) -> float:
        """Tick until nothing moves; return how long it took [s]."""
        begin = self.now_ns
        for _ in range(round(most_s * S / STEP)):
            if self.tick().at_rest:
                return (self.now_ns - begin) / S
        raise AssertionError(f"not at rest within {most_s} s")

    @property
    def speed(self) -> float:
        command = self.decisions[-1].command
        return 0.0 if command is None else float(np.abs(command.velocities[0]).max())


@pytest.fixture
def make_rig(contract: Contract) -> Callable[..., Rig]:
    """Return a function that makes a rig; keyword arguments become its fields."""

    def make(settings: ExecutorSettings | None = None, **fields: Any) -> Rig:
        executor = Executor(contract, settings, boot_id=7)
        return Rig(contract, executor, Judge(contract), **fields)

    return make


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    return make_rig()


@pytest.fixture
def moving(make_rig: Callable[..., Rig]) -> Rig:
    """A rig in the middle of a swing."""
    rig = make_rig(reference=swinging)
    rig.begin()
    rig.run(3.0)
    assert rig.decisions[-1].mode is Mode.RUNNING
    assert rig.speed > 0.05
    return rig
