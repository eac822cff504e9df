"""What the script concludes from the machine it finds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools import machine
from tools.errors import Refusal
from tools.machine import Interpreter, Need

COMPLETE = Interpreter("/usr/bin/python3.11", "3.11", True, True, True)


def interpreter(version: str, **changes: bool) -> Interpreter:
    found = {"has_headers": True, "has_venv": True, "in_system": True} | changes
    return Interpreter(f"/usr/bin/python{version}", version, **found)


def install(monkeypatch: pytest.MonkeyPatch, *found: Interpreter) -> None:
    """Pretend that these interpreters, and no others, are on the machine."""
    by_path = {python.path: python for python in found}
    monkeypatch.setattr(
        machine, "_candidates", lambda v: [p for p, f in by_path.items() if f.version == v]
    )
    monkeypatch.setattr(machine, "inspect_python", by_path.get)


def test_takes_the_first_supported_python_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, interpreter("3.13"), interpreter("3.12"))
    assert machine.choose_python(machine.SUPPORTED_PYTHONS).version == "3.12"


def test_a_complete_python_wins_over_one_without_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, interpreter("3.11", has_headers=False), interpreter("3.13"))
    assert machine.choose_python(machine.SUPPORTED_PYTHONS).version == "3.13"


def test_an_incomplete_python_is_better_than_none(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, interpreter("3.11", has_headers=False))
    assert machine.choose_python(machine.SUPPORTED_PYTHONS).version == "3.11"


def test_ros_works_only_with_the_python_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, interpreter("3.10", in_system=False))
    with pytest.raises(Refusal, match=r"no Python 3\.10 .* apt-get install python3\.10"):
        machine.choose_python(["3.10"], from_system=True)


def test_an_unsupported_python_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, interpreter("3.9"), interpreter("3.14"))
    with pytest.raises(Refusal, match=r"3\.10, 3\.11, 3\.12 or 3\.13 .* python3-dev"):
        machine.choose_python(machine.SUPPORTED_PYTHONS)


def test_reads_a_real_interpreter() -> None:
    found = machine.inspect_python(sys.executable)
    assert found is not None
    assert found.version == "{}.{}".format(*sys.version_info)
    assert found.has_venv


def test_a_program_that_is_no_python_is_no_candidate() -> None:
    assert machine.inspect_python("/bin/false") is None


@pytest.mark.parametrize("distro", machine.SUPPORTED_ROS)
def test_uses_the_sourced_ros(distro: str) -> None:
    sourced = {"ROS_DISTRO": distro, "AMENT_PREFIX_PATH": f"/opt/ros/{distro}"}
    assert machine.ros_distro(sourced) == distro


def test_without_ros_there_is_no_distro() -> None:
    assert machine.ros_distro({}) is None


def test_an_unknown_ros_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Refusal, match=r"'foxy' is sourced.*humble, jazzy, kilted"):
        machine.ros_distro({"ROS_DISTRO": "foxy", "AMENT_PREFIX_PATH": "/opt/ros/foxy"})


@pytest.mark.parametrize(("system", "processor"), [("Linux", "aarch64"), ("Darwin", "x86_64")])
def test_another_processor_is_refused_by_name(system: str, processor: str) -> None:
    with pytest.raises(Refusal, match=f"{system} on {processor}"):
        machine.check_processor(system, processor)


def test_a_full_disk_is_refused_with_both_figures(tmp_path: Path) -> None:
    machine.check_disk(tmp_path, 6.0, free_bytes=6_000_000_000)
    with pytest.raises(Refusal, match=r"needs 6 GB .* 1\.5 GB free"):
        machine.check_disk(tmp_path, 6.0, free_bytes=1_500_000_000)


def test_a_bare_machine_needs_compiler_headers_venv_and_egl(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine.shutil, "which", lambda tool: None)
    monkeypatch.setattr(machine, "has_egl", lambda: False)
    bare = interpreter("3.12", has_headers=False, has_venv=False)
    packages = {package for need in machine.missing(bare, {}) for package in need.packages}
    assert packages == {
        "build-essential", "cmake", "python3.12-dev", "python3.12-venv",
        "libegl1", "libegl-mesa0", "libgl1-mesa-dri", "libglvnd0", "libopengl0",
    }  # fmt: skip


def test_egl_is_not_needed_by_another_renderer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(machine, "has_egl", lambda: False)
    assert machine.missing(COMPLETE, {"MUJOCO_GL": "osmesa"}) == []
    assert len(machine.missing(COMPLETE, {})) == 1


def test_egl_without_opengl_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_loads", lambda library: library == "libEGL.so.1")
    assert not machine.has_egl()


def test_an_ordinary_user_is_told_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000)
    needs = [Need("a compiler and CMake (cc)", machine.COMPILER_PACKAGES)]
    with pytest.raises(Refusal, match=r"sudo apt-get install build-essential cmake$"):
        machine.provide(needs, COMPLETE)


def test_root_installs_after_saying_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[list[str]] = []

    class Done:
        returncode = 0

    def run(command: list[str], **_: object) -> Done:
        ran.append(command)
        return Done()

    monkeypatch.setattr(machine.os, "geteuid", lambda: 0)
    monkeypatch.setattr(machine.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(machine.subprocess, "run", run)
    machine.provide([Need("EGL", machine.EGL_PACKAGES)], COMPLETE)
    assert "installing as root: apt-get install libegl-mesa0" in capsys.readouterr().out
    assert [command[1] for command in ran] == ["update", "install"]
    assert set(machine.EGL_PACKAGES) <= set(ran[1])


def test_apt_cannot_complete_a_python_that_is_not_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine.os, "geteuid", lambda: 0)
    foreign = interpreter("3.11", has_headers=False, in_system=False)
    with pytest.raises(Refusal, match="does not come from the distribution"):
        machine.provide([Need("headers", ("python3.11-dev",))], foreign)
