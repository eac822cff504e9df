from __future__ import annotations

import numpy as np
import pytest

from vla_core.errors import VlaError
from vla_scenes.geometry import flat_yaw
from vla_scenes.layout import CUBE, PAD, PAD_HEIGHT
from vla_scenes.tabletop import CAMERAS, OBJECT_ENTRIES, THINGS, TabletopScene

MS = 1_000_000
TASK = "put the red cube on the yellow pad"


def _lay_red_cube(scene: TabletopScene, pad: str, dx: float = 0.0, lift: float = 0.0) -> None:
    at = scene.data.body(f"{pad}_pad").xpos
    height = PAD_HEIGHT + CUBE / 2 + lift
    scene.data.joint("red_cube").qpos[:] = [at[0] + dx, at[1], height, 1, 0, 0, 0]
    scene.step(2 * MS)


def test_the_same_seed_and_commands_give_the_same_world(scene: TabletopScene) -> None:
    def play() -> tuple[np.ndarray, dict[str, float]]:
        scene.reset(3)
        scene.command(scene.joints()[0] + 0.2)
        scene.step(300 * MS)
        return scene.joints()[0], scene.objects()

    (a, objects_a), (b, objects_b) = play(), play()
    assert np.array_equal(a, b) and objects_a == objects_b


def test_time_advances_by_what_was_asked(scene: TabletopScene) -> None:
    for _ in range(50):
        scene.step(20 * MS)
    assert scene.time_ns == 1000 * MS


def test_servos_reach_their_targets_and_hold(scene: TabletopScene) -> None:
    target = scene.joints()[0] + np.array([0.3, 0.2, -0.2, 0.1, 0.4, 0.2])
    scene.command(target)
    scene.step(1500 * MS)
    positions, velocities = scene.joints()
    assert positions == pytest.approx(target, abs=4e-3)
    assert velocities == pytest.approx(np.zeros(6), abs=1e-2)


@pytest.mark.parametrize("bad", [[0.0] * 5, [0.0] * 7, [np.nan] * 6, [np.inf] * 6])
def test_a_command_that_is_not_six_finite_numbers_is_refused(
    scene: TabletopScene, bad: list[float]
) -> None:
    before = scene.targets()
    with pytest.raises(VlaError, match="expected 6 finite targets"):
        scene.command(bad)
    assert np.array_equal(scene.targets(), before)


def test_objects_are_reported_entry_by_entry_where_the_layout_put_them(
    scene: TabletopScene,
) -> None:
    objects, place = scene.objects(), scene.layout.places["blue_cube"]
    assert tuple(objects) == OBJECT_ENTRIES
    assert (objects["blue_cube.x"], objects["blue_cube.y"]) == pytest.approx((place.x, place.y))
    assert objects["blue_cube.z"] == pytest.approx(CUBE / 2)


def test_a_released_cube_at_rest_on_the_named_pad_is_success(scene: TabletopScene) -> None:
    scene.set_task(TASK)
    assert not scene.success()
    _lay_red_cube(scene, "yellow")
    scene.step(200 * MS)
    assert scene.success()


def test_the_other_pad_is_no_success(scene: TabletopScene) -> None:
    scene.set_task(TASK)
    _lay_red_cube(scene, "purple")
    scene.step(200 * MS)
    assert not scene.success()


def test_the_other_cube_is_no_success(scene: TabletopScene) -> None:
    scene.set_task("put the blue cube on the yellow pad")
    _lay_red_cube(scene, "yellow")
    scene.step(200 * MS)
    assert not scene.success()


def test_a_cube_that_still_falls_is_no_success(scene: TabletopScene) -> None:
    scene.set_task(TASK)
    _lay_red_cube(scene, "yellow", lift=0.03)
    scene.step(60 * MS)
    assert not scene.success()
    scene.step(600 * MS)
    assert scene.success()


def test_a_cube_over_the_edge_of_the_pad_is_no_success(scene: TabletopScene) -> None:
    scene.set_task(TASK)
    _lay_red_cube(scene, "yellow", dx=PAD * 0.75)
    scene.step(200 * MS)
    assert not scene.success()


def test_success_without_a_task_is_a_refusal() -> None:
    with pytest.raises(VlaError, match="no task"):
        TabletopScene(0).success()


@pytest.mark.parametrize("yaw", [-0.7, 0.0, 0.4, 0.78])
def test_yaw_is_the_same_whichever_face_the_cube_lies_on(yaw: float) -> None:
    c, s = np.cos(yaw), np.sin(yaw)
    turned = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    for face in (
        np.eye(3),
        np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
        np.roll(np.eye(3), 1, 0),
    ):
        assert flat_yaw(turned @ face) == pytest.approx(yaw, abs=1e-9)


def test_an_unknown_camera_is_refused_with_the_known_ones(scene: TabletopScene) -> None:
    with pytest.raises(VlaError, match="'front', 'wrist'"):
        scene.image("top")


@pytest.mark.parametrize("camera", CAMERAS)
def test_cameras_show_cubes_in_their_colours(renderable: TabletopScene, camera: str) -> None:
    image = renderable.image(camera).astype(int)
    assert image.shape == (240, 320, 3)
    assert image.std() > 20
    if camera == "front":
        red, green, blue = image[..., 0], image[..., 1], image[..., 2]
        for strong, weak, other in ((red, green, blue), (green, red, blue), (blue, red, green)):
            assert (strong > 1.6 * np.maximum(weak, other)).sum() > 60


def test_an_image_shows_the_scene_of_its_seed(renderable: TabletopScene) -> None:
    first = renderable.image("front")
    renderable.reset(1)
    assert not np.array_equal(renderable.image("front"), first)
    renderable.reset(0)
    assert np.array_equal(renderable.image("front"), first)


def test_a_snapshot_is_rendered_as_it_was_although_the_world_went_on(
    renderable: TabletopScene,
) -> None:
    before, then = renderable.image("wrist"), renderable.snapshot()
    renderable.command(renderable.joints()[0] + 0.3)
    renderable.step(200 * MS)
    assert not np.array_equal(renderable.image("wrist"), before)
    assert np.array_equal(renderable.image("wrist", then), before)


def test_a_machine_that_cannot_render_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "disable")
    with pytest.raises(VlaError, match="install libegl1"):
        TabletopScene(0).image("front")


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_cube_is_seen_where_its_pixels_are(renderable: TabletopScene, camera: str) -> None:
    scene = renderable
    row, column = np.nonzero(_reddish(scene.image(camera)))
    found = np.array([column.mean() / scene.look.width, row.mean() / scene.look.height])
    assert scene.pixels(camera)[THINGS.index("red_cube")] == pytest.approx(found, abs=0.02)


def _reddish(image: np.ndarray) -> np.ndarray:
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    reddish: np.ndarray = (red > 2 * green) & (red > 2 * blue) & (red > 60)
    return reddish


def test_what_a_camera_does_not_have_has_no_place_in_its_image(scene: TabletopScene) -> None:
    scene.arrange(scene.joints()[0], {"red_cube": (-1.0, 0.0, 0.3, 0.0)})
    shares = scene.pixels("front")
    assert np.isnan(shares[THINGS.index("red_cube")]).all()
    assert np.isfinite(shares[THINGS.index("blue_cube")]).all()


def test_arm_and_cubes_are_put_where_they_are_wanted(scene: TabletopScene) -> None:
    joints = scene.joints()[0] + 0.1
    scene.arrange(joints, {"green_cube": (0.2, 0.1, 0.05, 0.3)})
    objects = scene.objects()
    assert scene.joints()[0] == pytest.approx(joints) and scene.targets() == pytest.approx(joints)
    assert [objects[f"green_cube.{axis}"] for axis in ("x", "y", "z", "yaw")] == pytest.approx(
        [0.2, 0.1, 0.05, 0.3]
    )
