"""The two published layouts, through the shipped policy files and the executor that runs live.

The trap: a client that adds each row's delta to the *present* state lets a constant delta run
away, because the robot moves between the rows. Here every row starts from the state that the chunk
was computed from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vla_bringup.graph import describe
from vla_core.contract import Contract, PolicyConfig, check, load_contract, load_policy_config
from vla_core.errors import InferenceError
from vla_core.execution import Executor, ExecutorSettings, Task
from vla_core.execution.lockstep import run_lockstep
from vla_core.execution.values import Command
from vla_core.ports import ImageSpec, Policy, PolicySpec
from vla_core.types import ActionChunk, Observation, Prefix
from vla_hosting.loading import wrap

ROOT = Path(__file__).resolve().parents[3]
FILES = [ROOT / "config/robots/hsr/contract.yaml"]
ARM_AND_HEAD = (
    "arm_lift_joint",
    "arm_flex_joint",
    "arm_roll_joint",
    "wrist_flex_joint",
    "wrist_roll_joint",
    "head_pan_joint",
    "head_tilt_joint",
)
BASE = ("base_x", "base_y", "base_t")
STEP_NS, ROWS = 100_000_000, 20
START = np.array([0.2, -0.5, 0.1, -1.2, 0.3, 0.6, 0.2, -0.3])


class Constant:
    """Answers with the same row ROWS times, in the order and words of the policy's file."""

    def __init__(self, config: PolicyConfig, contract: Contract, row: dict[str, float]) -> None:
        columns = config.columns or contract.columns
        self.answers = -1  # without end
        self.spec = PolicySpec(
            name=config.name,
            images={name: ImageSpec(0, 0) for name in config.streams if name != "joints"},
            state={"joints": contract.observation.state["joints"].entries},
            columns=columns,
            units=("",) * len(columns),
            horizon=ROWS,
            step_ns=STEP_NS,
        )
        self._values = np.tile([row[name] for name in columns], (ROWS, 1))

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        if self.answers == 0:
            raise InferenceError("no more chunks")
        self.answers -= 1
        return ActionChunk(self._values, observation.as_of_ns, STEP_NS, self.spec.columns)

    def reset(self) -> None: ...

    def close(self) -> None: ...


def hosted(name: str, row: dict[str, float]) -> tuple[Policy, PolicyConfig, Contract]:
    contract = load_contract(FILES)
    config = load_policy_config(ROOT / f"config/policies/{name}.yaml")
    return wrap(Constant(config, contract, row), config, contract), config, contract


def observe(spec: PolicySpec, state: NDArray[np.float64] = START) -> Observation:
    return replace(spec.example(), state={"joints": state})


ROW = {**dict.fromkeys(ARM_AND_HEAD, 0.01), "hand_motor_joint": 0.9,
       "base_x": 0.1, "base_y": -0.05, "base_t": 0.3}  # fmt: skip


def columns_of(chunk: ActionChunk, names: tuple[str, ...]) -> NDArray[np.float64]:
    return chunk.values[:, [chunk.columns.index(name) for name in names]]


def start_of(contract: Contract, names: tuple[str, ...]) -> NDArray[np.float64]:
    entries = contract.observation.state["joints"].entries
    return START[[entries.index(name) for name in names]]


@pytest.mark.parametrize("name", ["hsr_airoa", "hsr_anole", "hsr_sway"])
def test_the_shipped_files_fit_the_robot(name: str) -> None:
    policy, config, contract = hosted(name, ROW)
    check(contract, policy.spec, config)
    assert policy.spec.columns == contract.columns
    assert policy.spec.units == contract.units


def test_airoa_rows_are_relative_to_the_conditioning_state_and_nothing_else_is() -> None:
    policy, _, contract = hosted("hsr_airoa", ROW)
    chunk = policy.infer(observe(policy.spec))
    expected = np.tile(start_of(contract, ARM_AND_HEAD) + 0.01, (ROWS, 1))
    np.testing.assert_allclose(columns_of(chunk, ARM_AND_HEAD), expected)
    assert (columns_of(chunk, ("hand_motor_joint",)) == 0.9).all()
    assert (columns_of(chunk, BASE) == [0.1, -0.05, 0.3]).all()


def test_the_papers_rows_are_increments_in_its_own_order_of_columns() -> None:
    policy, config, contract = hosted("hsr_anole", ROW)
    assert config.columns is not None
    assert config.columns[:3] == BASE
    chunk = policy.infer(observe(policy.spec))
    steps = 0.01 * np.arange(1, ROWS + 1)[:, None]
    expected = start_of(contract, ARM_AND_HEAD) + steps
    np.testing.assert_allclose(columns_of(chunk, ARM_AND_HEAD), expected)
    assert (columns_of(chunk, ("hand_motor_joint",)) == 0.9).all()
    assert (columns_of(chunk, BASE) == [0.1, -0.05, 0.3]).all()


def test_the_state_goes_in_in_the_order_of_the_data() -> None:
    seen: list[Any] = []
    policy, config, contract = hosted("hsr_airoa", ROW)
    inner = Constant(config, contract, ROW)
    inner.infer = lambda o, prefix=None: (seen.append(o), Constant.infer(inner, o))[1]  # type: ignore[method-assign]
    wrap(inner, config, contract).infer(observe(policy.spec))
    np.testing.assert_array_equal(seen[0].state["joints"], START)
    assert inner.spec.state["joints"] == (
        *ARM_AND_HEAD[:5], "hand_motor_joint", *ARM_AND_HEAD[5:]
    )  # fmt: skip


@dataclass
class Obedient:
    """A robot that is where it was told to be, and can be asked where that is."""

    contract: Contract
    spec: PolicySpec

    def __post_init__(self) -> None:
        self._positions = np.full(len(self.contract.columns), np.nan)
        self._positions[:8] = START

    def positions(self) -> NDArray[np.float64]:
        return self._positions.copy()

    def observe(self, now_ns: int, instruction: str) -> Observation:
        return replace(
            observe(self.spec, self._positions[:8]), as_of_ns=now_ns, instruction=instruction
        )

    def advance(self, command: Command | None) -> None:
        if command is not None:
            self._positions[:8] = command.positions[0, :8]


def test_a_constant_delta_is_reached_once_and_does_not_run_away_while_the_robot_moves() -> None:
    delta = 0.02
    row = {**ROW, **dict.fromkeys(ARM_AND_HEAD, delta), **dict.fromkeys(BASE, 0.0)}
    _, config, contract = hosted("hsr_airoa", row)
    inner = Constant(config, contract, row)
    policy = wrap(inner, config, contract)
    inner.answers = 1
    plant = Obedient(contract, policy.spec)
    task = Task("t", "go", config.name, contract.columns, ROWS, STEP_NS)
    executor = Executor(contract, ExecutorSettings(), boot_id=1)
    executor.activate(0)
    went = run_lockstep(
        executor, contract, task, policy, plant, time_limit_s=1.5, start_ns=contract.step_ns
    )
    assert went.snapshot.chunks_accepted == 1, went
    moved = (plant.positions()[:8] - START)[[0, 1, 2, 3, 4, 6, 7]]
    # 75 ticks of one chunk: each adding the delta to where the robot is would be 1.5 away.
    np.testing.assert_allclose(moved, delta, atol=1e-3)


@pytest.mark.parametrize("backend", ["real", "real_ros1", "mock"])
def test_each_backend_is_a_whole_graph_with_the_robots_own_topics(backend: str) -> None:
    graph = describe("hsr", backend, "hsr_sway", ROOT)
    names = [process.name for process in graph.processes]
    assert {"bridge", "guard", "homing", "policy", "executor", "router"} <= set(names)
    assert ("emulator" in names) is (backend == "mock")
    preset = "ros1" if backend == "real_ros1" else "ros2"
    for name in ("bridge", "guard", "homing"):
        assert graph.process(name).parameters.get("names", "ros2") == preset
    joints = load_contract(graph.contract_files).observation.state["joints"].topic
    assert joints == {"ros1": "/hsrb/joint_states", "ros2": "/joint_states"}[preset]
