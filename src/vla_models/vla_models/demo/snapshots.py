"""Still scenes that the expert answers: thousands of layouts for the price of a few episodes.

An episode shows one layout two hundred times; where things lie is learned from many layouts. So
the arm is put, without physics, somewhere on its way to a task (perhaps another one than the
instruction's), empty or with a cube in its jaws, and the expert says how it would go on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vla_core.types import NS_PER_S
from vla_models.demo.recording import auxiliary_targets, named_pixels
from vla_models.nano.processor import prepare_image
from vla_models.training.episodes import Episode, EpisodeStore
from vla_scenes.expert import STEP_NS, TabletopExpert, view_of
from vla_scenes.kinematics import DOWN, LOWER, UPPER, forward, inverse
from vla_scenes.layout import TRAIN_SEEDS
from vla_scenes.motion import Mover, Reference, predict
from vla_scenes.pick_place import CARRY_SAFE, CONTACT, GRIPPER, SAFE, SQUEEZE, View, decide, follow
from vla_scenes.pick_place import is_held as closed_on
from vla_scenes.tabletop import CAMERAS, OBJECT_ENTRIES, TabletopScene
from vla_scenes.tasks import TASKS, Task

PER_FILE = 48  # snapshots of one task, each of another layout
FIRST_SEED = 200_000  # between those of demonstrations and corrections
HOME_SHARE, CARRY_SHARE, ELSEWHERE_SHARE = 0.35, 0.25, 0.4
LAG_S = 0.025  # of the servos behind their reference
ROWS_AHEAD = 30
# Where the arm may come from: azimuth, reach, height, pitch, roll, gripper [rad, m].
FROM = np.array([-0.95, 0.115, SAFE, DOWN - 0.08, -0.9, 0.15])
TO = np.array([0.95, 0.243, 0.16, DOWN + 0.08, 0.9, 0.85])


def record_snapshots(folder: Path, numbers: Iterable[int]) -> EpisodeStore:
    """Add the files that are missing; number ``k`` is the same whenever recorded."""
    store = EpisodeStore(folder)
    scene = TabletopScene()
    try:
        for number in sorted(set(numbers) - set(store.numbers())):
            store.write(number, _file(scene, number))
    finally:
        scene.close()
    return store


def _file(scene: TabletopScene, number: int) -> Episode:
    task, expert = TASKS[number % len(TASKS)], TabletopExpert()
    rng = np.random.default_rng([11, number])
    shots = []
    for k in range(PER_FILE):
        scene.reset(TRAIN_SEEDS[FIRST_SEED + number * PER_FILE + k])
        shots.append(_shoot(scene, expert, task, _state(scene, task, rng)))
    images, state, targets, objects, pixels = (np.stack(part) for part in zip(*shots, strict=True))
    return Episode(
        instruction=task.instruction,
        images=images,
        state=state.astype(np.float32),
        targets=targets.astype(np.float32),
        valid=np.ones(targets.shape[:2], np.bool_),
        objects=auxiliary_targets(objects.astype(np.float32), task),
        pixels=named_pixels(pixels.astype(np.float32), task),
        sequence=False,
    )


@dataclass(frozen=True, eq=False)
class _State:
    """Where the arm is told to be, where it is, and which cube it holds."""

    reference: Reference
    joints: NDArray[np.float64]  # (6,) measured [rad]
    held: dict[str, tuple[float, ...]]  # cube to x, y, z [m] and yaw [rad]


def _shoot(
    scene: TabletopScene, expert: TabletopExpert, task: Task, state: _State
) -> tuple[NDArray[np.generic], ...]:
    scene.arrange(state.joints, state.held)
    objects = scene.objects()
    rows = expert.rows(task, state.joints, objects, state.reference)
    images = np.stack([prepare_image(scene.image(camera), 96) for camera in CAMERAS])
    pixels = np.stack([scene.pixels(camera) for camera in CAMERAS])
    return images, state.joints, rows, np.array([objects[e] for e in OBJECT_ENTRIES]), pixels


def _state(scene: TabletopScene, task: Task, rng: np.random.Generator) -> _State:
    """Draw where the arm is: at home, on its way to a cube, or carrying one."""
    kind = rng.random()
    joints = scene.joints()[0]
    if kind < HOME_SHARE:
        return _State(Reference.at_rest(joints), joints, {})
    meant = TASKS[int(rng.integers(len(TASKS)))] if rng.random() < ELSEWHERE_SHARE else task
    pose = _reachable(rng)
    if kind < HOME_SHARE + CARRY_SHARE:
        return _carrying(scene, meant, pose, rng)
    start = Reference(pose, np.zeros(6), np.zeros(6))
    view = view_of(meant, start.joints(), scene.objects(), start)
    reference, _ = _unfold(start, view, int(rng.integers(ROWS_AHEAD)), empty=True)
    return _State(reference, _measured(reference), {})


def _reachable(rng: np.random.Generator) -> NDArray[np.float64]:
    while True:
        pose: NDArray[np.float64] = rng.uniform(FROM, TO)
        if np.abs(forward(inverse(pose)) - pose).max() < 1e-6:
            return pose


def _carrying(
    scene: TabletopScene, meant: Task, pose: NDArray[np.float64], rng: np.random.Generator
) -> _State:
    pose[2], pose[3], pose[GRIPPER] = rng.uniform(CARRY_SAFE, 0.09), DOWN, SQUEEZE
    start = Reference(pose, np.zeros(6), np.zeros(6))
    joints = start.joints()
    joints[GRIPPER] = CONTACT
    view = follow(view_of(meant, joints, scene.objects(), start))
    reference, view = _unfold(start, view, int(rng.integers(ROWS_AHEAD)), empty=False)
    joints = _measured(reference)
    joints[GRIPPER] = max(CONTACT, reference.pose[GRIPPER])
    cube = (*view.cube.tolist(), float(view.cube_yaw))
    return _State(reference, joints, {f"{meant.cube}_cube": cube})


def _unfold(start: Reference, view: View, rows: int, *, empty: bool) -> tuple[Reference, View]:
    """Return reference and view some rows on; ``empty`` ends before the jaws close on a cube."""
    mover, reference = Mover(STEP_NS / NS_PER_S), start
    for _ in range(rows):
        ahead = mover.advance(reference, decide(view, reference.velocity))
        seen = predict(view, ahead)
        if empty and (closed_on(seen) or ahead.pose[GRIPPER] < CONTACT + 0.05):
            break
        reference, view = ahead, seen
    return reference, view


def _measured(reference: Reference) -> NDArray[np.float64]:
    """Return where the servos are while they follow a reference."""
    late = Reference(reference.pose - LAG_S * reference.velocity, np.zeros(6), np.zeros(6))
    return np.clip(late.joints(), LOWER, UPPER)
