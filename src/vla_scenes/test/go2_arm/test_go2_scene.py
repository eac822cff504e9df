"""How the Go2 walks, what it knows of itself, and when a cube is lifted."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from vla_core.contract import Contract
from vla_scenes.go2_arm.decision import from_arm, in_arm
from vla_scenes.go2_arm.expert import seen_of
from vla_scenes.go2_arm.gait import STAND, TROT, Gait
from vla_scenes.go2_arm.scene import Go2ArmScene
from vla_scenes.go2_arm.tasks import TASKS, Task, parse
from vla_scenes.kinematics import LOWER, UPPER
from vla_scenes.tasks import InstructionError

TICK_NS = 10_000_000
FORWARD = np.array([0.2, 0.0, 0.0])


def _walk(scene: Go2ArmScene, velocity: np.ndarray, seconds: float) -> None:
    targets = scene.targets()
    targets[-3:] = velocity
    scene.command(targets)
    scene.step(round(seconds * 1e9))


def test_a_standing_dog_hardly_shakes_and_a_trotting_one_does() -> None:
    gait = Gait(1)
    standing = np.array([gait.advance(TICK_NS, np.zeros(3)).trunk for _ in range(300)])
    trotting = np.array([gait.advance(TICK_NS, FORWARD).trunk for _ in range(300)])
    assert (standing.std(axis=0) < 2 * STAND).all()
    assert (trotting[100:].std(axis=0) > 0.4 * TROT).all()
    assert (np.abs(trotting).max(axis=0) < 1.5 * TROT + 5 * STAND).all()


def test_a_standing_dog_does_not_drift() -> None:
    gait = Gait(2)
    assert not any(gait.advance(TICK_NS, np.zeros(3)).drift.any() for _ in range(100))


def test_the_same_seed_walks_alike_and_another_one_differently() -> None:
    a, b, c = (Gait(seed) for seed in (3, 3, 4))
    for _ in range(50):
        one, two, three = (gait.advance(TICK_NS, FORWARD).drift for gait in (a, b, c))
    assert np.array_equal(one, two) and not np.array_equal(one, three)


def test_it_walks_about_where_it_is_told_but_its_odometry_drifts(scene: Go2ArmScene) -> None:
    start, heading = scene.base.pose(), scene.base.pose()[2]
    _walk(scene, FORWARD, 2.0)
    _walk(scene, np.zeros(3), 1.0)
    gone = scene.base.pose() - start
    along = gone[0] * np.cos(heading) + gone[1] * np.sin(heading)
    assert along == pytest.approx(0.4, abs=0.05)
    told = scene.joints()[0][scene.entries.index("base_x")]
    assert 1e-3 < abs(told - along) < 0.05


def test_at_rest_again_nothing_moves(scene: Go2ArmScene) -> None:
    _walk(scene, np.array([0.3, 0.2, 0.5]), 1.0)
    _walk(scene, np.zeros(3), 1.0)
    assert np.abs(scene.base.velocity()).max() < 2e-3


def test_the_arm_holds_its_pose_while_the_trunk_shakes(scene: Go2ArmScene) -> None:
    before = scene.targets()[:6]
    _walk(scene, FORWARD, 1.0)
    assert scene.joints()[0][:6] == pytest.approx(before, abs=0.05)


def test_the_front_camera_moves_with_the_gait(scene: Go2ArmScene) -> None:
    heights = []
    for _ in range(40):
        _walk(scene, FORWARD, 0.02)
        heights.append(scene.data.cam("front").xpos[2])
    assert np.ptp(heights) > 0.004


def test_points_in_the_arms_frame_are_where_the_model_has_them(scene: Go2ArmScene) -> None:
    _walk(scene, np.array([0.2, 0.1, 0.3]), 0.7)
    mujoco.mj_forward(scene.model, scene.data)
    seen = seen_of(Task("red"), scene.objects(), 0.3)
    arm = scene.data.body("base")
    point = np.array([0.9, 0.1, 0.3])
    inside = in_arm(seen, scene.base.pose(), point)
    assert inside == pytest.approx(arm.xmat.reshape(3, 3).T @ (point - arm.xpos), abs=1e-6)
    assert from_arm(seen, scene.base.pose(), inside) == pytest.approx(point, abs=1e-9)


def test_the_model_and_the_contract_agree(scene: Go2ArmScene, contract: Contract) -> None:
    assert scene.columns == contract.columns
    assert [c.position for c in contract.action.columns[:6]] == list(
        zip(LOWER.tolist(), UPPER.tolist(), strict=True)
    )
    truth = contract.observation.state["objects"].entries
    assert sorted(truth) == sorted(scene.object_entries)


@pytest.mark.parametrize("task", TASKS)
def test_every_wording_names_its_task(task: Task) -> None:
    assert {parse(wording) for wording in task.wordings()} == {task}


@pytest.mark.parametrize("text", ["lift the cube", "red", "lift the red or the blue cube"])
def test_what_names_no_single_cube_is_refused(text: str) -> None:
    with pytest.raises(InstructionError, match="must name one cube"):
        parse(text)


def test_a_cube_in_the_air_that_nobody_holds_is_not_lifted(scene: Go2ArmScene) -> None:
    scene.set_task(TASKS[0].instruction)
    assert not scene.success()
    scene.data.joint("red_cube").qpos[2] = 0.6
    mujoco.mj_forward(scene.model, scene.data)
    assert not scene.success()
