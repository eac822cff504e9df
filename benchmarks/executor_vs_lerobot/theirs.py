"""LeRobot's side: its server and its client as processes of its own environment."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil

from executor_vs_lerobot.record import Answer, Run
from executor_vs_lerobot.scenario import ROWS, Scenario
from vla_bringup.child import Child, end_all
from vla_bringup.graph import AHEAD

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
START_S, RUN_S = 180.0, 90.0
ENVIRONMENT = "VLA_LEROBOT_PYTHON"


def python() -> str | None:
    """Return LeRobot's interpreter, None if there is none."""
    path = os.environ.get(ENVIRONMENT, str(ROOT / ".vla/envs/lerobot/bin/python"))
    return path if Path(path).exists() else None


def version(interpreter: str) -> str:
    """Return the version of LeRobot."""
    code = "from importlib.metadata import version; print(version('lerobot'))"
    answer = subprocess.run(
        [interpreter, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return answer.stdout.strip()


class Theirs:
    """A running server and a client process; made by `running`."""

    def __init__(self, server: Child, client: Child, folder: Path, pipe: int) -> None:
        self._server, self._client, self._folder, self._pipe = server, client, folder, pipe
        self._seed = 0

    def run(self, scenario: Scenario) -> Run:
        """Do the task once."""
        self._seed += 1
        told = replace(scenario, seed=1000 * scenario.seed + self._seed)
        marks = self._folder / "client.log"
        done = _count(marks, "@done")
        os.write(self._pipe, (told.text() + "\n").encode())
        wait_for(self._client, marks, "@go", done + 1, RUN_S)
        spent, began = self._cpu(), time.monotonic()
        wait_for(self._client, marks, "@done", done + 1, RUN_S)
        wall = time.monotonic() - began
        cpu = {name: seconds - spent[name] for name, seconds in self._cpu().items()}
        return self._gather(told, cpu, wall)

    def _gather(self, scenario: Scenario, cpu: dict[str, float], wall: float) -> Run:
        with np.load(self._folder / f"{scenario.seed}.npz") as found:
            arrays = {name: found[name] for name in found.files}
        answers = self._answers(arrays["sent"], arrays["usable"])
        ticks, starved = arrays["counts"].tolist()
        return Run(
            began_s=float(arrays["sent"][0, 0]),
            commands_s=arrays["commands_s"],
            due_s=arrays["commands_s"],
            commands=arrays["commands"],
            states_s=arrays["states_s"],
            states=arrays["states"],
            answers=answers,
            ticks=ticks,
            starved_ticks=starved,
            requests=len(answers),
            requests_by_threshold=sum(answer.by_threshold for answer in answers),
            is_synchronous=scenario.mode == "sync",
            cpu_s=cpu,
            wall_s=wall,
            memory_mb=self._memory(),
        )

    def _answers(self, sent: np.ndarray, usable: np.ndarray) -> tuple[Answer, ...]:
        """Join the client's notes with the server's and the policy's by the stamp."""
        by_stamp = {row[1]: row for row in sent.tolist()}
        server = {row[0]: row for row in _table(self._folder / "server.txt")}
        inference = np.array(_table(self._folder / "inference.txt"))
        found = []
        for stamp, at in usable.tolist():
            asked, _, must_go = by_stamp[stamp]
            _, arrived, began, prepared = server[stamp]
            turn = int(np.searchsorted(inference[:, 0], prepared - 1e-4))
            spent = float(inference[turn, 1] - inference[turn, 0])
            found.append(
                Answer(
                    asked, stamp, at, spent, began - arrived, prepared - began, not bool(must_go)
                )
            )
        return tuple(found)

    def _processes(self) -> dict[str, psutil.Process]:
        children = {"server": self._server, "client": self._client}
        return {name: psutil.Process(child.pid) for name, child in children.items()}

    def _cpu(self) -> dict[str, float]:
        return {name: sum(p.cpu_times()[:2]) for name, p in self._processes().items()}

    def _memory(self) -> dict[str, float]:
        return {name: p.memory_info().rss / 1e6 for name, p in self._processes().items()}


@contextlib.contextmanager
def running(rate_hz: int, folder: Path, interpreter: str) -> Iterator[Theirs]:
    """Start server and client for one rate and end them whatever happens."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    children: list[Child] = []
    read_end, write_end = os.pipe()

    def start(name: str, *arguments: str, nice: int = 0) -> Child:
        script = str(HERE / f"lerobot_{name}.py")
        # LeRobot writes logs/ where it is started; and Child gives no input: the shell reads the
        # pipe in its place.
        inherited = f"/proc/{os.getpid()}/fd/{read_end}" if name == "client" else os.devnull
        shell = ["sh", "-c", f'cd "$0" && exec "$@" < {inherited}', str(folder.resolve())]
        command = [*shell, interpreter, script, port, *arguments]
        child = Child(command, folder / f"{name}.log", _environment(folder), nice=nice)
        children.append(child)
        return child

    try:
        server = start("server", str(rate_hz), str(ROWS[rate_hz]), str(folder))
        wait_for(server, folder / "server.log", "@ready", 1, START_S)
        client = start("client", str(folder), nice=AHEAD)  # as far ahead as our executor
        wait_for(client, folder / "client.log", "@ready", 1, START_S)
        yield Theirs(server, client, folder, write_end)
    finally:
        os.close(write_end)
        end_all(children)
        os.close(read_end)


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment without ROS and without our packages, but for the shared ones."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    ours = [ROOT / "benchmarks", ROOT / "src/vla_core", ROOT / "src/vla_data"]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(map(str, ours)),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_LEROBOT_HOME": str(folder / "home"),
        "TMPDIR": str(folder),
    }


def wait_for(child: Child, log: Path, word: str, count: int, within_s: float) -> None:
    """Return when a process has printed a word so many times.

    Raises:
        RuntimeError: it ended, or it takes too long; with the end of its output.
    """
    deadline = time.monotonic() + within_s
    while _count(log, word) < count:
        if child.exit_code() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"LeRobot: no '{word}' within {within_s:g} s:\n{child.tail(20)}")
        time.sleep(0.02)


def _count(log: Path, word: str) -> int:
    return log.read_text(errors="replace").count(f"{word}\n") if log.exists() else 0


def _table(path: Path) -> list[list[float]]:
    return [[float(word) for word in line.split()] for line in path.read_text().splitlines()]
