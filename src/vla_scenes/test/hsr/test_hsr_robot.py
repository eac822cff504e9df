"""The HSR's kinematics against the model, and what its scene knows."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from vla_core.contract import Contract
from vla_scenes.hsr.layout import draw_layout
from vla_scenes.hsr.robot import (
    HAND,
    LIFT,
    LOWER,
    PADS,
    TILT,
    UPPER,
    gaze,
    hand_at,
    level,
    opening,
    tool,
)
from vla_scenes.hsr.scene import HsrScene
from vla_scenes.hsr.tasks import TASKS, parse
from vla_scenes.tasks import InstructionError


def _pose(scene: HsrScene, joints: np.ndarray) -> None:
    scene.data.qpos[scene.qpos] = joints
    scene.data.joint("hand_r_proximal_joint").qpos[:] = joints[HAND]
    for tip in ("left_tip_joint", "right_tip_joint"):
        scene.data.joint(tip).qpos[:] = -joints[HAND]
    scene.base.place(np.zeros(3))
    mujoco.mj_forward(scene.model, scene.data)


def test_the_tool_is_where_the_model_has_the_middle_of_the_pads(scene: HsrScene) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        joints = rng.uniform(LOWER, UPPER)
        _pose(scene, joints)
        left, right = (scene.data.geom(pad).xpos for pad in PADS)
        assert (left + right) / 2 == pytest.approx(tool(joints), abs=1e-9)


@pytest.mark.parametrize("hand", [0.1, 0.5, 1.2])
def test_the_pads_are_as_far_apart_as_the_motor_says(scene: HsrScene, hand: float) -> None:
    _pose(scene, np.array([0.2, -1.0, 0.0, -0.5, 0.0, hand, 0.0, 0.0]))
    left, right = (scene.data.geom(pad).xpos for pad in PADS)
    inside = np.linalg.norm(left - right) - 2 * scene.model.geom("left_pad").size[1]
    assert inside / 2 == pytest.approx(opening(hand), abs=1e-6)
    assert hand_at(opening(hand)) == pytest.approx(hand)


@pytest.mark.parametrize("twist", [0.0, np.pi / 2])
def test_a_level_hand_reaches_the_height_that_was_asked_for(twist: float) -> None:
    joints = np.concatenate([level(0.66, 1.15, twist, 0.4), [0.0, 0.0]])
    assert tool(joints)[2] == pytest.approx(0.66)
    assert (joints >= LOWER).all() and (joints <= UPPER).all()


def test_a_height_beyond_the_lift_gives_the_end_of_its_travel() -> None:
    assert level(3.0, 1.15, 0.0, 0.4)[LIFT] == UPPER[LIFT]


def test_the_head_camera_has_what_it_looks_at_in_the_middle(scene: HsrScene) -> None:
    point = np.array([1.1, 0.3, 0.66])
    scene.step(0)
    _pose(scene, np.concatenate([level(0.66, 1.15, 0.0, 0.4), gaze(point, 0.2)]))
    scene.data.joint("torso_lift_joint").qpos[:] = 0.1
    mujoco.mj_forward(scene.model, scene.data)
    camera = scene.data.cam("head")
    seen = camera.xmat.reshape(3, 3).T @ (point - camera.xpos)
    assert np.degrees(np.hypot(seen[0], seen[1]) / -seen[2]) < 6.0


def test_the_model_and_the_contract_agree(scene: HsrScene, contract: Contract) -> None:
    assert scene.columns == contract.columns
    columns = contract.action.columns[: len(LOWER)]
    assert [c.position for c in columns] == list(zip(LOWER.tolist(), UPPER.tolist(), strict=True))
    truth = contract.observation.state["objects"].entries
    assert sorted(truth) == sorted(scene.object_entries)


def test_the_same_seed_is_the_same_room() -> None:
    a, b = draw_layout(5), draw_layout(5)
    assert np.array_equal(a.table, b.table) and np.array_equal(a.cans["red"], b.cans["red"])
    assert not np.array_equal(a.robot, draw_layout(6).robot)


@pytest.mark.parametrize("task", TASKS)
def test_every_wording_names_its_task(task: object) -> None:
    for wording in task.wordings():  # type: ignore[attr-defined]
        assert parse(wording) == task


@pytest.mark.parametrize("text", ["open the red can drawer", "fetch a can", "open it", ""])
def test_what_names_no_single_thing_is_refused(text: str) -> None:
    with pytest.raises(InstructionError, match="must name one can"):
        parse(text)


def test_nothing_is_done_at_the_start(scene: HsrScene) -> None:
    for task in TASKS:
        scene.set_task(task.instruction)
        assert not scene.success()


def test_only_the_named_drawer_counts(scene: HsrScene) -> None:
    scene.data.joint("top_drawer").qpos[:] = 0.2
    for drawer, done in (("top", True), ("bottom", False)):
        scene.set_task(f"open the {drawer} drawer")
        assert scene.success() is done
    scene.data.joint("bottom_drawer").qpos[:] = 0.2
    assert not scene.success()


def test_a_can_that_floats_before_the_table_is_not_fetched(scene: HsrScene) -> None:
    scene.data.joint("red_can").qpos[:3] = [0.4, 0.4, 0.9]
    mujoco.mj_forward(scene.model, scene.data)
    scene.set_task("fetch the red can")
    assert not scene.success()


def test_the_base_goes_as_fast_as_it_is_told_in_its_own_frame(scene: HsrScene) -> None:
    targets = scene.targets()
    targets[-3:] = [0.0, 0.2, 0.0]
    scene.base.place(np.array([-1.0, 0.0, 0.5]))
    scene.command(targets)
    scene.step(1_000_000_000)
    assert scene.base.velocity() == pytest.approx([0.0, 0.2, 0.0], abs=5e-3)
    targets[-3:] = 0.0
    scene.command(targets)
    scene.step(1_000_000_000)
    assert np.abs(scene.base.velocity()).max() < 1e-3
    assert scene.base.pose()[2] == pytest.approx(0.5, abs=1e-3)


def test_neck_and_arm_hold_still_under_their_own_weight(scene: HsrScene) -> None:
    before = scene.joints()[0].copy()
    scene.step(500_000_000)
    assert scene.joints()[0] == pytest.approx(before, abs=2e-3)
    assert LOWER[TILT] <= scene.joints()[0][TILT]
