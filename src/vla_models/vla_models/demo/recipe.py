"""The recipe of the shipped demo policy, in one place."""

from __future__ import annotations

import re

import numpy as np

from vla_models.nano.config import NanoConfig
from vla_models.nano.text import collect
from vla_scenes.kinematics import JOINTS
from vla_scenes.tabletop import CAMERAS
from vla_scenes.tasks import CUBES, PADS, TASKS, parse

DEMONSTRATIONS = 300
HELD_OUT = 12  # episodes that are only looked at to judge the others
AUXILIARY = 26  # `recording.auxiliary_targets`


def demo_config() -> NanoConfig:
    """Return the demo's network: 2.6 million parameters."""
    return NanoConfig(
        name="demo",
        robot="so101",
        cameras=CAMERAS,
        state_stream="joints",
        state_entries=JOINTS,
        columns=JOINTS,
        units=("rad",) * len(JOINTS),
        words=collect([wording for task in TASKS for wording in task.wordings()]),
        auxiliary=AUXILIARY,
    )


def reword(instruction: str, rng: np.random.Generator) -> str:
    """Return another wording of the same task; words that do not name it may be missing."""
    wordings = parse(instruction).wordings()
    words = re.findall(r"[a-z]+", wordings[int(rng.integers(len(wordings)))])
    careless = rng.random() < 0.3
    kept = [w for w in words if w in CUBES + PADS or not careless or rng.random() < 0.6]
    return " ".join(kept)
