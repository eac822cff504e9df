"""The steps of ./vla test, fastest first; a red one says which command reproduces it."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools import activation, environment, machine
from tools.environment import Recipe
from tools.errors import Refusal
from tools.paths import LOG, ROOT

PURE = ("vla_core", "vla_hosting", "vla_data", "vla_scenes", "vla_models")
OTHER_PYTHONS = ("3.10", "3.13")
# Pure tests have nothing in common but the processor.
SIDE_BY_SIDE = ("-n", "auto", "--dist", "loadscope", "--no-loadscope-reorder")
HOW_TO_RUN = {
    "slow": "./vla test --all",
    "gpu": "./vla test -m gpu",
    "robot": "./vla test -m robot",
}


def lint(recipe: Recipe, fix: bool = False) -> int:
    """Run ruff, mypy and codespell over the repository; return 0 if all are content."""
    env = activation.of_environment(recipe, os.environ)
    commands = (
        ["ruff", "check", *(["--fix"] if fix else [])],
        ["ruff", "format", *([] if fix else ["--check"])],
        ["mypy"],
        ["codespell", "--toml", "pyproject.toml", *(["--write-changes"] if fix else [])],
    )
    codes = [subprocess.run(command, cwd=ROOT, env=env).returncode for command in commands]
    return max(codes)


@dataclass
class Run:
    """One run of all steps: what passed, what was red, how long each took."""

    recipe: Recipe
    slow: bool
    ensure: Callable[..., None]
    counts: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    red: list[str] = field(default_factory=list)
    times: list[str] = field(default_factory=list)

    def all_steps(self) -> int:
        """Run every step, also after a red one, and return the exit code."""
        started = time.monotonic()
        self.ensure(self.recipe, built=False)
        self._step("lint and types", "./vla lint", lambda: lint(self.recipe) == 0)
        self._core()
        if self._step("colcon build", "./vla build", self._build):
            self._pytest("nodes and system", *self._system_paths())
            if (ROOT / "tests" / "demo").exists():
                self._pytest("demo", "tests/demo")
        return self._close(time.monotonic() - started)

    def _core(self) -> None:
        pure = [f"src/{name}" for name in PURE]
        self._pytest("core", *pure, "tests/tools", built=False, options=SIDE_BY_SIDE)
        for version in OTHER_PYTHONS:
            if version == _version_of(self.recipe):
                continue
            if machine.find_python(version) is None:
                self.notes.append(f"core on Python {version}: not run, no python{version} here")
                continue
            run = functools.partial(self._core_on, version)
            self._step(f"core on Python {version}", "./vla test", run)

    def _core_on(self, version: str) -> bool:
        recipe = environment.core_recipe(version)
        self.ensure(recipe, built=False)
        env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        chosen = ["src/vla_core", "-m", "not once", *SIDE_BY_SIDE]
        return self._run_pytest(recipe.python, chosen, env)

    def _build(self) -> bool:
        try:
            self.ensure(self.recipe)
        except Refusal as refusal:
            print(f"vla: {refusal}")
            return False
        return True

    def _system_paths(self) -> list[str]:
        packages = sorted((ROOT / "src").glob("*/test"))
        paths = [f"src/{p.parent.name}" for p in packages if p.parent.name not in PURE]
        folders = sorted(p for p in (ROOT / "tests").glob("*/") if p.is_dir())
        return paths + [f"tests/{p.name}" for p in folders if p.name not in ("tools", "demo")]

    def _pytest(
        self, title: str, *paths: str, built: bool = True, options: Sequence[str] = ()
    ) -> None:
        make = activation.of_workspace if built else activation.of_environment
        env = make(self.recipe, os.environ)
        found = [path for path in paths if (ROOT / path).exists()]
        slow = ["--all"] if self.slow else []
        run = functools.partial(self._run_pytest, self.recipe.python, [*found, *options], env)
        self._step(title, " ".join(["./vla test", *slow, *found]), run)

    def _run_pytest(self, python: Path, paths: Sequence[str], env: dict[str, str]) -> bool:
        counts = LOG / "test-counts.json"
        counts.parent.mkdir(parents=True, exist_ok=True)
        if counts.exists():
            counts.unlink()
        # A file that cannot be imported is one failure, not the end of the others.
        options = ["--continue-on-collection-errors", "--durations=12"]
        options += ["--all"] if self.slow else []
        command = [str(python), "-m", "pytest", *options, *paths]
        code = subprocess.run(command, cwd=ROOT, env={**env, "VLA_TEST_COUNTS": str(counts)})
        if counts.exists():
            found = json.loads(counts.read_text())
            self.left_out.update(found.pop("left_out"))
            self.counts.update(found)
        return code.returncode == 0

    def _step(self, title: str, reproduce: str, run: Callable[[], bool]) -> bool:
        print(f"\n=== {title} ===", flush=True)
        started = time.monotonic()
        green = run()
        took = time.monotonic() - started
        self.times.append(f"{'ok ' if green else 'RED'}  {title}: {took:.0f} s")
        if not green:
            self.red.append(f"{title} is red; to reproduce: {reproduce}")
            print(f"vla: {self.red[-1]}", flush=True)
        return green

    def _close(self, seconds: float) -> int:
        print("\n=== summary ===")
        left = [
            f"left out: {n} marked {marker} ({HOW_TO_RUN[marker]})"
            for marker, n in self.left_out.items()
            if n
        ]
        for line in [*self.times, *self.notes, *left, *self.red]:
            print(line)
        passed, failed, skipped = (self.counts[k] for k in ("passed", "failed", "skipped"))
        print(f"all steps: {seconds:.0f} s")
        print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
        return 1 if self.red else 0


def _version_of(recipe: Recipe) -> str:
    found = machine.inspect_python(str(recipe.python))
    return found.version if found else ""
