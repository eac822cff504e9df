"""``vla eval``: success of a policy in lockstep episodes, faster than real time, without ROS."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TaskID

from vla_core.ports import Policy
from vla_models.evaluation import CONDITIONS, Condition, Score, Setting, Trial, evaluate, score
from vla_models.files import in_root, root
from vla_models.nano.adapter import load
from vla_models.progress import progress_bar


def main(argv: Sequence[str]) -> int:
    """Evaluate a checkpoint folder; returns 0."""
    arguments = _parser().parse_args(argv)
    names = arguments.condition or [c.name for c in CONDITIONS]
    conditions = [c for c in CONDITIONS if c.name in names]
    policy = load(in_root(arguments.folder), arguments.threads)
    result = examine(policy, arguments.seeds, conditions)
    if arguments.json:
        write_result(result, arguments.json)
    return 0


def examine(
    policy: Policy, seeds: int, conditions: Sequence[Condition] = CONDITIONS
) -> dict[str, Any]:
    """Run the conditions with a progress bar, print each score, return everything for JSON."""
    console = Console()
    setting = Setting.of(root())
    scores: list[Score] = []
    trials: list[Trial] = []
    for condition in conditions:
        with progress_bar(console) as bar:
            task = bar.add_task(f"evaluate {condition.name}", total=6 * seeds, note="")
            found = evaluate(policy, setting, condition, seeds, _advance(bar, task))
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


def _advance(bar: Progress, task: TaskID) -> Callable[[Trial], None]:
    return lambda _: bar.advance(task)


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
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: cores minus one")
    parser.add_argument("--json", type=Path, help="write scores and trials here")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
