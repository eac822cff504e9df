"""What this machine has and lacks: Python, ROS, compiler, rendering libraries, disk."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.errors import Refusal

# The order in which we would choose: the most tried first.
SUPPORTED_PYTHONS = ("3.11", "3.12", "3.10", "3.13")
SUPPORTED_ROS = {"humble": "3.10", "jazzy": "3.12", "kilted": "3.12"}

# What a probe needs, and the Debian and Ubuntu packages that bring it.
COMPILER_PACKAGES = ("build-essential", "cmake")
EGL_PACKAGES = ("libegl1", "libegl-mesa0", "libgl1-mesa-dri", "libglvnd0", "libopengl0")
EGL_VENDOR_FOLDERS = ("/usr/share/glvnd/egl_vendor.d", "/etc/glvnd/egl_vendor.d")


@dataclass(frozen=True)
class Interpreter:
    """A Python on this machine and what is beside it."""

    path: str
    version: str  # "3.11"
    has_headers: bool
    has_venv: bool
    in_system: bool  # from the distribution, so apt can complete it


@dataclass(frozen=True)
class Need:
    """Something that is missing, and the packages that bring it."""

    what: str
    packages: Sequence[str]


def ros_distro(environ: Mapping[str, str]) -> str | None:
    """Return the sourced ROS 2 release, None without one."""
    distro = environ.get("ROS_DISTRO")
    # The PyPI wheels set no ROS_DISTRO; a real installation comes with its prefix.
    if not distro or not environ.get("AMENT_PREFIX_PATH"):
        return None
    if distro not in SUPPORTED_ROS:
        raise Refusal(
            f"ROS 2 '{distro}' is sourced, but this stack knows {', '.join(SUPPORTED_ROS)}. "
            "Source one of those, or start from a shell without ROS to use the PyPI wheels."
        )
    return distro


def check_processor(system: str = platform.system(), machine: str = platform.machine()) -> None:
    """Refuse what ROS and torch have no binaries for."""
    if system != "Linux" or machine not in ("x86_64", "AMD64"):
        raise Refusal(
            f"this stack runs on Linux on x86-64, but this machine is {system} on {machine}. "
            "Run it in a container or on another machine; the robot only needs the network."
        )


def check_disk(folder: Path, needed_gb: float, free_bytes: int | None = None) -> None:
    """Refuse a disk that the environment would fill."""
    if free_bytes is None:
        free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_gb * 1e9:
        raise Refusal(
            f"setting up needs {needed_gb:g} GB of disk, but {folder} has "
            f"{free_bytes / 1e9:.1f} GB free. Free some, or clone to a larger disk."
        )


def find_python(version: str) -> str | None:
    """Return the path of a working interpreter of ``version`` ("3.11"), None without one."""
    for path in _candidates(version):
        found = inspect_python(path)
        if found and found.version == version:
            return found.path
    return None


def choose_python(wanted: Iterable[str], from_system: bool = False) -> Interpreter:
    """Return the best interpreter for the environment: complete ones first, then the order.

    A ROS installation works only with the Python of its distribution: ``from_system``.
    """
    wanted = tuple(wanted)
    incomplete = None
    for version in wanted:
        for path in _candidates(version):
            found = inspect_python(path)
            if found is None or found.version != version:
                continue
            if from_system and not found.in_system:
                continue
            if found.has_headers and found.has_venv:
                return found
            incomplete = incomplete or found
    if incomplete is None:
        # Without a number, the distribution's own: Debian 12, Ubuntu 22.04 and 24.04 have one.
        name = "python" + (wanted[0] if len(wanted) == 1 else "3")
        raise Refusal(
            f"no Python {_list(wanted)} on this machine; the script runs on "
            f"{platform.python_version()}. Install one, with its headers: "
            f"apt-get install {name} {name}-venv {name}-dev"
        )
    return incomplete


def _candidates(version: str) -> list[str]:
    """Return where an interpreter of ``version`` may be, each path once."""
    found = [sys.executable] if version == "{}.{}".format(*sys.version_info) else []
    found += [os.path.join(p, f"python{version}") for p in os.get_exec_path()]
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    found += [str(p) for p in sorted(pyenv.glob(f"{version}.*/bin/python{version}"))]
    # pyenv's shims answer for versions that are not chosen, and start slowly.
    return [p for p in dict.fromkeys(found) if os.access(p, os.X_OK) and "/shims/" not in p]


_INSPECT = """
import importlib.util, os, sys, sysconfig
has = lambda name: importlib.util.find_spec(name) is not None
base = os.path.join(sys.base_prefix, "bin", "python%d.%d" % sys.version_info[:2])
print(base if os.path.exists(base) else sys.executable)
print("%d.%d" % sys.version_info[:2])
print(os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))
print(has("venv") and has("ensurepip"))
print(sys.base_prefix == "/usr")
"""


def inspect_python(path: str) -> Interpreter | None:
    """Ask an interpreter what it is; None if it does not answer."""
    try:
        answer = subprocess.run(
            [path, "-I", "-S", "-c", _INSPECT],
            capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip
        real, version, headers, venv, system = answer.stdout.split("\n")[:5]
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Interpreter(real, version, headers == "True", venv == "True", system == "True")


def missing(python: Interpreter, environ: Mapping[str, str]) -> list[Need]:
    """Return what has to be installed on the machine before the environment can be made."""
    needs = []
    tools = [tool for tool in ("cc", "c++", "make", "cmake") if shutil.which(tool) is None]
    if tools:
        needs.append(Need(f"a compiler and CMake ({', '.join(tools)})", COMPILER_PACKAGES))
    if not python.has_headers:
        needs.append(Need(f"the headers of {python.path}", (f"python{python.version}-dev",)))
    if not python.has_venv:
        needs.append(Need(f"the venv module of {python.path}", (f"python{python.version}-venv",)))
    # Another renderer is the user's decision: glfw, osmesa or none.
    if environ.get("MUJOCO_GL", "egl") == "egl" and not has_egl():
        needs.append(Need("the EGL libraries that render without a screen", EGL_PACKAGES))
    return needs


def has_egl() -> bool:
    """Tell whether EGL loads and has a driver behind it: Mesa's with its DRI part, or a GPU's."""
    # PyOpenGL calls OpenGL itself through the second, or through the older third.
    if not _loads("libEGL.so.1") or not (_loads("libOpenGL.so.0") or _loads("libGL.so.1")):
        return False
    vendors = [file.name for d in EGL_VENDOR_FOLDERS for file in Path(d).glob("*.json")]
    if any("mesa" not in name for name in vendors):
        return True
    software = list(Path("/usr/lib").glob("*/dri/*swrast*_dri.so"))
    return bool(vendors and software)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def provide(needs: Sequence[Need], python: Interpreter) -> None:
    """Install what is missing as root, after saying so; refuse otherwise."""
    if not needs:
        return
    packages = sorted({package for need in needs for package in need.packages})
    what = " and ".join(need.what for need in needs)
    command = "apt-get install " + " ".join(packages)
    by_hand = not python.in_system and not (python.has_headers and python.has_venv)
    if by_hand:
        raise Refusal(
            f"{what} missing. {python.path} does not come from the distribution: install it "
            f"again with its headers and venv, or use the distribution's: {command} "
            f"python{python.version}"
        )
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Refusal(f"{what} missing. Install on Debian or Ubuntu with: sudo {command}")
    print(f"{what} missing; installing as root: {command}", flush=True)
    quiet = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for arguments in (["update", "-qq"], ["install", "-y", "--no-install-recommends", *packages]):
        if subprocess.run(["apt-get", *arguments], env=quiet, stdin=subprocess.DEVNULL).returncode:
            raise Refusal(
                f"apt-get {arguments[0]} failed (its message is above). "
                f"Check the network, then: {command}"
            )


def _as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _list(versions: Iterable[str]) -> str:
    ordered = sorted(versions, key=_as_numbers)
    return ordered[0] if len(ordered) == 1 else f"{', '.join(ordered[:-1])} or {ordered[-1]}"
