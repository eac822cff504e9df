"""How good the expert is and how fast the scene: ``python -m vla_scenes.measure``."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from vla_core.metrics import wilson
from vla_core.types import NS_PER_S
from vla_scenes.episode import Kicks, record_demonstration, run_episode
from vla_scenes.expert import TabletopExpert
from vla_scenes.layout import EVAL_SEEDS
from vla_scenes.tabletop import CAMERAS, TabletopScene
from vla_scenes.tasks import TASKS


@dataclass(frozen=True)
class Measured:
    """Figures of one run; times of one thread."""

    episodes: int
    successes: int
    wilson_95: tuple[float, float]
    task_s_median: float
    task_s_longest: float
    physics_real_time_factor: float
    with_cameras_real_time_factor: float  # both cameras at 20 Hz
    image_ms: float
    demonstrations: int
    demonstrations_succeeded: int
    demonstration_wall_s: float


def measure(episodes: int, demonstrations: int) -> Measured:
    """Run the expert on unseen layouts, then time physics, cameras and demonstrations."""
    scene, expert = TabletopScene(), TabletopExpert()
    try:
        results = [
            run_episode(expert, EVAL_SEEDS[k], TASKS[k % 6].instruction, scene=scene)
            for k in range(episodes)
        ]
        step_s, image_s = _timed(lambda: scene.step(NS_PER_S), 20), _image_s(scene)
        rng, start = np.random.default_rng(0), time.perf_counter()
        kept = [
            record_demonstration(k, TASKS[k % 6].instruction, rng, scene=scene, kicks=Kicks())
            for k in range(demonstrations)
        ]
        wall_s = (time.perf_counter() - start) / max(demonstrations, 1)
    finally:
        scene.close()
    successes, times = sum(r.succeeded for r in results), [r.duration_s for r in results]
    return Measured(
        episodes=episodes,
        successes=successes,
        wilson_95=wilson(successes, episodes),
        task_s_median=float(np.median(times)),
        task_s_longest=max(times),
        physics_real_time_factor=1 / step_s,
        with_cameras_real_time_factor=1 / (step_s + 20 * len(CAMERAS) * image_s),
        image_ms=1e3 * image_s,
        demonstrations=demonstrations,
        demonstrations_succeeded=sum(d.succeeded for d in kept),
        demonstration_wall_s=wall_s,
    )


def _image_s(scene: TabletopScene) -> float:
    scene.image(CAMERAS[0])  # the first one makes the renderer
    return _timed(lambda: [scene.image(camera) for camera in CAMERAS], 50) / len(CAMERAS)


def _timed(action: Callable[[], object], times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        action()
    return (time.process_time() - start) / times


def main() -> None:
    """Print the figures, and write them if asked."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--episodes", type=int, default=60)
    parser.add_argument("--demonstrations", type=int, default=12)
    parser.add_argument("--json", type=Path, help="file to write")
    chosen = parser.parse_args()
    figures = asdict(measure(chosen.episodes, chosen.demonstrations))
    for name, value in figures.items():
        print(f"{name:32} {value}")
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
