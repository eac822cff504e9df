"""What several commands share: the arguments that name a robot, and words for modes."""

from __future__ import annotations

import argparse

MODES = {
    0: ("inactive", "dim"),
    1: ("idle", "cyan"),
    2: ("running", "green"),
    3: ("degraded", "yellow"),
    4: ("holding", "yellow"),
    5: ("stopped", "red"),
}


def add_robot(parser: argparse.ArgumentParser) -> None:
    """Add ``--robot`` for commands that speak to a running robot."""
    parser.add_argument("--robot", default="", help="which robot; default: the one that runs")


def add_graph(parser: argparse.ArgumentParser) -> None:
    """Add what chooses a graph: robot, backend, policy, and options of a start."""
    parser.add_argument("--robot", default="so101", help="folder in config/robots")
    parser.add_argument("--backend", default="sim", help="what is behind the topics")
    parser.add_argument(
        "--policy", default="", help="file in config/policies; default: the backend's usual one"
    )
    parser.add_argument(
        "--uri", default="", help="where the policy is, instead of what its file says"
    )
    parser.add_argument("--viewer", action="store_true", help="show the simulation in a window")
    parser.add_argument("--seed", type=int, default=0, help="of the first simulated scene")
    parser.add_argument(
        "--latency", type=float, metavar="SECONDS", help="added to each answer of the policy"
    )
    parser.add_argument(
        "--sync", action="store_true", help="stop for each inference, to compare with"
    )
    parser.add_argument(
        "--realsense",
        default="",
        metavar="STREAMS",
        help="image streams of RealSense cameras, such as front or front=SERIAL,wrist=SERIAL",
    )


def mode(number: int) -> str:
    """Return the name of an executor mode."""
    return MODES.get(number, (f"mode {number}", ""))[0]


def mode_markup(number: int) -> str:
    """Return the name of a mode in its colour, for rich."""
    name, colour = MODES.get(number, (f"mode {number}", "red"))
    return f"[{colour}]{name}[/]" if colour else name
