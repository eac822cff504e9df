from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vla_core.contract import Contract, load_contract
from vla_scenes.expert import TabletopExpert
from vla_scenes.layout import EVAL_SEEDS
from vla_scenes.lockstep import run_executed
from vla_scenes.tabletop import TabletopScene
from vla_scenes.tasks import TASKS

ROBOT = Path(__file__).parents[3] / "config/robots/so101"


@pytest.fixture(scope="module")
def contract() -> Contract:
    if not ROBOT.exists():
        pytest.skip("tests run outside the repository: no contract of the robot")
    return load_contract([ROBOT / "contract.yaml", ROBOT / "sim.yaml"])


@pytest.mark.parametrize("latency_s", [0.05, 0.4])
def test_the_expert_succeeds_through_the_executor_and_never_starves(
    scene: TabletopScene, contract: Contract, latency_s: float
) -> None:
    done = run_executed(
        TabletopExpert(), contract, scene, EVAL_SEEDS[1], TASKS[1].instruction, latency_s
    )
    assert done.succeeded and done.lockstep.refusals == ()
    assert done.lockstep.snapshot.starved_ticks == 0


def test_the_limiter_lets_the_expert_pass_unchanged(
    scene: TabletopScene, contract: Contract
) -> None:
    done = run_executed(
        TabletopExpert(), contract, scene, EVAL_SEEDS[2], TASKS[2].instruction, 0.05
    )
    assert done.lockstep.snapshot.chunks_accepted > 4
    assert done.lockstep.snapshot.limit_interventions == 0


def test_what_reaches_the_servos_is_inside_the_contracts_limits(
    scene: TabletopScene, contract: Contract
) -> None:
    done = run_executed(
        TabletopExpert(), contract, scene, EVAL_SEEDS[3], TASKS[3].instruction, 0.4
    )
    step_s = contract.action.step_s
    for order, limit in enumerate(("velocity", "acceleration", "jerk"), start=1):
        rate = np.abs(np.diff(done.commands, n=order, axis=0)).max(axis=0) / step_s**order
        allowed = np.array([getattr(column, limit) for column in contract.action.columns])
        assert (rate <= allowed * 1.01).all(), f"{limit}: {rate.round(2)} against {allowed}"
