"""``vla train demo``: record, train, let the expert correct, train on, evaluate.

One command, resumable at every point: what is already there is not done again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from vla_models.demo.pipeline import FULL, QUICK, DemoTraining
from vla_models.files import in_root

DEFAULT_FOLDER = Path(".vla/train/demo")


def main(argv: Sequence[str]) -> int:
    """Run the training that is named; returns 0 when the policy is there and examined."""
    arguments = _parser().parse_args(argv)
    cores = os.cpu_count() or 1
    torch.set_num_threads(arguments.threads or cores)
    folder = in_root(arguments.folder)
    plan = QUICK if arguments.quick else FULL
    if arguments.quick and arguments.folder == DEFAULT_FOLDER:
        folder = folder.with_name("demo-quick")
    DemoTraining(plan, folder, Console(), arguments.workers or cores).run()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("vla train", description=__doc__)
    parser.add_argument("policy", choices=["demo"], help="which policy to train")
    parser.add_argument(
        "--folder", type=Path, default=DEFAULT_FOLDER,
        help="where demonstrations, checkpoints and the result go; run again to resume",
    )  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true", help="test the pipeline in under a minute; learns nothing"
    )
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: all cores")
    parser.add_argument("--workers", type=int, default=0, help="that record; 0: one per core")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
