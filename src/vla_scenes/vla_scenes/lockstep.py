"""A scene as the plant of the core's lockstep loop: the live executor in simulated time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_core.contract import Contract
from vla_core.execution import Command, Execution, Executor, Task
from vla_core.execution.lockstep import Lockstep, run_lockstep
from vla_core.ports import Policy, PolicySpec
from vla_core.types import NS_PER_S, Observation
from vla_scenes.scene import Scene


class ScenePlant:
    """A scene as `vla_core.execution.lockstep.Plant`; keeps what was commanded and measured."""

    def __init__(self, scene: Scene, contract: Contract, spec: PolicySpec) -> None:
        """Take the robot's contract and what the policy will ask to see."""
        self._scene, self._contract, self._spec = scene, contract, spec
        columns = contract.columns
        self._is_position = np.array([c.is_position for c in contract.action.columns])
        self._order = np.array([columns.index(name) for name in scene.columns])
        self._measured = {
            columns.index(column): scene.entries.index(entry)
            for column, (_, entry) in contract.measurements.items()
        }
        self.commands: list[NDArray[np.float64]] = []
        self.measured: list[NDArray[np.float64]] = []

    def positions(self) -> NDArray[np.float64]:
        """Return measured positions (A,) by the contract's columns; NaN: not measured."""
        measured = self._scene.joints()[0]
        positions = np.full(len(self._contract.columns), np.nan)
        for column, entry in self._measured.items():
            positions[column] = measured[entry]
        return positions

    def observe(self, now_ns: int, instruction: str) -> Observation:
        """Return what the policy takes, as of now."""
        images = {name: self._scene.image(name) for name in self._spec.images}
        state = {name: self._state(name, wanted) for name, wanted in self._spec.state.items()}
        return Observation(now_ns, images, state, instruction)

    def _state(self, name: str, wanted: tuple[str, ...]) -> NDArray[np.float64]:
        if set(wanted) <= set(self._scene.object_entries):
            truth = self._scene.objects()
            return np.array([truth[entry] for entry in wanted])
        values = self._scene.joints()[self._contract.observation.state[name].field == "velocity"]
        return np.array([values[self._scene.entries.index(entry)] for entry in wanted])

    def advance(self, command: Command | None) -> None:
        """Send the next point to the robot and let one tick pass."""
        if command is not None:
            point = np.where(self._is_position, command.positions[0], command.velocities[0])
            self._scene.command(point[self._order])
        self.commands.append(self._scene.targets())
        self._scene.step(self._contract.step_ns)
        self.measured.append(self._scene.joints()[0])


@dataclass(frozen=True, eq=False)
class Executed:
    """How an episode went, and every target and measurement of it."""

    lockstep: Lockstep
    commands: NDArray[np.float64]  # (ticks, A) by the scene's columns
    measured: NDArray[np.float64]  # (ticks, E) by the scene's entries

    @property
    def succeeded(self) -> bool:
        """Whether the scene saw the task done."""
        return bool(self.lockstep.succeeded)


def run_executed(
    policy: Policy,
    contract: Contract,
    scene: Scene,
    seed: int,
    instruction: str,
    latency_s: float = 0.0,
    max_s: float = 15.0,
    *,
    execution: Execution | None = None,
    horizon_rows: int | None = 16,
    judged_by: str | None = None,
) -> Executed:
    """Run a policy through an executor until the task is done or time is up.

    Args:
        policy: gives chunks; sees exactly the streams its spec names.
        contract: the robot's, with its limits and tick.
        scene: reset to ``seed`` first; the caller closes it.
        seed: the layout.
        instruction: what the policy is told.
        latency_s: simulated time from request to answer.
        max_s: simulated time after which the episode has failed.
        execution: how chunks are played and joined.
        horizon_rows: rows played before the next chunk is due; None: all.
        judged_by: instruction that decides success, if it is not the one told.
    """
    scene.reset(seed)
    scene.set_task(judged_by or instruction)
    policy.reset()
    spec, start_ns = policy.spec, NS_PER_S
    plant, executor = ScenePlant(scene, contract, spec), Executor(contract)
    executor.activate(start_ns)
    task = Task(
        task_id=f"seed {seed}",
        instruction=instruction,
        policy=spec.name,
        columns=spec.columns,
        horizon=spec.horizon,
        step_ns=spec.step_ns,
        horizon_rows=horizon_rows,
        execution=execution or Execution(),
        accepts_prefix=spec.accepts_prefix,
    )
    lockstep = run_lockstep(
        executor,
        contract,
        task,
        policy,
        plant,
        time_limit_s=max_s,
        latency_s=lambda: latency_s,
        is_done=scene.success,
        start_ns=start_ns,
    )
    return Executed(lockstep, np.array(plant.commands), np.array(plant.measured))
