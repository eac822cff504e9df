"""From a scene to a dataset: the demo of each driving robot, its film and page, and `vla convert`.

One instruction is played by every process, recorded with its pictures, and becomes an episode
that a policy could be trained on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from world import ROOT

from vla_core.contract import load_contract
from vla_data.lerobot import Dataset

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

LATE_S = "0.5"  # a busy machine draws late, and that is no matter of this test


@dataclass(frozen=True)
class Show:
    """What a robot is told, how its base is called, and what a policy sees of it."""

    robot: str
    instruction: str
    base: str
    cameras: tuple[str, ...]


SHOWS = (
    Show("hsr", "fetch the red can", "base_x", ("head", "hand", "external")),
    Show("go2_arm", "go to the red cube and lift it", "vx", ("front", "wrist")),
)


def vla(*words: str, domain: int) -> str:
    """Run a command of the script to its end; return what it said."""
    answer = subprocess.run(
        [sys.executable, "-m", "vla_bringup.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        env={**os.environ, "ROS_DOMAIN_ID": str(domain)},
    )
    assert answer.returncode == 0, answer.stdout
    return answer.stdout


@pytest.mark.parametrize("show", SHOWS, ids=lambda show: show.robot)
def test_a_demonstration_becomes_an_episode_to_train_on(show: Show, tmp_path: Path) -> None:
    domain = (os.getpid() + 29) % 100 + 1
    run, gif = tmp_path / "run", tmp_path / "film.gif"
    told = ("demo", "--robot", show.robot, "--instruction", show.instruction)
    said = vla(*told, "--output", str(run), "--gif", str(gif), domain=domain)
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["success_rate"] == 1.0, said
    for file in (run / "video.mp4", run / "report.html", gif):
        assert file.stat().st_size > 10_000, file.name

    vla("convert", str(run / "bag"), "--output", str(tmp_path / "data"), "--late", LATE_S,
        "--successes", str(run / "metrics.json"), domain=domain)  # fmt: skip
    data = Dataset(tmp_path / "data")
    folder = ROOT / "config" / "robots" / show.robot
    contract = load_contract([str(folder / "contract.yaml"), str(folder / "sim.yaml")])
    assert data.tasks == (show.instruction,)
    assert len(data.episodes) == 1
    assert data.features["action"].names == tuple(contract.columns)
    assert not [n for n in data.features["observation.state"].names if "can" in n or "cube" in n]

    actions = data.column("action")
    driven = actions[:, list(contract.columns).index(show.base)]
    assert np.isfinite(actions).all()
    assert np.abs(driven).max() > 0.05, "the base does not drive"
    for camera in show.cameras:
        pictures = data.images(f"observation.images.{camera}")
        assert pictures.shape[1:] == (240, 320, 3)
        assert np.abs(pictures[0].astype(int) - pictures[-1]).max() > 50, f"{camera} stands still"
