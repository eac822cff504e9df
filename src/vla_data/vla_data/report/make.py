"""Writes everything that a run leaves for people: figures, page, film."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from vla_data.recording import Recording
from vla_data.report.film import make_film
from vla_data.report.metrics import Episode, Metrics, compute
from vla_data.report.page import make_page
from vla_data.robot import Robot


def make_report(
    bag: Path,
    output: Path,
    episodes: Sequence[Episode] = (),
    video: bool = True,
    robot: Robot | None = None,
) -> Metrics:
    """Write metrics.json, report.html and (with pictures in the bag) video.mp4 into a folder.

    Raises:
        ConfigurationError: no bag, or no contract in it and none given.
    """
    output.mkdir(parents=True, exist_ok=True)
    recording = Recording(bag, robot)
    metrics = compute(recording, episodes)
    (output / "metrics.json").write_text(json.dumps(metrics.to_json(), indent=2) + "\n")
    film = output / "video.mp4"
    has_film = video and make_film(recording, metrics, film)
    page = make_page(recording, metrics, film.name if has_film else "")
    (output / "report.html").write_text(page)
    return metrics
