"""The variables under which every command runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import activation
from tools.environment import main_recipe
from tools.paths import HOME, VENV

WHEELS = main_recipe({})
HUMBLE = main_recipe({"ROS_DISTRO": "humble", "AMENT_PREFIX_PATH": "/opt/ros/humble"})


def test_the_environment_comes_first_and_the_rest_stays() -> None:
    env = activation.of_environment(WHEELS, {"PATH": "/usr/bin:/bin", "EDITOR": "vi"})
    assert env["PATH"] == f"{VENV}/bin:/usr/bin:/bin"
    assert env["EDITOR"] == "vi"


def test_entering_twice_changes_nothing() -> None:
    once = activation.of_environment(WHEELS, {"PATH": "/usr/bin"})
    assert activation.of_environment(WHEELS, once) == once


def test_the_wheels_do_not_start_the_interpreter_a_second_time() -> None:
    env = activation.of_environment(WHEELS, {})
    assert env["_ROS_WHEELS_BOOTSTRAP_COMPLETE"] == "1"
    assert str(VENV / "lib") in env["LD_LIBRARY_PATH"].split(":")


def test_an_installed_ros_keeps_its_own_prefixes() -> None:
    env = activation.of_environment(HUMBLE, {"AMENT_PREFIX_PATH": "/opt/ros/humble"})
    assert env["AMENT_PREFIX_PATH"] == "/opt/ros/humble"
    assert "LD_LIBRARY_PATH" not in env


def test_what_is_written_stays_in_the_checkout_unless_the_user_chose() -> None:
    env = activation.of_environment(WHEELS, {"ROS_LOG_DIR": "/var/log/ros"})
    assert env["ROS_LOG_DIR"] == "/var/log/ros"
    for name in ("XDG_CACHE_HOME", "COLCON_HOME", "MPLCONFIGDIR", "HYPOTHESIS_STORAGE_DIRECTORY"):
        assert Path(env[name]).is_relative_to(HOME), name


def test_built_packages_come_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "activation.json"
    kept.write_text(json.dumps({"AMENT_PREFIX_PATH": ["/install/a", "/install/b"]}))
    monkeypatch.setattr(activation, "KEPT", kept)
    env = activation.of_workspace(WHEELS, {})
    assert env["AMENT_PREFIX_PATH"] == f"/install/a:/install/b:{VENV}"


def test_finds_what_sourcing_added() -> None:
    assert activation.added_entries("/usr/bin:/bin", "/new:/usr/bin:/other:/bin") == [
        "/new",
        "/other",
    ]
