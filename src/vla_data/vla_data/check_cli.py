"""``vla check BAG``: is every limit kept, does every tick have a plan? Exit code 1: no."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from vla_core.errors import ConfigurationError
from vla_data.checker import check
from vla_data.recording import Recording
from vla_data.robot import Robot, read_robot_files


def main(arguments: Sequence[str]) -> int:
    """Judge one bag and print the verdict."""
    parser = argparse.ArgumentParser("vla check", description=__doc__)
    parser.add_argument("bag", type=Path)
    add_contract(parser)
    parser.add_argument("--all", action="store_true", help="print every violation, not ten")
    asked = parser.parse_args(arguments)
    recording = Recording(asked.bag, robot_of(asked))
    verdict = check(recording)
    if not verdict.commands:
        sought = sorted(receiver.topic for receiver in recording.robot.receivers.values())
        raise ConfigurationError(
            f"bag {asked.bag} has no command of robot '{recording.robot.name}', so nothing was "
            f"judged. Looked for {sought}; the bag has {recording.topics}."
        )
    console = Console(highlight=False)
    kinds = ", ".join(f"{number} of {kind}" for kind, number in verdict.by_kind.items())
    console.print(f"commands    {verdict.commands}")
    console.print(f"starved     {verdict.execution.starved} of {verdict.execution.ticks} ticks")
    console.print(f"violations  {len(verdict.violations)}{f' ({kinds})' if kinds else ''}")
    for violation in verdict.violations[: None if asked.all else 10]:
        console.print(f"  {violation}", markup=False, soft_wrap=True)
    return 0 if verdict.passed else 1


def add_contract(parser: argparse.ArgumentParser) -> None:
    """Declare the option that names another contract than the recorded one."""
    parser.add_argument(
        "--contract", type=Path, nargs="+", metavar="FILE", help="instead of the recorded one"
    )


def robot_of(asked: argparse.Namespace) -> Robot | None:
    """Return the robot of the named contract; None: the recorded one."""
    return read_robot_files(asked.contract) if asked.contract else None
