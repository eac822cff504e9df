"""``vla stop``: stop the robot; latched by executor and bridges until `vla reset`."""

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
        print(client.stop() or "stop: done")
    return 0
