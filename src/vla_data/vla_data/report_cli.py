"""``vla report BAG``: figures, page and film of a recording."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from vla_data.check_cli import add_contract, robot_of


def main(arguments: Sequence[str]) -> int:
    """Make the report and print the table."""
    parser = argparse.ArgumentParser("vla report", description=__doc__)
    parser.add_argument("bag", type=Path)
    parser.add_argument("--output", type=Path, help="folder; default: beside the bag")
    parser.add_argument("--no-video", action="store_true")
    add_contract(parser)
    asked = parser.parse_args(arguments)
    from vla_data.report import make_report, table

    output = asked.output or asked.bag.resolve().parent / f"{asked.bag.resolve().name}_report"
    metrics = make_report(asked.bag, output, video=not asked.no_video, robot=robot_of(asked))
    console = Console(highlight=False)
    console.print(table(metrics))
    console.print(f"written to {output}", soft_wrap=True)
    return 0
