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
        "src/vla_bringup/package.xml": "<package/>",
        "src/vla_core/package.xml": "<package/>",
        "src/vla_core/setup.py": "setup()",
        "src/vla_core/vla_core/plan.py": "x = 1",
        "src/vla_interfaces/package.xml": "<package/>",
        "src/vla_interfaces/CMakeLists.txt": "project()",
        "src/vla_interfaces/msg/Epoch.msg": "uint64 boot",
    }
    for name, text in files.items():
        write(tmp_path / name, text)
    (tmp_path / "src/vla_bringup/config").symlink_to("../../config")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def changed_packages(root: Path, change: str) -> set[str]:
    before = build.keys(RECIPE, root)
    write(root / change, "changed")
    after = build.keys(RECIPE, root)
    return {name for name in after if after[name] != before.get(name)}


@pytest.mark.parametrize(
    ("change", "package"),
    [
        ("config/robots/hsr/contract.yaml", "vla_bringup"),  # a new file has to be linked
        ("src/vla_core/setup.py", "vla_core"),
        ("src/vla_core/config/core.yaml", "vla_core"),
        ("src/vla_executor/package.xml", "vla_executor"),
        ("src/vla_interfaces/msg/Epoch.msg", "vla_interfaces"),
    ],
)
def test_builds_only_the_package_that_colcon_has_to_read_again(
    root: Path, change: str, package: str
) -> None:
    assert changed_packages(root, change) == {package}


@pytest.mark.parametrize(
    "change", ["src/vla_core/vla_core/plan.py", "config/robots/so101/contract.yaml"]
)
def test_an_edit_of_a_linked_file_needs_no_build(root: Path, change: str) -> None:
    assert changed_packages(root, change) == set()


def test_another_environment_or_colcon_meta_builds_everything(root: Path) -> None:
    humble = main_recipe({"ROS_DISTRO": "humble", "AMENT_PREFIX_PATH": "/opt/ros/humble"})
    everything = set(build.keys(RECIPE, root))
    before, other = build.keys(RECIPE, root), build.keys(humble, root)
    assert {name for name in before if before[name] != other[name]} == everything
    assert changed_packages(root, "colcon.meta") == everything


def test_vendor_interfaces_are_built_only_where_the_installation_lacks_them(root: Path) -> None:
    write(root / "tests/interfaces/control_msgs/package.xml", "<package/>")
    write(root / "tests/interfaces/unitree_api/package.xml", "<package/>")
    vendor = root / "opt" / "ros"
    write(vendor / "share/ament_index/resource_index/packages/control_msgs", "")
    bare = build.keys(RECIPE, root, {})
    equipped = build.keys(RECIPE, root, {"AMENT_PREFIX_PATH": str(vendor)})
    assert {"control_msgs", "unitree_api"} <= set(bare)
    assert set(bare) - set(equipped) == {"control_msgs"}


def test_what_was_built_here_earlier_does_not_count_as_installed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "INSTALL", root / "install")
    write(root / "tests/interfaces/control_msgs/package.xml", "<package/>")
    own = root / "install" / "control_msgs"
    write(own / "share/ament_index/resource_index/packages/control_msgs", "")
    assert "control_msgs" in build.keys(RECIPE, root, {"AMENT_PREFIX_PATH": str(own)})
