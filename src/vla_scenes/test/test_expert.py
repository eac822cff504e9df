from __future__ import annotations

import numpy as np
import pytest

from vla_core.errors import InferenceError, MismatchError
from vla_core.ports import Policy
from vla_core.types import Observation, Prefix
from vla_scenes.episode import observe, run_episode
from vla_scenes.expert import STEP_NS, TabletopExpert, reference_at
from vla_scenes.kinematics import forward
from vla_scenes.layout import EVAL_SEEDS
from vla_scenes.pick_place import HOME_POSE
from vla_scenes.tabletop import TabletopScene
from vla_scenes.tasks import TASKS

# Velocity, acceleration, jerk that the robot's contract allows: arm joints, gripper.
LIMITS = ((2.5, 4.0), (12.0, 40.0), (150.0, 800.0))


def _see(scene: TabletopScene, instruction: str) -> Observation:
    return observe(scene, instruction, with_images=False, with_objects=True)


def test_the_expert_keeps_the_port() -> None:
    expert = TabletopExpert()
    assert isinstance(expert, Policy)
    expert.spec.validate(expert.spec.example())


def test_a_chunk_starts_at_the_measured_joints_and_time(scene: TabletopScene) -> None:
    observation = _see(scene, TASKS[0].instruction)
    chunk = TabletopExpert().infer(observation)
    assert chunk.values.shape == (32, 6) and chunk.step_ns == STEP_NS
    assert chunk.start_ns == observation.as_of_ns
    assert chunk.values[0] == pytest.approx(observation.state["joints"], abs=1e-6)


def test_the_answer_depends_on_nothing_but_the_observation(scene: TabletopScene) -> None:
    expert, observation = TabletopExpert(), _see(scene, TASKS[0].instruction)
    first = expert.infer(observation).values
    expert.infer(_see(scene, TASKS[5].instruction))
    assert np.array_equal(expert.infer(observation).values, first)


def test_a_prefix_is_repeated_until_committed_and_continued_without_a_step(
    scene: TabletopScene,
) -> None:
    expert, task = TabletopExpert(), TASKS[1].instruction
    observation = _see(scene, task)
    plan = expert.infer(observation)
    prefix = Prefix(plan.values, 0, STEP_NS, committed_until_ns=4 * STEP_NS)
    again = expert.infer(observation, prefix)
    assert again.prefix_rows == 5
    assert again.values[:5] == pytest.approx(plan.values[:5], abs=1e-6)
    assert np.abs(np.diff(again.values, axis=0)).max() < 2.5 * 0.05


def test_a_plan_that_has_ended_is_a_plan_at_rest() -> None:
    prefix = Prefix(np.tile(np.linspace(0, 0.3, 6), (5, 1)), 0, STEP_NS, 0)
    reference = reference_at(prefix, 100 * STEP_NS)
    assert reference is not None
    assert not reference.velocity.any() and not reference.acceleration.any()
    before = reference_at(prefix, -1)
    assert before is not None and not before.velocity.any()
    assert reference_at(None, 0) is None


def test_an_instruction_it_does_not_understand_is_an_error(scene: TabletopScene) -> None:
    with pytest.raises(InferenceError, match="must name one cube"):
        TabletopExpert().infer(_see(scene, "sing a song"))


def test_without_object_poses_it_refuses(scene: TabletopScene) -> None:
    seen = observe(scene, TASKS[0].instruction, with_images=False, with_objects=False)
    with pytest.raises(MismatchError, match="objects"):
        TabletopExpert().infer(seen)


@pytest.mark.parametrize("index", range(len(TASKS)))
def test_every_task_succeeds_on_an_unseen_layout(scene: TabletopScene, index: int) -> None:
    result = run_episode(
        TabletopExpert(), EVAL_SEEDS[index], TASKS[index].instruction, scene=scene
    )
    assert result.succeeded
    assert 2.0 < result.duration_s < 6.0


def test_late_answers_cost_time_but_leave_no_step(scene: TabletopScene) -> None:
    result = run_episode(
        TabletopExpert(), EVAL_SEEDS[7], TASKS[1].instruction, latency_s=0.4, scene=scene
    )
    assert result.succeeded
    assert np.abs(np.diff(result.commands[:, :5], axis=0)).max() < 2.5 * 0.02 * 1.05


def test_told_another_task_it_does_the_other(scene: TabletopScene) -> None:
    told, judged = TASKS[0].instruction, TASKS[4].instruction
    result = run_episode(
        TabletopExpert(), EVAL_SEEDS[2], told, max_s=6.0, judged_by=judged, scene=scene
    )
    assert not result.succeeded


@pytest.mark.parametrize("seed", EVAL_SEEDS[20:24])
def test_its_motion_stays_inside_the_limits_of_the_contract(
    scene: TabletopScene, seed: int
) -> None:
    result = run_episode(
        TabletopExpert(), seed, TASKS[seed % 6].instruction, replan_rows=1, scene=scene
    )
    rows = result.commands[::5]  # every 100 ms: rows, free of the straight lines between them
    for order, (arm, gripper) in enumerate(LIMITS, start=1):
        rate = np.abs(np.diff(rows, n=order, axis=0)).max(axis=0) / 0.1**order
        assert (rate[:5] < arm).all(), f"derivative {order}: {rate}"
        assert rate[5] < gripper


def test_it_ends_at_home(scene: TabletopScene) -> None:
    expert, task = TabletopExpert(), TASKS[2]
    scene.reset(EVAL_SEEDS[3])
    scene.set_task(task.instruction)
    chunk = expert.infer(_see(scene, task.instruction))
    for _ in range(160):
        scene.command(chunk.values[1])
        scene.step(STEP_NS)
        prefix = Prefix(chunk.values, scene.time_ns - STEP_NS, STEP_NS, scene.time_ns)
        chunk = expert.infer(_see(scene, task.instruction), prefix)
    assert scene.success()
    assert forward(scene.joints()[0]) == pytest.approx(HOME_POSE, abs=0.02)
