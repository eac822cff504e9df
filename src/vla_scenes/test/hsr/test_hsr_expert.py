"""The HSR's expert: the port's promises, its motion, and each kind of task once."""

from __future__ import annotations

import numpy as np
import pytest

from vla_core.contract import Contract
from vla_core.errors import InferenceError, MismatchError
from vla_core.ports import Policy
from vla_core.types import NS_PER_S, Observation, Prefix
from vla_scenes.hsr.expert import HsrExpert
from vla_scenes.hsr.scene import HsrScene
from vla_scenes.hsr.tasks import TASKS
from vla_scenes.layout import EVAL_SEEDS
from vla_scenes.lockstep import run_executed
from vla_scenes.stage.planning import STEP_NS

FETCH, OPEN = TASKS[0].instruction, TASKS[4].instruction


def _see(scene: HsrScene, instruction: str) -> Observation:
    state = {"joints": scene.joints()[0], "objects": np.array(list(scene.objects().values()))}
    return Observation(scene.time_ns, {}, state, instruction)


def test_the_expert_keeps_the_port() -> None:
    expert = HsrExpert()
    assert isinstance(expert, Policy)
    expert.spec.validate(expert.spec.example())
    expert.infer(expert.spec.example())


def test_a_first_chunk_starts_at_the_measured_joints_at_rest(scene: HsrScene) -> None:
    chunk = HsrExpert().infer(_see(scene, FETCH))
    assert chunk.values.shape == (32, 11) and chunk.prefix_rows == 0
    assert chunk.values[0, :8] == pytest.approx(scene.joints()[0])
    assert chunk.values[0, 8:] == pytest.approx([0, 0, 0], abs=1e-12)


def test_a_prefix_is_repeated_until_committed_and_continued(scene: HsrScene) -> None:
    expert, seen = HsrExpert(), _see(scene, FETCH)
    plan = expert.infer(seen)
    prefix = Prefix(plan.values, 0, STEP_NS, committed_until_ns=4 * STEP_NS)
    again = expert.infer(seen, prefix)
    assert again.prefix_rows == 5
    assert again.values[:5] == pytest.approx(plan.values[:5], abs=5e-3)


def test_its_rows_stay_inside_the_contract(scene: HsrScene, contract: Contract) -> None:
    for task in TASKS:
        rows = HsrExpert().infer(_see(scene, task.instruction)).values
        for column, values in zip(contract.action.columns, rows.T, strict=True):
            rates = [values] if not column.is_position else []
            rates += [np.diff(values) / (STEP_NS / NS_PER_S)]
            limits = [column.velocity, column.acceleration] if rates[1:] else [column.velocity]
            for rate, limit in zip(rates, limits, strict=True):
                assert np.abs(rate).max() <= limit, column.name


def test_what_it_does_not_understand_or_see_is_an_error(scene: HsrScene) -> None:
    with pytest.raises(InferenceError, match="must name one can"):
        HsrExpert().infer(_see(scene, "sing a song"))
    with pytest.raises(MismatchError, match="objects"):
        HsrExpert().infer(Observation(0, {}, {"joints": scene.joints()[0]}, FETCH))


@pytest.mark.parametrize("instruction", [FETCH, OPEN])
def test_a_task_succeeds_through_the_executor_inside_all_limits(
    scene: HsrScene, contract: Contract, instruction: str
) -> None:
    done = run_executed(HsrExpert(), contract, scene, EVAL_SEEDS[5], instruction, 0.1, 25.0)
    assert done.succeeded and done.lockstep.refusals == ()
    assert done.lockstep.snapshot.starved_ticks == 0
    speed = np.array([c.velocity for c in contract.action.columns])
    is_position = np.array([c.is_position for c in contract.action.columns])
    rate = np.abs(np.diff(done.commands, axis=0)).max(axis=0) / contract.action.step_s
    value = np.abs(done.commands).max(axis=0)
    assert (np.where(is_position, rate, value) <= speed * 1.001).all()


def test_another_can_than_the_one_judged_is_no_success(
    scene: HsrScene, contract: Contract
) -> None:
    done = run_executed(
        HsrExpert(), contract, scene, EVAL_SEEDS[6], FETCH, 0.1, 9.0,
        judged_by=TASKS[1].instruction,
    )  # fmt: skip
    assert not done.succeeded
