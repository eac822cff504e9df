"""``vla convert BAG... --output FOLDER``: rosbag2 to a LeRobot v3.0 dataset."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from vla_core.errors import ConfigurationError
from vla_data.recording import Recording
from vla_data.records import NS, Task


def main(arguments: Sequence[str]) -> int:
    """Convert some bags to one dataset."""
    parser = argparse.ArgumentParser("vla convert", description=__doc__)
    parser.add_argument("bags", type=Path, nargs="+", metavar="BAG")
    parser.add_argument("--output", type=Path, required=True, help="folder of the dataset")
    parser.add_argument("--fps", type=int, default=20, help="frames per second (20)")
    parser.add_argument("--png", action="store_true", help="images as PNG, exact, not as video")
    parser.add_argument(
        "--late",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="count samples that arrived so much after their frame (0: as live)",
    )
    parser.add_argument(
        "--successes", type=Path, metavar="FILE", help="metrics.json: only tasks that succeeded"
    )
    asked = parser.parse_args(arguments)
    from vla_data.convert import convert

    wanted = successes(asked.successes) if asked.successes else (lambda task: True)
    recordings = [Recording(bag) for bag in asked.bags]
    done = convert(
        recordings, asked.output, asked.fps, not asked.png, round(asked.late * NS), wanted
    )
    console = Console(highlight=False)
    console.print(f"{done.episodes} episodes, {done.frames} frames in {asked.output}")
    for sentence in done.left_out:
        console.print(f"left out: {sentence}", markup=False, soft_wrap=True)
    return 0 if done.episodes else 1


def successes(metrics: Path) -> Callable[[Task], bool]:
    """Return what tells tasks that succeeded, from the metrics of a run.

    Raises:
        ConfigurationError: the file is not what a report writes.
    """
    try:
        episodes = json.loads(metrics.read_text())["per_episode"]
        ids = {episode["task_id"] for episode in episodes if episode["success"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{metrics} is not a metrics.json of a report: {error}"
        ) from error
    return lambda task: task.task_id in ids
