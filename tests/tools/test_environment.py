"""Recipes, lock files, what a failed installation tells, and the paths inside the ROS wheels."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import environment, lock
from tools.paths import REQUIREMENTS
from tools.progress import StepFailed

HUMBLE = {"ROS_DISTRO": "humble", "AMENT_PREFIX_PATH": "/opt/ros/humble"}


def test_without_ros_the_wheels_are_installed() -> None:
    recipe = environment.main_recipe({})
    assert (recipe.lock, recipe.ros) == ("wheels", None)


def test_on_humble_its_python_and_its_packages_are_used() -> None:
    recipe = environment.main_recipe(HUMBLE)
    assert (recipe.lock, recipe.ros, recipe.pythons) == ("system", "humble", ("3.10",))


def test_sourcing_ros_makes_the_environment_out_of_date() -> None:
    assert environment.main_recipe({}).key() != environment.main_recipe(HUMBLE).key()


@pytest.mark.parametrize("path", sorted(REQUIREMENTS.glob("*.lock")), ids=lambda p: p.name)
def test_every_line_of_a_lock_file_is_an_exact_pin(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    pin = re.compile(r'[\w.-]+==[\w.!+]+(; python_version [<>]=? "3\.\d+"( and .+)?)?$')
    assert [line for line in lines if not pin.match(line)] == []
    assert lines == sorted(lines)


@pytest.mark.parametrize("path", sorted(REQUIREMENTS.glob("*.in")), ids=lambda p: p.name)
def test_every_list_of_requirements_is_locked(path: Path) -> None:
    if path.name == "base.in":
        return  # part of wheels.in and system.in
    locked = path.with_suffix(".lock").read_text().lower().replace("_", "-")
    names = [re.split(r"[\[<>=;]", line)[0].lower() for line in lock.read(path)]
    assert [n for n in names if f"\n{n.replace('_', '-')}==" not in locked] == []


def test_numpy_stays_below_two_on_a_ros_installation() -> None:
    assert "\nnumpy==1." in (REQUIREMENTS / "system.lock").read_text()


@pytest.mark.parametrize("name", ["wheels", "system"])
def test_setuptools_stays_below_eighty(name: str) -> None:
    pinned = re.search(r"\nsetuptools==(\d+)", (REQUIREMENTS / f"{name}.lock").read_text())
    assert pinned is not None and int(pinned.group(1)) < 80


def test_a_package_that_one_python_needs_gets_a_marker() -> None:
    pythons = {"3.10": {"tomli": "2.0", "numpy": "1.26"}, "3.13": {"numpy": "2.2"}}
    assert lock.pin_lines("tomli", pythons) == ['tomli==2.0; python_version < "3.13"']
    assert lock.pin_lines("numpy", pythons) == [
        'numpy==1.26; python_version < "3.13"',
        'numpy==2.2; python_version >= "3.13"',
    ]


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("NewConnectionError: Temporary failure in name resolution", "does not answer"),
        ("ERROR: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: No matching distribution found for mujoco==3.3.7", "no mujoco==3.3.7"),
        ("error: something else\nlast line", "last line"),
    ],
)
def test_a_failed_installation_says_what_to_do(output: str, sentence: str) -> None:
    failed = StepFailed("213 packages", 1, output, Path("setup.log"))
    assert sentence in environment.explain_pip(failed)
    assert "setup.log" in environment.explain_pip(failed)


def test_the_wheels_learn_where_this_python_is(tmp_path: Path) -> None:
    made_with = "/opt/python/cp311-cp311"
    export = tmp_path / "share" / "std_msgs" / "cmake" / "export.cmake"
    export.parent.mkdir(parents=True)
    export.write_text(
        f'"{made_with}/include/python3.11;'
        f'{made_with}/lib/python3.11/site-packages/numpy/_core/include"'
    )
    ours = ("/usr/include/python3.11", "/venv/numpy/include")
    assert environment.correct_cmake_paths(tmp_path, ours) == 1
    assert export.read_text() == '"/usr/include/python3.11;/venv/numpy/include"'
    assert environment.correct_cmake_paths(tmp_path, ours) == 0
