"""The tabletop as the plant of the core's lockstep loop: the live executor in simulated time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_core.contract import Contract
from vla_core.execution import Command, Execution, Executor, Task
from vla_core.execution.lockstep import Lockstep, run_lockstep
from vla_core.ports import Policy, PolicySpec
from vla_core.types import NS_PER_S, Observation
from vla_scenes.episode import observe
from vla_scenes.tabletop import TabletopScene


class TabletopPlant:
    """A scene as `vla_core.execution.lockstep.Plant`; keeps what was commanded and measured."""

    def __init__(self, scene: TabletopScene, spec: PolicySpec, step_ns: int) -> None:
        """Take what the policy will ask to see, and the executor's tick."""
        self._scene, self._spec, self._step_ns = scene, spec, step_ns
        self.commands: list[NDArray[np.float64]] = []
        self.measured: list[NDArray[np.float64]] = []

    def positions(self) -> NDArray[np.float64]:
        """Return measured positions (6,) [rad]."""
        return self._scene.joints()[0]

    def observe(self, now_ns: int, instruction: str) -> Observation:
        """Return what the policy takes, as of now."""
        return observe(
            self._scene,
            instruction,
            with_images=bool(self._spec.images),
            with_objects="objects" in self._spec.state,
            as_of_ns=now_ns,
        )

    def advance(self, command: Command | None) -> None:
        """Send the next point to the servos and let one tick pass."""
        if command is not None:
            self._scene.command(command.positions[0])
        self.commands.append(self._scene.targets())
        self._scene.step(self._step_ns)
        self.measured.append(self._scene.joints()[0])


@dataclass(frozen=True, eq=False)
class Executed:
    """How an episode went, and every servo target and position of it."""

    lockstep: Lockstep
    commands: NDArray[np.float64]  # (ticks, 6) [rad]
    measured: NDArray[np.float64]  # (ticks, 6) [rad]

    @property
    def succeeded(self) -> bool:
        """Whether the scene saw the task done."""
        return bool(self.lockstep.succeeded)


def run_executed(
    policy: Policy,
    contract: Contract,
    scene: TabletopScene,
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
    plant, executor = TabletopPlant(scene, spec, contract.step_ns), Executor(contract)
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
