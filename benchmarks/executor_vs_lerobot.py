r"""Our executor against LeRobot's asynchronous inference: same machine, task, policy and latency.

    ./vla setup --extra lerobot
    ./vla shell python benchmarks/executor_vs_lerobot.py [--quick] [--json FILE] \
        [--markdown docs/executor_vs_lerobot.md]
    ./vla shell python benchmarks/executor_vs_lerobot.py --ticks

Ours: the shipped process graph over real DDS (policy node, executor, router, supervisor; a bridge
and cameras around a simulated robot). LeRobot: its own `PolicyServer` and `RobotClient` over its
own gRPC, in its own environment. Both do the same task in turns: a six-joint robot with two
640x480 cameras follows a way; the policy is a deterministic function of the observation and
answers after a drawn latency. What both sides' robots received is judged by the same functions.

A run takes 12 minutes at most, --quick under one, --ticks (our tick alone, with no, one and both
cores busy) under two. What is done is kept in --folder: the same
command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from executor_vs_lerobot import ours, theirs
from executor_vs_lerobot.figures import Figures, compute
from executor_vs_lerobot.goals import Goal, judge, overheads
from executor_vs_lerobot.scenario import ROWS, Scenario
from executor_vs_lerobot.tables import markdown, print_tables, put

from vla_bringup.child import Child, end_all
from vla_bringup.session import stay_private

WAY_S, QUICK_WAY_S, LOAD_WAY_S = 5.0, 4.0, 11.0
LATENCIES = tuple(
    form.format(seconds)
    for seconds in ("0.05", "0.2", "0.7")
    for form in ("constant:{}", "lognormal:{},0.3")
)
LOAD_LATENCY = "constant:0.2"
Runs = dict[tuple[str, Scenario], Figures]


class Benchmark:
    """Does the scenarios that have no figures yet and keeps the figures in a folder."""

    def __init__(self, folder: Path, limit_s: float, interpreter: str | None) -> None:
        self._folder, self._interpreter = folder, interpreter
        self._deadline = time.monotonic() + limit_s
        self.runs: Runs = {}
        self.left_out: list[str] = []
        self._graphs = 0

    def conditions(self, rate_hz: int, groups: Sequence[Sequence[Scenario]]) -> None:
        """Do groups of scenarios, in turns with LeRobot, which is started once."""
        with contextlib.ExitStack() as stack:
            peer: theirs.Theirs | None = None
            for group in groups:
                lerobot = replace(group[0], join="blend")
                self._ours(group)
                if self._interpreter is None or self._known("lerobot", lerobot):
                    continue
                if self._is_late(f"LeRobot, {lerobot.latency}"):
                    continue
                if peer is None:
                    folder = Path(tempfile.mkdtemp(prefix="lerobot_", dir=self._folder))
                    peer = stack.enter_context(theirs.running(rate_hz, folder, self._interpreter))
                with busy(lerobot.busy):
                    self._keep("lerobot", lerobot, compute(lerobot, peer.run(lerobot)))

    def _ours(self, group: Sequence[Scenario]) -> None:
        open_ones = [scenario for scenario in group if not self._known("ours", scenario)]
        name = f"ours, {group[0].rate_hz} Hz, {group[0].latency}"
        if not open_ones or self._is_late(name):
            return
        # Play half of a chunk, as LeRobot does with its default threshold; all when synchronous.
        horizon = ROWS[group[0].rate_hz] // (1 if group[0].mode == "sync" else 2)
        self._graphs += 1
        folder = Path(tempfile.mkdtemp(prefix="graph_", dir=self._folder))
        with ours.running(group[0].rate_hz, horizon, folder) as graph, busy(group[0].busy):
            for scenario in open_ones:
                self._keep("ours", scenario, compute(scenario, graph.run(scenario)))

    def _known(self, system: str, scenario: Scenario) -> bool:
        path = self._path(system, scenario)
        if (system, scenario) not in self.runs and path.exists():
            self.runs[system, scenario] = Figures.of(json.loads(path.read_text()))
        return (system, scenario) in self.runs

    def _keep(self, system: str, scenario: Scenario, figures: Figures) -> None:
        self.runs[system, scenario] = figures
        path = self._path(system, scenario)
        path.write_text(json.dumps(figures.to_json()))
        print(
            f"{system:8} {scenario.rate_hz:>3} Hz {scenario.latency:18} {scenario.mode:5} "
            f"{scenario.join if system == 'ours' else '':8} busy {scenario.busy}  "
            f"{'done' if figures.succeeded else 'FAILED':6} {figures.task_time_s:6.2f} s, "
            f"starved {figures.starved_ticks}, overhead {figures.overhead_p50_ms:.1f} ms",
            flush=True,
        )

    def _path(self, system: str, scenario: Scenario) -> Path:
        words = [f"{value}".replace(":", "_") for value in vars(scenario).values()]
        return self._folder / f"{system}_{'_'.join(words)}.json"

    def _is_late(self, what: str) -> bool:
        is_late = time.monotonic() > self._deadline
        if is_late:
            self.left_out.append(what)
        return is_late


@contextlib.contextmanager
def busy(cores: int) -> Iterator[None]:
    """Keep some cores busy with somebody else's work."""
    if not cores:
        yield
        return
    command = [sys.executable, "-c", "while True: pass"]
    children = [Child(command, Path(os.devnull)) for _ in range(cores)]
    try:
        yield
    finally:
        end_all(children)


def plan(benchmark: Benchmark, quick: bool, ticks: bool) -> None:
    """Do everything, the most telling first."""
    loaded = [[Scenario(100, LOAD_LATENCY, LOAD_WAY_S, busy=cores)] for cores in (0, 1, 2)]
    if ticks:
        benchmark.conditions(100, loaded)
        return
    if quick:
        benchmark.conditions(30, [_joins(Scenario(30, "constant:0.2", QUICK_WAY_S))])
        return
    for rate_hz in (30, 100):
        groups = [_joins(Scenario(rate_hz, latency, WAY_S)) for latency in LATENCIES]
        benchmark.conditions(rate_hz, groups)
        synchronous = [
            [Scenario(rate_hz, latency, WAY_S, mode="sync")]
            for latency in LATENCIES
            if latency.startswith("constant")
        ]
        benchmark.conditions(rate_hz, synchronous)
    benchmark.conditions(100, loaded)


def _joins(scenario: Scenario) -> list[Scenario]:
    return [scenario, replace(scenario, join="replace")]


def to_json(benchmark: Benchmark, goals: Sequence[Goal], version: str) -> dict[str, object]:
    """Return all figures with where and when they were taken."""
    found = overheads(benchmark.runs)
    ratio = found["ours"] / found["lerobot"]
    wire = found["ours"] / found["lerobot_wire"]
    return {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "date": time.strftime("%Y-%m-%d"),
        "load_average": os.getloadavg()[0],
        "lerobot": version,
        "overhead_ratio": None if math.isnan(ratio) else ratio,
        "overhead_ratio_wire_only": None if math.isnan(wire) else wire,
        "overhead_ms": {k: None if math.isnan(v) else v for k, v in found.items()},
        "goals": [vars(goal) for goal in goals],
        "left_out": benchmark.left_out,
        "runs": [
            {"system": system, **vars(scenario), **figures.to_json()}
            for (system, scenario), figures in benchmark.runs.items()
        ],
    }


def main() -> int:
    """Run, print, write; 0 even where a goal is missed: this measures, it does not test."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one condition, under a minute")
    parser.add_argument("--ticks", action="store_true", help="the tick's jitter, without LeRobot")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the tables there")
    parser.add_argument("--folder", type=Path, help="keeps what is done; go on in it later")
    parser.add_argument("--limit", type=float, default=690.0, metavar="SECONDS")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    stay_private()
    here = str(Path(__file__).parent)
    os.environ["PYTHONPATH"] = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
    folder = (arguments.folder or Path(tempfile.mkdtemp(prefix="executor_vs_lerobot_"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    interpreter = None if arguments.ticks else theirs.python()
    version = theirs.version(interpreter) if interpreter else "absent"
    print(f"LeRobot {version}; what is done is kept in {folder}", flush=True)
    if interpreter is None and not arguments.ticks:
        print("left out: LeRobot (no environment; ./vla setup --extra lerobot makes it)")
    benchmark = Benchmark(folder, arguments.limit, interpreter)
    try:
        plan(benchmark, arguments.quick, arguments.ticks)
    except KeyboardInterrupt:
        print(f"\ninterrupted; go on with --folder {folder}", file=sys.stderr)
        return 130
    goals = judge(benchmark.runs)
    print_tables(benchmark.runs, goals)
    for what in benchmark.left_out:
        print(f"left out, the time was over: {what}")
    document = to_json(benchmark, goals, version)
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")
    if arguments.markdown:
        put(arguments.markdown, markdown(benchmark.runs, goals, document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
