"""Real-time chunking against naive switching and averaging, while inference takes 0 to 6 rows.

    ./vla shell python benchmarks/rtc.py [--quick] [--json FILE] [--plot FILE]

A small flow policy is trained here on a task with two equally good ways (`rtc_world.py`), then the
same episodes are played by each method at each delay. The samplers are those of `vla_hosting.rtc`;
time is counted in rows, so the result does not depend on the machine. Inference starts every four
rows, or as often as the delay allows; temporal ensembling, as published, at every row.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small matrices: more threads are slower

import torch
from rtc_methods import METHODS, Figures, run
from rtc_network import Policy, train

from vla_core.metrics import wilson

DELAYS = range(7)
LONGEST = max(DELAYS)
TITLES = {
    "naive": "naive switch",
    "ensemble": "temporal ensembling",
    "jacobian": "RTC, Jacobian",
    "identity": "RTC, identity",
    "trained": "RTC, trained prefix",
}
PANELS = {
    "success": "success",
    "seam_gap": "seam gap [m]",
    "mode_switches": "mode switches per episode",
    "roughness": "RMS 2nd difference of targets [m]",
}


def main() -> int:
    """Train, play, print a table, write what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="little training, few episodes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them here")
    parser.add_argument("--steps", type=int, help="of training the flow policy")
    parser.add_argument("--tuning", type=int, help="steps more to continue a prefix")
    parser.add_argument("--episodes", type=int, help="per method and delay")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    began_s = time.monotonic()
    defaults = (700, 500, 32) if arguments.quick else (2500, 2500, 256)
    given = (arguments.steps, arguments.tuning, arguments.episodes)
    steps, tuning, episodes = (a or b for a, b in zip(given, defaults, strict=True))
    base, tuned = train(steps, tuning, LONGEST, arguments.seed)
    print(f"trained {steps} + {tuning} steps in {time.monotonic() - began_s:.0f} s", flush=True)
    figures = play(base, tuned, episodes, arguments.seed + 1)
    if arguments.plot:
        draw(figures, arguments.plot)
    if arguments.json:
        result = {**machine(), "training_steps": [steps, tuning], "seed": arguments.seed}
        result["figures"] = [asdict(figure) for figure in figures]
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    print(f"took {time.monotonic() - began_s:.0f} s")
    return 0


def play(base: Policy, tuned: Policy, episodes: int, seed: int) -> list[Figures]:
    """Return the figures of every method at every delay, printed as they come."""
    print(f"{'delay':>5}  {'method':20} success (95 %)      hit  seam_gap switches roughness")
    found = []
    for delay in DELAYS:
        for method in METHODS:
            f = run(method, delay, base, tuned, episodes, seed)
            low, high = wilson(f.successes, f.episodes)
            print(
                f"{delay:5}  {TITLES[method]:20} {f.success:.2f} ({low:.2f} to {high:.2f})  "
                f"{f.collisions:5.2f}  {f.seam_gap:7.4f}  {f.mode_switches:7.2f}  "
                f"{f.roughness:.4f}",
                flush=True,
            )
            found.append(f)
    return found


def machine() -> dict[str, Any]:
    """Return what the result was taken with."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": platform.machine(),
        "date": time.strftime("%Y-%m-%d"),
    }


def draw(figures: Sequence[Figures], path: Path) -> None:
    """Draw the four figures over the delay."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    drawing, axes = pyplot.subplots(1, len(PANELS), figsize=(12.5, 3.0), layout="constrained")
    for axis, (name, title) in zip(axes, PANELS.items(), strict=True):
        for method in METHODS:
            mine = [f for f in figures if f.method == method]
            axis.plot(
                [f.delay for f in mine],
                [getattr(f, name) for f in mine],
                marker="o",
                markersize=3,
                label=TITLES[method],
            )
        axis.set(title=title, xlabel="delay [rows]", ylim=(0, None))
        axis.title.set_fontsize(9)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=7)
    drawing.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
