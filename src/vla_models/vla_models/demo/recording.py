"""Demonstrations of the scripted expert, recorded faster than real time, resumable."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vla_models.training.episodes import Episode, EpisodeStore
from vla_scenes.episode import Demonstration, Kicks, record_demonstration
from vla_scenes.layout import TRAIN_SEEDS
from vla_scenes.tabletop import CAMERAS, OBJECT_ENTRIES, THINGS, TabletopScene
from vla_scenes.tasks import TASKS, Task, parse

KICKED = 0.7  # share of the demonstrations that are disturbed
ATTEMPTS = 5  # seeds tried before a demonstration is given up


def record(folder: Path, numbers: Iterable[int]) -> EpisodeStore:
    """Add the demonstrations that are missing; number ``k`` is the same whenever recorded."""
    store = EpisodeStore(folder)
    scene = TabletopScene()
    try:
        for number in sorted(set(numbers) - set(store.numbers())):
            store.write(number, _episode(scene, number))
    finally:
        scene.close()
    return store


def _episode(scene: TabletopScene, number: int) -> Episode:
    """Record the demonstration with a number, from the first of its seeds that succeeds."""
    task = TASKS[number % len(TASKS)]
    for attempt in range(ATTEMPTS):
        seed = TRAIN_SEEDS[number * ATTEMPTS + attempt]
        rng = np.random.default_rng(seed)
        kicks = Kicks() if rng.random() < KICKED else None
        demonstration = record_demonstration(seed, task.instruction, rng, scene=scene, kicks=kicks)
        if demonstration.succeeded:
            return to_episode(demonstration)
    raise RuntimeError(f"demonstration {number}: the expert failed with {ATTEMPTS} seeds")


def to_episode(demonstration: Demonstration) -> Episode:
    """Return what training needs of a demonstration.

    The expert's chunk is its answer to the frame whatever happens next, so no row is a kick.
    """
    images = np.stack([demonstration.images[camera] for camera in CAMERAS], axis=1)
    task = parse(demonstration.instruction)
    return Episode(
        instruction=demonstration.instruction,
        images=images,
        state=demonstration.joints,
        targets=demonstration.rows,
        valid=np.ones(demonstration.rows.shape[:2], np.bool_),
        objects=auxiliary_targets(demonstration.objects, task),
        pixels=named_pixels(demonstration.pixels, task),
    )


def named_pixels(pixels: NDArray[np.float32], task: Task) -> NDArray[np.float32]:
    """Return where the cameras have the named cube and pad, (N, cameras, 2, 2)."""
    named = [THINGS.index(f"{task.cube}_cube"), THINGS.index(f"{task.pad}_pad")]
    return pixels[:, :, named]


def auxiliary_targets(objects: NDArray[np.float32], task: Task) -> NDArray[np.float32]:
    """Return where the named cube and pad are, (N, 7): what the policy has to see, and no more.

    The cube's x, y, z and its yaw as a point on the circle (it looks the same each quarter turn),
    then the pad's x, y.
    """
    column = {entry: objects[:, i] for i, entry in enumerate(OBJECT_ENTRIES)}
    cube, pad = f"{task.cube}_cube", f"{task.pad}_pad"
    turn = 4 * column[f"{cube}.yaw"]
    return np.stack(
        [
            *(column[f"{cube}.{axis}"] for axis in "xyz"), np.sin(turn), np.cos(turn),
            *(column[f"{pad}.{axis}"] for axis in "xy"),
        ],
        axis=1,
    )  # fmt: skip
