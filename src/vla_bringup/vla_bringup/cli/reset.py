"""``vla reset``: clear a latched stop; the robot moves again only with a new task."""

from __future__ import annotations

import argparse

from vla_bringup.cli.common import add_robot
from vla_bringup.client import Client


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_robot(parser)


def main(arguments: argparse.Namespace) -> int:
    """Ask the router of the robot."""
    with Client(arguments.robot) as client:
        print(client.reset() or "reset: done")
    return 0
