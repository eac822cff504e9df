"""When the workspace is built again, and when it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import build
from tools.environment import Recipe, main_recipe

RECIPE: Recipe = main_recipe({})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "config/robots/so101/contract.yaml": "joints",
        "launch/robot.launch.py": "",
        "src/vla_core/package.xml": "<package/>",
        "src/vla_core/setup.py": "setup()",
        "src/vla_core/vla_core/plan.py": "x = 1",
        "src/vla_interfaces/CMakeLists.txt": "project()",
        "src/vla_interfaces/msg/Epoch.msg": "uint64 boot",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "changed",
    [
        "config/robots/hsr/contract.yaml",  # a new file has to be linked
        "src/vla_core/setup.py",
        "src/vla_executor/package.xml",
        "src/vla_executor/config/executor.yaml",
        "src/vla_interfaces/msg/Epoch.msg",
    ],
)
def test_builds_again_after_a_change_that_colcon_reads(root: Path, changed: str) -> None:
    before = build.key(RECIPE, root)
    path = root / changed
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("changed")
    assert build.key(RECIPE, root) != before


@pytest.mark.parametrize(
    "changed", ["src/vla_core/vla_core/plan.py", "config/robots/so101/contract.yaml"]
)
def test_an_edit_of_a_linked_file_needs_no_build(root: Path, changed: str) -> None:
    before = build.key(RECIPE, root)
    (root / changed).write_text("changed")
    assert build.key(RECIPE, root) == before


def test_another_environment_needs_a_build(root: Path) -> None:
    humble = main_recipe({"ROS_DISTRO": "humble", "AMENT_PREFIX_PATH": "/opt/ros/humble"})
    assert build.key(RECIPE, root) != build.key(humble, root)
