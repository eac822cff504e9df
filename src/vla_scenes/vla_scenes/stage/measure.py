"""How good the experts of the driving robots are: ``python -m vla_scenes.stage.measure hsr``.

Every task in seeded episodes through the core's executor in lockstep, as it runs live.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from vla_core.contract import load_contract
from vla_core.metrics import wilson
from vla_core.ports import Policy
from vla_scenes.go2_arm.expert import Go2ArmExpert
from vla_scenes.go2_arm.scene import Go2ArmScene
from vla_scenes.go2_arm.tasks import TASKS as GO2_ARM_TASKS
from vla_scenes.hsr.expert import HsrExpert
from vla_scenes.hsr.scene import HsrScene
from vla_scenes.hsr.tasks import TASKS as HSR_TASKS
from vla_scenes.layout import EVAL_SEEDS
from vla_scenes.lockstep import Executed, run_executed
from vla_scenes.stage.scene import StageScene

TIME_LIMIT_S = 25.0


@dataclass(frozen=True)
class Measured:
    """How one task went."""

    task: str
    episodes: int
    successes: int
    wilson_95: tuple[float, float]
    task_s_median: float
    task_s_longest: float
    starved_ticks: int
    limit_interventions: int
    ticks: int


def expert_of(robot: str) -> tuple[Callable[[], Policy], type[StageScene], list[str]]:
    """Return a robot's expert, its scene and the plain wording of each task."""
    if robot == "hsr":
        return HsrExpert, HsrScene, [task.instruction for task in HSR_TASKS]
    return Go2ArmExpert, Go2ArmScene, [task.instruction for task in GO2_ARM_TASKS]


def measure(
    robot: str, files: Sequence[Path], episodes: int, latency_s: float, only: str = ""
) -> list[Measured]:
    """Run every task on its own unseen seeds, or those whose wording has ``only``."""
    expert, scene_class, instructions = expert_of(robot)
    contract, scene = load_contract(list(files)), scene_class(0)
    policy, found = expert(), []
    try:
        for number, instruction in enumerate(instructions):
            if only not in instruction:
                continue
            seeds = EVAL_SEEDS[number * episodes : (number + 1) * episodes]
            runs = [
                run_executed(policy, contract, scene, seed, instruction, latency_s, TIME_LIMIT_S)
                for seed in seeds
            ]
            found.append(_summed(instruction, runs))
            print(found[-1], flush=True)
    finally:
        scene.close()
    return found


def _summed(instruction: str, runs: list[Executed]) -> Measured:
    won = [run.lockstep.duration_s for run in runs if run.succeeded]
    snapshots = [run.lockstep.snapshot for run in runs]
    return Measured(
        task=instruction,
        episodes=len(runs),
        successes=len(won),
        wilson_95=wilson(len(won), len(runs)),
        task_s_median=float(np.median(won)) if won else float("nan"),
        task_s_longest=max(won, default=float("nan")),
        starved_ticks=sum(s.starved_ticks for s in snapshots),
        limit_interventions=sum(s.limit_interventions for s in snapshots),
        ticks=sum(len(run.commands) for run in runs),
    )


def main() -> None:
    """Print the figures, and write them if asked."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("robot", choices=["hsr", "go2_arm"])
    parser.add_argument("--config", type=Path, default=Path("config"), help="of the checkout")
    parser.add_argument("--episodes", type=int, default=20, help="per task")
    parser.add_argument("--only", default="", help="tasks whose wording has this")
    parser.add_argument("--latency", type=float, default=0.1, help="of each answer [s]")
    parser.add_argument("--json", type=Path, help="file to write")
    chosen = parser.parse_args()
    folder = chosen.config / "robots" / chosen.robot
    files = [folder / "contract.yaml", folder / "sim.yaml"]
    found = measure(chosen.robot, files, chosen.episodes, chosen.latency, chosen.only)
    if chosen.json:
        figures = [asdict(measured) for measured in found]
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
