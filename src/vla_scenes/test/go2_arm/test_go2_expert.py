"""The Go2's expert: the port's promises, and one episode through the executor."""

from __future__ import annotations

import numpy as np
import pytest

from vla_core.contract import Contract
from vla_core.errors import InferenceError, MismatchError
from vla_core.ports import Policy
from vla_core.types import Observation, Prefix
from vla_scenes.go2_arm.expert import Go2ArmExpert
from vla_scenes.go2_arm.scene import Go2ArmScene
from vla_scenes.go2_arm.tasks import TASKS
from vla_scenes.layout import EVAL_SEEDS
from vla_scenes.lockstep import run_executed
from vla_scenes.stage.planning import STEP_NS

RED = TASKS[0].instruction


def _see(scene: Go2ArmScene, instruction: str) -> Observation:
    state = {
        "joints": scene.joints()[0][:6],
        "objects": np.array(list(scene.objects().values())),
    }
    return Observation(scene.time_ns, {}, state, instruction)


def test_the_expert_keeps_the_port() -> None:
    expert = Go2ArmExpert()
    assert isinstance(expert, Policy)
    expert.spec.validate(expert.spec.example())


def test_far_away_it_walks_and_keeps_the_arm_at_home(scene: Go2ArmScene) -> None:
    chunk = Go2ArmExpert().infer(_see(scene, RED))
    assert chunk.values.shape == (32, 9)
    assert chunk.values[0, 6:] == pytest.approx([0, 0, 0], abs=1e-12)
    assert chunk.values[-1, 6] > 0.15
    assert np.abs(np.diff(chunk.values[:, :5], axis=0)).max() < 2.5 * 0.05


def test_a_prefix_is_repeated_until_committed_and_continued(scene: Go2ArmScene) -> None:
    expert, seen = Go2ArmExpert(), _see(scene, RED)
    plan = expert.infer(seen)
    prefix = Prefix(plan.values, 0, STEP_NS, committed_until_ns=4 * STEP_NS)
    again = expert.infer(seen, prefix)
    assert again.prefix_rows == 5
    assert again.values[:5] == pytest.approx(plan.values[:5], abs=5e-3)


def test_what_it_does_not_understand_or_see_is_an_error(scene: Go2ArmScene) -> None:
    with pytest.raises(InferenceError, match="must name one cube"):
        Go2ArmExpert().infer(_see(scene, "sing a song"))
    with pytest.raises(MismatchError, match="objects"):
        Go2ArmExpert().infer(Observation(0, {}, {"joints": np.zeros(6)}, RED))


def test_the_task_succeeds_through_the_executor_inside_all_limits(
    scene: Go2ArmScene, contract: Contract
) -> None:
    done = run_executed(Go2ArmExpert(), contract, scene, EVAL_SEEDS[5], RED, 0.1, 20.0)
    assert done.succeeded and done.lockstep.refusals == ()
    assert done.lockstep.snapshot.starved_ticks == 0
    speed = np.array([c.velocity for c in contract.action.columns])
    is_position = np.array([c.is_position for c in contract.action.columns])
    rate = np.abs(np.diff(done.commands, axis=0)).max(axis=0) / contract.action.step_s
    value = np.abs(done.commands).max(axis=0)
    assert (np.where(is_position, rate, value) <= speed * 1.001).all()


def test_another_cube_than_the_one_judged_is_no_success(
    scene: Go2ArmScene, contract: Contract
) -> None:
    done = run_executed(
        Go2ArmExpert(), contract, scene, EVAL_SEEDS[6], RED, 0.1, 8.0,
        judged_by=TASKS[1].instruction,
    )  # fmt: skip
    assert not done.succeeded
