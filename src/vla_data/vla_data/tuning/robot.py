"""Any robot's contract as the robot of the made-up task: a way for it, and servos that follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_core.contract import Column, Contract
from vla_core.errors import ConfigurationError
from vla_core.execution import Command
from vla_core.ports import PolicySpec
from vla_core.types import ActionChunk, Observation, Prefix
from vla_data.tuning.latency import Latency
from vla_data.tuning.reference import RAMP_S, Follower, Servo, Way, waves_of

Floats = NDArray[np.float64]

STREAM = "positions"
SERVO_S = 0.03
SHARE = 0.3  # of the velocity limits and of the free range that the way uses


def way_for(contract: Contract, duration_s: float) -> Way:
    """Return a way that every arm column of a robot takes part in.

    Raises:
        ConfigurationError: the robot has no joint to follow it with.
    """
    columns = contract.action.columns
    joints = [i for i, column in enumerate(columns) if column.kind == "joint_position"]
    if not joints:
        raise ConfigurationError(f"robot '{contract.robot}' has no joint_position column to tune")
    start = [contract.home.get(column.name, 0.0) for column in columns]
    leader = max(joints, key=lambda i: _room(columns[i], start[i]))
    span = [0.0] * len(columns)
    for i in joints:
        waves = 1.0 if i == leader else 2 * np.pi * waves_of(i)
        by_velocity = SHARE * columns[i].velocity * (duration_s - RAMP_S) / waves
        room = _room(columns[i], start[i]) if i == leader else _least_room(columns[i], start[i])
        span[i] = float(min(by_velocity, 2 * SHARE * room))
    low, high = columns[leader].position or (-np.inf, np.inf)
    if high - start[leader] < start[leader] - low:
        span[leader] = -span[leader]
    return Way(tuple(start), tuple(span), duration_s, leader)


def _room(column: Column, at: float) -> float:
    low, high = column.position or (-1.0, 1.0)
    return max(at - low, high - at)


def _least_room(column: Column, at: float) -> float:
    low, high = column.position or (-1.0, 1.0)
    return max(0.0, min(at - low, high - at))


class FollowPolicy:
    """The follower as a policy of the core."""

    def __init__(self, follower: Follower, contract: Contract, step_ns: int) -> None:
        self._follower = follower
        self.spec = PolicySpec(
            name="follow",
            images={},
            state={STREAM: contract.columns},
            columns=contract.columns,
            units=contract.units,
            horizon=follower.rows,
            step_ns=step_ns,
        )

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        rows = self._follower.chunk(observation.state[STREAM])
        return ActionChunk(rows, observation.as_of_ns, self.spec.step_ns, self.spec.columns)

    def reset(self) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        """Nothing is held."""


class ServoPlant:
    """Servos as the plant of `vla_core.execution.lockstep`; keeps every command."""

    def __init__(self, way: Way, contract: Contract) -> None:
        self._servo = Servo(way.at(np.array([0.0]))[0], SERVO_S)
        self._step_s = contract.action.step_s
        self._is_position = np.array([c.is_position for c in contract.action.columns])
        self.now_s = 0.0
        self.times_s: list[float] = []
        self.commands: list[Floats] = []

    @property
    def measured(self) -> Floats:
        """Where the servos are (A,), velocity columns zero."""
        return self._servo.positions

    def positions(self) -> Floats:
        return np.where(self._is_position, self._servo.positions, np.nan)

    def observe(self, now_ns: int, instruction: str) -> Observation:
        return Observation(now_ns, {}, {STREAM: self._servo.positions.copy()}, instruction)

    def advance(self, command: Command | None) -> None:
        self.now_s += self._step_s
        if command is None:
            self._servo.advance(self._step_s)
            return
        target = np.where(self._is_position, command.positions[0], 0.0)
        self._servo.go(target, self._step_s)
        self.times_s.append(self.now_s)
        self.commands.append(target)


@dataclass(frozen=True, eq=False)
class Setting:
    """What is not tuned: robot, policy's shape, latency, task."""

    contract: Contract
    rows: int  # per chunk, H
    step_ns: int  # between rows
    latency: Latency
    way_s: float = 8.0
    offset: float = 0.015  # disagreement of answers

    @property
    def chunk_s(self) -> float:
        """Duration of a chunk."""
        return self.rows * self.step_ns * 1e-9
