from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest
import yaml

from vla_scenes.kinematics import DOWN, JOINTS, LOWER, PAN_X, TOOL, UPPER, forward, inverse
from vla_scenes.pick_place import HOME, HOVER, WORKSPACE
from vla_scenes.tabletop import TabletopScene

CONTRACT = Path(__file__).parents[3] / "config/robots/so101/contract.yaml"


def test_forward_agrees_with_the_model_of_the_wheel(scene: TabletopScene) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        joints = rng.uniform(LOWER, UPPER)
        position, approach, _ = _measured(scene, joints)
        azimuth, reach, height, pitch, _, _ = forward(joints)
        radial = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
        expected = np.array([PAN_X, 0, height]) + reach * radial
        assert position == pytest.approx(expected, abs=4e-4)
        assert approach == pytest.approx(
            np.cos(pitch) * radial + np.array([0, 0, np.sin(pitch)]), abs=1e-3
        )


def test_roll_turns_the_jaws_from_radial_to_the_left(scene: TabletopScene) -> None:
    for azimuth, roll in ((0.0, 0.0), (0.5, 0.3), (-0.4, -0.7)):
        joints = inverse(np.array([azimuth, 0.2, 0.05, DOWN, roll, 0.3]))
        _, _, opening = _measured(scene, joints)
        facing = azimuth + roll
        assert opening == pytest.approx([np.cos(facing), np.sin(facing), 0.0], abs=2e-3)


def _measured(scene: TabletopScene, joints: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return grasp point, tool direction and opening direction as MuJoCo has them."""
    data = scene.data
    for name, angle in zip(JOINTS, joints, strict=True):
        data.joint(name).qpos[0] = angle
    mujoco.mj_kinematics(scene.model, data)
    turned = data.body("gripper").xmat.reshape(3, 3)
    down_the_fingers = TOOL - 0.0611
    return data.body("gripper").xpos - down_the_fingers * turned[:, 2], -turned[:, 2], turned[:, 0]


def test_inverse_undoes_forward_everywhere_in_the_workspace() -> None:
    for reach in np.linspace(*WORKSPACE, 9):
        for height in (0.012, 0.03, HOVER):
            pose = np.array([0.4, reach, height, DOWN, -0.5, 0.2])
            assert forward(inverse(pose)) == pytest.approx(pose, abs=1e-9)


def test_a_pose_out_of_reach_gives_joints_inside_their_limits() -> None:
    joints = inverse(np.array([0.0, 0.9, 0.3, DOWN, 0.0, 0.0]))
    assert (joints >= LOWER).all() and (joints <= UPPER).all()


def test_home_and_limits_are_those_of_the_robots_contract() -> None:
    if not CONTRACT.exists():
        pytest.skip("tests run outside the repository: no contract to compare with")
    contract = yaml.safe_load(CONTRACT.read_text())
    columns = contract["action"]["columns"]
    assert [c["name"] for c in columns] == list(JOINTS)
    assert [c["position"] for c in columns] == np.column_stack([LOWER, UPPER]).tolist()
    assert list(contract["home"].values()) == HOME.tolist()
