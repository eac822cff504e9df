"""The commands of the script `vla`: one table, and what setting up comes before each."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import activation, build, environment, stamps, testing
from tools.environment import Recipe
from tools.errors import Refusal
from tools.paths import HOME, LOCK, ROOT

INTERRUPTED = 130


@dataclass(frozen=True)
class Command:
    """One line of the help; ``here`` tells whether tools/ answers it, or vla_bringup."""

    name: str
    summary: str
    here: bool = False


COMMANDS = (
    Command("demo", "simulated SO-101 does six tasks; prints the metrics, saves video and bag"),
    Command("up", "start the process graph: robot:=so101 backend:=sim policy:=demo"),
    Command("task", 'do a task: ./vla task "pick up the red cube"'),
    Command("stop", "stop the robot now; latched until reset"),
    Command("reset", "clear a stop; nothing moves until the next task"),
    Command("top", "live view of the executor's state"),
    Command("tune", "propose horizon, threshold and join for a latency, with a plot"),
    Command("doctor", "check environment, DDS, rendering, contract and clocks; say what to do"),
    Command("calibrate", "calibrate an SO-101 arm; --help tells more"),
    Command("record", "record bags with all that replay and training need"),
    Command("replay", "play a bag through the core and compare the commands"),
    Command("convert", "bags to a LeRobot dataset and back"),
    Command("check", "judge the commands in a bag: limits, steps, jerk"),
    Command("report", "metrics, plots and video of a bag"),
    Command("train", "train a policy"),
    Command("serve", "serve a policy over WebSocket"),
    Command("eval", "measure a policy over seeded episodes"),
    Command("setup", "make the environment and build; --extra lerobot adds heavy packages", True),
    Command("build", "build the workspace if something changed", True),
    Command("test", "lint, types, tests, demo; --all adds the slow ones", True),
    Command("lint", "ruff, mypy and codespell; --fix repairs what can be repaired", True),
    Command("shell", "run a command in the environment, or a shell", True),
    Command("clean", "remove all that the script made; --build only the build", True),
)
BY_NAME = {command.name: command for command in COMMANDS}


def main(arguments: Sequence[str]) -> int:
    """Run one command line; every expected failure is one sentence and exit code 1."""
    try:
        return _dispatch(list(arguments))
    except Refusal as refusal:
        print(f"vla: {refusal}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nvla: interrupted; a set-up goes on from here next time.", file=sys.stderr)
        return INTERRUPTED


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in BY_NAME:
        raise Refusal(f"no command '{name}'. There are: {', '.join(BY_NAME)}.")
    if BY_NAME[name].here:
        return _HANDLERS[name](rest)
    return _pass_on(name, rest)


def overview() -> str:
    lines = [f"  {command.name:<9} {command.summary}" for command in COMMANDS]
    return "\n".join(
        ["usage: ./vla <command> [options]        ./vla <command> --help tells more", "", *lines]
    )


def _pass_on(name: str, rest: list[str]) -> int:
    """Run a command of the stack, in the environment, in place of this process."""
    recipe = environment.main_recipe(os.environ)
    asks_help = any(word in ("-h", "--help") for word in rest)
    if asks_help and not (environment.is_ready(recipe) and build.is_current(recipe)):
        print(f"./vla {name}: {BY_NAME[name].summary}\nIts options are shown after: ./vla setup")
        return 0
    ensure(recipe)
    return _become([str(recipe.python), "-m", "vla_bringup.cli", name, *rest], recipe)


def ensure(recipe: Recipe, built: bool = True) -> None:
    """Bring the environment, and the build, up to date; quick when they are."""
    if environment.is_ready(recipe) and (not built or build.is_current(recipe)):
        return
    started = time.monotonic()
    with stamps.exclusive():
        if not environment.is_ready(recipe):
            environment.prepare(recipe, os.environ)
        if built and not build.is_current(recipe):
            build.build(recipe, os.environ)
    print(f"vla: ready after {time.monotonic() - started:.0f} s", flush=True)


def _become(command: list[str], recipe: Recipe) -> int:
    """Replace this process, so that signals and exit codes are the command's own."""
    env = activation.of_workspace(recipe, os.environ)
    sys.stdout.flush()
    try:
        os.execvpe(command[0], command, env)
    except FileNotFoundError:
        raise Refusal(f"no program '{command[0]}' in the environment.") from None


def _parser(name: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"./vla {name}", description=BY_NAME[name].summary)


def _setup(rest: list[str]) -> int:
    parser = _parser("setup")
    parser.add_argument(
        "--extra", action="append", default=[], choices=sorted(environment.EXTRAS),
        help="packages too heavy for everybody, in an environment of their own",
    )  # fmt: skip
    options = parser.parse_args(rest)
    ensure(environment.main_recipe(os.environ))
    for name in options.extra:
        recipe = environment.EXTRAS[name]
        ensure(recipe, built=False)
        print(f"{name}: {recipe.python}")
    return 0


def _build(rest: list[str]) -> int:
    _parser("build").parse_args(rest)
    ensure(environment.main_recipe(os.environ))
    return 0


def _test(rest: list[str]) -> int:
    parser = _parser("test")
    parser.add_argument("--all", action="store_true", help="also what is marked slow")
    parser.add_argument("pytest", nargs="*", help="paths and options: pytest alone, with these")
    options, more = parser.parse_known_args(rest)
    chosen = [word for word in rest if word != "--all"]
    recipe = environment.main_recipe(os.environ)
    if options.pytest or more:
        ensure(recipe)
        slow = ["--all"] if options.all else []
        return _become([str(recipe.python), "-m", "pytest", *slow, *chosen], recipe)
    return testing.Run(recipe, slow=options.all, ensure=ensure).all_steps()


def _lint(rest: list[str]) -> int:
    parser = _parser("lint")
    parser.add_argument("--fix", action="store_true", help="repair and format in place")
    options = parser.parse_args(rest)
    recipe = environment.main_recipe(os.environ)
    ensure(recipe, built=False)
    return testing.lint(recipe, fix=options.fix)


def _shell(rest: list[str]) -> int:
    if rest[:1] in (["-h"], ["--help"]):
        print(f"usage: ./vla shell [command ...]\n\n{BY_NAME['shell'].summary}")
        return 0
    recipe = environment.main_recipe(os.environ)
    ensure(recipe)
    return _become(rest or [os.environ.get("SHELL", "bash")], recipe)


def _clean(rest: list[str]) -> int:
    parser = _parser("clean")
    parser.add_argument("--build", action="store_true", help="keep the environment and the data")
    options = parser.parse_args(rest)
    if not HOME.exists():
        return 0
    with stamps.exclusive():
        if options.build:
            build.remove()
            return 0
        for path in HOME.iterdir():
            if path != LOCK:
                _remove(path)
    shutil.rmtree(HOME)
    for cache in list(ROOT.rglob("__pycache__")):
        shutil.rmtree(cache, ignore_errors=True)
    return 0


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


_HANDLERS = {
    "setup": _setup,
    "build": _build,
    "test": _test,
    "lint": _lint,
    "shell": _shell,
    "clean": _clean,
}
