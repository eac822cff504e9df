"""Builds the workspace with colcon into .vla/, only when something changed that needs it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools import activation, progress, stamps
from tools.environment import Recipe
from tools.errors import Refusal
from tools.paths import BUILD, INSTALL, LOG, ROOT, STAMPS

DONE = STAMPS / "built"  # one stamp per package
# A symlinked Python package shows edits at once; these are read only when it is built.
BUILD_FILES = ("package.xml", "setup.py", "setup.cfg", "CMakeLists.txt")
INSTALLED_FOLDERS = ("launch", "config")
# Vendors' interfaces, field by field, for machines that lack the vendor's own packages.
STAND_INS = Path("tests", "interfaces")


def keys(
    recipe: Recipe, root: Path = ROOT, environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Name, for each package, all that its build depends on."""
    meta = root / "colcon.meta"
    common = [recipe.key(), meta.read_text() if meta.exists() else ""]
    packages = sorted(path.parent for path in (root / "src").glob("*/package.xml"))
    packages += stand_ins(recipe, root, os.environ if environ is None else environ)
    return {p.name: stamps.key_of([*common, *_inputs(p)]) for p in packages}


def stand_ins(recipe: Recipe, root: Path, environ: Mapping[str, str]) -> list[Path]:
    """Return the folders of vendors' interfaces that this installation does not have itself."""
    prefixes = activation.of_environment(recipe, environ).get("AMENT_PREFIX_PATH", "")
    installed = {
        marker.name
        for prefix in map(Path, filter(None, prefixes.split(os.pathsep)))
        if INSTALL not in (prefix, *prefix.parents)  # what we built earlier does not count
        for marker in (prefix / "share" / "ament_index" / "resource_index" / "packages").glob("*")
    }
    found = sorted(path.parent for path in (root / STAND_INS).glob("*/package.xml"))
    return [folder for folder in found if folder.name not in installed]


def _inputs(package: Path) -> Iterator[str]:
    for name in BUILD_FILES:
        file = package / name
        if file.exists():
            yield f"{name}\n{file.read_text()}"
    # vla_bringup links to the top-level folders of these names.
    for name in INSTALLED_FOLDERS:
        yield from _names(package / name)
    if (package / "CMakeLists.txt").exists():
        yield from _contents(package)


def _names(folder: Path) -> list[str]:
    """Return the files below ``folder``: they are linked one by one, so only names count."""
    found = (path for path in folder.rglob("*") if path.is_file())
    names = (str(path.relative_to(folder)) for path in found if "__pycache__" not in path.parts)
    return [f"{folder.name}/{name}" for name in sorted(names)]


def _contents(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in {".msg", ".srv", ".action", ".hpp", ".cpp", ".py"}:
            yield f"{path.relative_to(folder)}\n{path.read_text()}"


def outdated(recipe: Recipe) -> list[str]:
    """Return the packages that have to be built."""
    return [name for name, key in keys(recipe).items() if not stamps.is_done(name, key, DONE)]


def is_current(recipe: Recipe) -> bool:
    return activation.KEPT.exists() and not outdated(recipe)


def build(recipe: Recipe, environ: Mapping[str, str]) -> None:
    """Run colcon and keep the environment that its set-up makes.

    Raises:
        Refusal: a package does not build; the sentence has the end of what the compiler said.
    """
    wanted = keys(recipe, environ=environ)
    if any(stamp.name not in wanted for stamp in DONE.glob("[!.]*")):
        remove()  # a package is gone, or installed now, and has to go from the build
    packages = outdated(recipe)
    for name in packages:
        stamps.forget(name, DONE)
    if packages:
        _run_colcon(packages, recipe, environ)
    activation.keep(recipe, environ)
    for name in packages:
        stamps.mark_done(name, wanted[name], DONE)


def _run_colcon(packages: list[str], recipe: Recipe, environ: Mapping[str, str]) -> None:
    env = activation.of_environment(recipe, environ)
    env["PYTHONWARNINGS"] = "ignore"  # setuptools on `setup.py develop`, once per package
    what = " ".join(packages) if len(packages) < 4 else f"{len(packages)} packages"
    title = f"colcon build of {what}"
    try:
        progress.run(title, _command(packages, recipe), LOG / "build.log", env)
    except progress.StepFailed as failed:
        raise Refusal(f"{failed}. Its last words:\n{failed.tail(40)}\nLog: {failed.log}") from None


def _command(packages: list[str], recipe: Recipe) -> list[str]:
    python = str(recipe.python)
    # `-m colcon`, not `colcon`: the nodes get the interpreter that builds them.
    return [
        python, "-m", "colcon", "--log-base", str(LOG / "colcon"),
        "build", "--symlink-install",
        "--base-paths", str(ROOT / "src"), str(ROOT / STAND_INS), "--packages-select", *packages,
        "--build-base", str(BUILD), "--install-base", str(INSTALL),
        "--metas", str(ROOT / "colcon.meta"),
        "--parallel-workers", str(os.cpu_count() or 1),
        "--cmake-args", "-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={python}",
    ]  # fmt: skip


def remove() -> None:
    """Take away what colcon made, and nothing else."""
    for folder in (DONE, BUILD, INSTALL, LOG / "colcon"):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (activation.KEPT, LOG / "build.log"):
        if file.exists():
            file.unlink()
