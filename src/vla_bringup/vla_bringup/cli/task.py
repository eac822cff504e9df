"""``vla task "put the red cube on the yellow pad"``: one instruction, with live progress."""

from __future__ import annotations

import argparse

from rich.console import Console

from vla_bringup.cli.common import add_robot
from vla_bringup.cli.progress import ProgressLine
from vla_bringup.client import Client


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("instruction", help="what to do, in words")
    parser.add_argument("--policy", default="", help="which policy; default: the router decides")
    parser.add_argument("--time-limit", type=float, default=0.0, metavar="SECONDS")
    add_robot(parser)


def main(arguments: argparse.Namespace) -> int:
    """Run the task; 0 unless it failed or was judged unsuccessful."""
    console = Console()
    with Client(arguments.robot) as client, ProgressLine(console) as line:
        try:
            outcome = client.run_task(
                arguments.instruction, arguments.policy, arguments.time_limit, line.update
            )
        except KeyboardInterrupt:
            line.finish("canceled")
            raise
        verdict = {True: "succeeded", False: "did not succeed", None: "nobody judged"}
        line.finish(f"{outcome.how}, {verdict[outcome.success]}: {outcome.message}")
    return 0 if outcome.how == "completed" and outcome.success is not False else 1
