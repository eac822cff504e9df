"""The recipe of the shipped demo policy, in one place."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from vla_models.nano.config import NanoConfig
from vla_models.nano.text import collect
from vla_models.training.augment import Augmentation
from vla_models.training.episodes import Episode
from vla_scenes.kinematics import JOINTS
from vla_scenes.tabletop import CAMERAS
from vla_scenes.tasks import CUBES, PADS, TASKS, parse

SNAPSHOT_WEIGHT = 2.0
HELD_OUT = 12  # episodes that are only looked at to judge the others
AUXILIARY = 7  # `recording.auxiliary_targets`
KEYPOINTS = 2  # `recording.named_pixels`
# What the images have to say to the millimetre is where things are: they are not shifted.
AUGMENTATION = Augmentation(shift_px=0)


def demo_config() -> NanoConfig:
    """Return the demo's network."""
    return NanoConfig(
        name="demo",
        robot="so101",
        cameras=CAMERAS,
        state_stream="joints",
        state_entries=JOINTS,
        columns=JOINTS,
        units=("rad",) * len(JOINTS),
        words=collect([wording for task in TASKS for wording in task.wordings()]),
        channels=(24, 48, 96, 128, 128),
        pool=2,
        keypoints=KEYPOINTS,
        rows_per_query=4,
        auxiliary=AUXILIARY,
    )


def weigh(episode: Episode) -> NDArray[np.float64]:
    """Draw frames after the cube was put down less often, and snapshots more often.

    Home before and home after look alike but for the cube: too many of the latter, and a young
    policy stays at home for good.
    """
    if not episode.sequence:
        return np.full(len(episode.state), SNAPSHOT_WEIGHT)
    cube, pad = episode.objects[:, :3], episode.objects[:, 5:7]
    lies = (np.hypot(*(cube[:, :2] - pad).T) < 0.02) & (cube[:, 2] < 0.02)
    released = episode.state[:, JOINTS.index("gripper")] > 0.25
    return np.where(lies & released, 0.25, 1.0)


def reword(instruction: str, rng: np.random.Generator) -> str:
    """Return another wording of the same task; words that do not name it may be missing."""
    wordings = parse(instruction).wordings()
    words = re.findall(r"[a-z]+", wordings[int(rng.integers(len(wordings)))])
    careless = rng.random() < 0.3
    kept = [w for w in words if w in CUBES + PADS or not careless or rng.random() < 0.6]
    return " ".join(kept)
