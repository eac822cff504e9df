"""The environment variables under which everything runs, worked out once and kept.

Sourcing colcon's set-up of fifteen packages takes a second; reading what it changed does not.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools.environment import Recipe
from tools.errors import Refusal
from tools.paths import CACHE, HOME, INSTALL, LOG, ROOT, VENV

KEPT = HOME / "activation.json"
LISTS = (
    "PATH",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "AMENT_PREFIX_PATH",
    "CMAKE_PREFIX_PATH",
    "COLCON_PREFIX_PATH",
    "PKG_CONFIG_PATH",
)


def of_environment(recipe: Recipe, environ: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ`` with the virtual environment in front, and all writing kept inside."""
    env = dict(environ)
    env.pop("PYTHONHOME", None)
    env["VIRTUAL_ENV"] = str(VENV)
    env["VLA_ROOT"] = str(ROOT)
    _prepend(env, "PATH", [str(VENV / "bin")])
    if recipe.has_ros_wheels:
        _prepend(env, "AMENT_PREFIX_PATH", [str(VENV)])
        _prepend(env, "CMAKE_PREFIX_PATH", [str(VENV)])
        # The wheels' own start-up hook would set this and start the interpreter a second time.
        _prepend(env, "LD_LIBRARY_PATH", _library_folders())
        env["_ROS_WHEELS_BOOTSTRAP_COMPLETE"] = "1"
        env["RMW_IMPLEMENTATION"] = "rmw_fastrtps_cpp"  # the only one among the wheels
    env.setdefault("MUJOCO_GL", "egl")
    env.setdefault("ROS_LOG_DIR", str(LOG / "ros"))
    env.setdefault("COLCON_HOME", str(HOME / "colcon"))
    env.setdefault("XDG_CACHE_HOME", str(CACHE))
    env.setdefault("MPLCONFIGDIR", str(CACHE / "matplotlib"))
    env.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(CACHE / "hypothesis"))
    return env


def of_workspace(recipe: Recipe, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the same with our built packages; without a build, without them."""
    env = of_environment(recipe, environ)
    try:
        added = json.loads(KEPT.read_text())
    except (OSError, ValueError):
        return env
    for name, entries in added.items():
        _prepend(env, name, entries)
    return env


def keep(recipe: Recipe, environ: Mapping[str, str]) -> None:
    """Source colcon's set-up once and keep what it put in front of each list."""
    before = of_environment(recipe, environ)
    script = f'. "{INSTALL}/local_setup.bash" >/dev/null && exec env -0'
    answer = subprocess.run(["bash", "-c", script], env=before, capture_output=True, text=True)
    if answer.returncode:
        raise Refusal(f"the build cannot be sourced: {answer.stderr.strip()}. Try: ./vla clean")
    after = dict(line.split("=", 1) for line in answer.stdout.split("\0") if "=" in line)
    added = {name: added_entries(before.get(name, ""), after.get(name, "")) for name in LISTS}
    unfinished = KEPT.with_suffix(f".{os.getpid()}")
    unfinished.write_text(json.dumps({n: e for n, e in added.items() if e}, indent=1))
    unfinished.replace(KEPT)


def added_entries(before: str, after: str) -> list[str]:
    """Return the entries of a search path that were not there before, in order."""
    known = set(before.split(os.pathsep))
    return [entry for entry in after.split(os.pathsep) if entry and entry not in known]


def _prepend(env: dict[str, str], name: str, entries: list[str]) -> None:
    old = [entry for entry in env.get(name, "").split(os.pathsep) if entry]
    env[name] = os.pathsep.join([*entries, *(entry for entry in old if entry not in entries)])


def _library_folders() -> list[str]:
    libraries = sorted(Path(VENV, "lib").glob("python3.*/site-packages/ros_*.libs"))
    return [str(VENV / "lib"), *map(str, libraries)]
