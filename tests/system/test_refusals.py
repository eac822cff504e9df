"""What is wrong is refused before anything starts: one sentence, exit code 2, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from world import ROOT

REFUSED = 2


def vla(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "vla_bringup.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["up", "robot:=so102"], "unknown robot 'so102'"),
        (["up", "backend:=dream"], "no backend 'dream'"),
        (["demo", "--policy", "nobody"], "unknown policy 'nobody'"),
        (["task", "do something", "--robot", "nobody"], "no router of robot 'nobody'"),
    ],
)
def test_an_unknown_name_is_one_sentence(arguments: list[str], sentence: str) -> None:
    answer = vla(*arguments)
    assert answer.returncode == REFUSED
    assert sentence in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_policy_for_another_robot_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "config" / "policies").mkdir(parents=True)
    (tmp_path / "config" / "robots").symlink_to(ROOT / "config" / "robots")
    expert = (ROOT / "config" / "policies" / "expert.yaml").read_text()
    (tmp_path / "config" / "policies" / "expert.yaml").write_text(
        expert.replace("robot: so101", "robot: hsr")
    )
    logs = tmp_path / "run"
    answer = vla("up", "policy:=expert", "--output", str(logs), VLA_ROOT=str(tmp_path))
    assert answer.returncode == REFUSED
    assert "is for robot 'hsr', not for 'so101'" in answer.stderr
    assert not logs.exists()


def test_a_camera_that_the_scene_does_not_have_is_named(tmp_path: Path) -> None:
    robots = tmp_path / "config" / "robots" / "so101"
    robots.mkdir(parents=True)
    (tmp_path / "config" / "policies").symlink_to(ROOT / "config" / "policies")
    for file in (ROOT / "config" / "robots" / "so101").iterdir():
        (robots / file.name).write_text(
            file.read_text().replace("    wrist: {", "    overhead: {")
        )
    arguments = ("demo", "--policy", "expert", "--output", str(tmp_path / "run"))
    answer = vla(*arguments, VLA_ROOT=str(tmp_path))
    assert answer.returncode == REFUSED
    assert "camera 'overhead'" in answer.stderr
