"""``vla eval``: success of a policy in lockstep episodes, faster than real time, without ROS."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from vla_models.evaluation import CONDITIONS, Condition, Examiner, Score, Setting, Trial, score
from vla_models.files import in_root, root
from vla_models.nano.adapter import load
from vla_models.nano.checkpoint import load_checkpoint
from vla_models.progress import progress_bar
from vla_scenes.tasks import TASKS


def main(argv: Sequence[str]) -> int:
    """Evaluate a checkpoint folder; returns 0."""
    arguments = _parser().parse_args(argv)
    names = arguments.condition or [c.name for c in CONDITIONS]
    conditions = [c for c in CONDITIONS if c.name in names]
    workers = arguments.workers or os.cpu_count() or 1
    result = examine(in_root(arguments.folder), arguments.seeds, conditions, workers)
    if arguments.json:
        write_result(result, arguments.json)
    return 0


def examine(
    folder: Path, seeds: int, conditions: Sequence[Condition] = CONDITIONS, workers: int = 1
) -> dict[str, Any]:
    """Try a checkpoint folder's policy on some processes, print scores, return all for JSON.

    Raises:
        ConfigurationError: the checkpoint is missing or damaged.
    """
    load_checkpoint(folder)  # refused here, not by every worker
    setting, console = Setting.of(root()), Console()
    trials: list[Trial] = []
    scores: list[Score] = []
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _prepare, (folder, setting)) as pool:
        for condition in conditions:
            jobs = [(condition, number) for number in range(seeds * len(TASKS))]
            with progress_bar(console) as bar:
                task = bar.add_task(f"evaluate {condition.name}", total=len(jobs), note="")
                found = []
                for trial in pool.imap(_try, jobs):
                    found.append(trial)
                    bar.advance(task)
            trials += found
            scores.append(score(found))
            console.print(sentence(scores[-1]), highlight=False)
    return {
        "what": "lockstep episodes on unseen seeds, six tasks in turn, wordings in turn",
        "horizon_rows": setting.horizon_rows,
        "join": setting.execution.join,
        "scores": [asdict(s) for s in scores],
        "trials": [asdict(t) for t in trials],
    }


_examiner: Examiner | None = None  # of a worker process


def _prepare(folder: Path, setting: Setting) -> None:
    """Make this process a worker; Ctrl-C is its parent's business."""
    global _examiner
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _examiner = Examiner(load(folder, threads=1), setting)


def _try(job: tuple[Condition, int]) -> Trial:
    assert _examiner is not None
    return _examiner.trial(*job)


def sentence(found: Score) -> str:
    """Return a score for people."""
    return (
        f"{found.condition}: {found.successes}/{found.episodes} "
        f"(95 % interval {found.low:.2f} to {found.high:.2f}), "
        f"median {found.median_duration_s:.1f} s"
    )


def write_result(result: dict[str, Any], path: Path) -> None:
    """Write what `examine` returned."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "vla eval", description="Success of a policy in lockstep episodes, without ROS."
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("models/demo"), help="checkpoint folder"
    )
    parser.add_argument("--seeds", type=int, default=10, help="unseen seeds per task")
    parser.add_argument(
        "--condition", action="append", choices=[c.name for c in CONDITIONS],
        help="only this one; may be repeated",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, default=0, help="processes; 0: one per core")
    parser.add_argument("--json", type=Path, help="write scores and trials here")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
