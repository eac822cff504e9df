"""``vla replay BAG``: run the core again on a recording. Exit code 1: it decides otherwise."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from vla_core.contract import load_contract
from vla_data.check_cli import add_contract


def main(arguments: Sequence[str]) -> int:
    """Replay one bag and say where the commands begin to differ."""
    parser = argparse.ArgumentParser("vla replay", description=__doc__)
    parser.add_argument("bag", type=Path)
    add_contract(parser)
    asked = parser.parse_args(arguments)
    from vla_data.replay import replay

    result = replay(asked.bag, load_contract(asked.contract) if asked.contract else None)
    console = Console(highlight=False)
    console.print(f"{result.compared} of {result.recorded} recorded commands came out again")
    if result.moved:
        console.print(f"{result.moved} inputs reached the executor a tick or two off their record")
    if result.difference is not None:
        console.print(f"first difference {result.difference}", markup=False)
    return 0 if result.is_exact else 1
