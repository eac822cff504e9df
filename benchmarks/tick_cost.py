"""What one tick of the executor costs, with and without limits in the way.

    python benchmarks/tick_cost.py [--quick] [--json FILE]

The SO-101's contract, six columns at 50 Hz, a chunk of 32 rows every 0.8 s, answers after 200 ms.
Times are CPU times of the thread, so that neighbours on the machine do not count. `gentle` rows
are inside the limits; `noisy` rows scatter by 2 mrad and are smoothed; `wild` rows scatter by
30 mrad, so that the limiter intervenes nearly always.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src/vla_core"))

from vla_core.contract import Contract, load_contract  # noqa: E402  (after the path is known)
from vla_core.errors import ChunkError  # noqa: E402
from vla_core.execution import Answer, Executor, Request, Task  # noqa: E402
from vla_core.types import ActionChunk  # noqa: E402

ROWS, ROW_NS, LATENCY_NS = 32, 50_000_000, 200_000_000
NOISE = {"gentle": 0.0, "noisy": 0.002, "wild": 0.03}


def rows(times_s: Any, contract: Contract, noise: float, rng: np.random.Generator) -> Any:
    """Return (T, A): slow waves around home, and noise."""
    home = np.array([contract.home[name] for name in contract.columns])
    waves = 0.15 * np.sin(times_s[:, None] * (0.5 + 0.1 * np.arange(len(home))))
    return home + waves + rng.normal(0.0, noise, (len(times_s), len(home)))


def measure(contract: Contract, noise: float, ticks: int) -> dict[str, float]:
    """Return milliseconds per tick and per accepted chunk."""
    executor, rng = Executor(contract), np.random.default_rng(0)
    mail: list[tuple[int, Request]] = []
    tick_s, accept_s, interventions = [], [], 0
    positions = [contract.home[name] for name in contract.columns]
    executor.activate(0)
    executor.begin_task(Task("t", "go", "p", contract.columns, ROWS, ROW_NS, 16), 0)
    for i in range(1, ticks + 1):
        now = i * contract.step_ns
        executor.renew_lease("t", now)
        executor.measure(contract.columns, positions, now, now)
        for _, request in [letter for letter in mail if letter[0] <= now]:
            times = (request.sent_ns + np.arange(ROWS) * ROW_NS) * 1e-9
            chunk = ActionChunk(
                rows(times, contract, noise, rng), request.sent_ns, ROW_NS, contract.columns
            )
            begin = time.thread_time()
            try:
                executor.accept(Answer(request.request_id, request.epoch, "p", chunk), now)
            except ChunkError:
                interventions += 1
            accept_s.append(time.thread_time() - begin)
        mail = [letter for letter in mail if letter[0] > now]
        begin = time.thread_time()
        decision = executor.tick(now)
        tick_s.append(time.thread_time() - begin)
        if decision.request is not None:
            mail.append((now + LATENCY_NS, decision.request))
        if decision.command is not None:
            positions = decision.command.positions[0].tolist()
    quantiles = np.quantile(np.array(tick_s) * 1e3, [0.5, 0.99, 1.0])
    return {
        "tick_p50_ms": float(quantiles[0]),
        "tick_p99_ms": float(quantiles[1]),
        "tick_max_ms": float(quantiles[2]),
        "accept_p50_ms": float(np.median(accept_s) * 1e3),
        "interventions_share": executor.snapshot(now).limit_interventions / ticks,
    }


def main() -> None:
    """Print a table; write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    contract = load_contract([ROOT / "config/robots/so101/contract.yaml"])
    ticks = 2_000 if arguments.quick else 50_000
    result: dict[str, Any] = {"machine": platform.machine(), "python": platform.python_version()}
    print(f"{'rows':8} {'p50':>7} {'p99':>7} {'max':>7} {'accept':>7}  [ms]  interventions")
    for name, noise in NOISE.items():
        figures = result[name] = measure(contract, noise, ticks)
        print(
            f"{name:8} {figures['tick_p50_ms']:7.3f} {figures['tick_p99_ms']:7.3f} "
            f"{figures['tick_max_ms']:7.3f} {figures['accept_p50_ms']:7.3f}        "
            f"{figures['interventions_share']:.1%}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
