"""Builds the workspace with colcon into .vla/, only when something changed that needs it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools import activation, progress, stamps
from tools.environment import Recipe
from tools.errors import Refusal
from tools.paths import BUILD, HOME, INSTALL, LOG, ROOT

STEP = "build"
# A symlinked Python package shows edits at once; these are read only when it is built.
BUILD_FILES = ("package.xml", "setup.py", "setup.cfg", "CMakeLists.txt", "COLCON_IGNORE")
INSTALLED_FOLDERS = ("launch", "config")


def key(recipe: Recipe, root: Path = ROOT) -> str:
    """Name all that a build depends on: the environment and the sources colcon reads."""
    return stamps.key_of([recipe.key(), *_inputs(root)])


def _inputs(root: Path) -> Iterator[str]:
    for name in INSTALLED_FOLDERS:
        yield from _names(root / name)
    meta = root / "colcon.meta"
    yield meta.read_text() if meta.exists() else ""
    for package in sorted((root / "src").iterdir()):
        for name in BUILD_FILES:
            file = package / name
            if file.exists():
                yield f"{package.name}/{name}"
                yield file.read_text()
        for name in INSTALLED_FOLDERS:
            yield from _names(package / name)
        if (package / "CMakeLists.txt").exists():
            yield from _contents(package)


def _names(folder: Path) -> list[str]:
    """Return the files below ``folder``: they are linked one by one, so only names count."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if "__pycache__" not in path.parts)


def _contents(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in {".msg", ".srv", ".action", ".hpp", ".cpp", ".py"}:
            yield str(path)
            yield path.read_text()


def is_current(recipe: Recipe) -> bool:
    return stamps.is_done(STEP, key(recipe)) and activation.KEPT.exists()


def build(recipe: Recipe, environ: Mapping[str, str]) -> None:
    """Run colcon and keep the environment that its set-up makes.

    Raises:
        Refusal: a package does not build; the sentence has the end of what the compiler said.
    """
    wanted = key(recipe)
    stamps.forget(STEP)
    env = activation.of_environment(recipe, environ)
    env["PYTHONWARNINGS"] = "ignore"  # setuptools on `setup.py develop`, once per package
    packages = len(list((ROOT / "src").glob("*/package.xml")))
    title = f"colcon build of {packages} packages"
    try:
        progress.run(title, _command(recipe), LOG / "build.log", env)
    except progress.StepFailed as failed:
        raise Refusal(f"{failed}. Its last words:\n{failed.tail(40)}\nLog: {failed.log}") from None
    activation.keep(recipe, environ)
    stamps.mark_done(STEP, wanted)


def _command(recipe: Recipe) -> list[str]:
    python = str(recipe.python)
    # `-m colcon`, not `colcon`: the nodes get the interpreter that builds them.
    return [
        python, "-m", "colcon", "--log-base", str(LOG / "colcon"),
        "build", "--symlink-install",
        "--base-paths", str(ROOT / "src"),
        "--build-base", str(BUILD), "--install-base", str(INSTALL),
        "--metas", str(ROOT / "colcon.meta"),
        "--parallel-workers", str(os.cpu_count() or 1),
        "--cmake-args", "-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={python}",
    ]  # fmt: skip


def remove() -> None:
    """Take away what colcon made, and nothing else."""
    stamps.forget(STEP)
    for folder in (BUILD, INSTALL, LOG / "colcon"):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (activation.KEPT, HOME / "log" / "build.log"):
        if file.exists():
            file.unlink()
