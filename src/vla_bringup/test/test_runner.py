"""The processes of a graph: restarts with growing pauses, and an end without remains."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vla_bringup.graph import Graph, Process
from vla_bringup.runner import Runner, restart_delay_s

WAIT = "import time; time.sleep(60)"


def graph(*processes: Process) -> Graph:
    """Return a graph of processes without anything else."""
    return Graph("arm", "sim", "expert", "/arm", (), "", False, "", (), processes)


def process(name: str, respawn: bool = True) -> Process:
    """Return a process that is restarted quickly."""
    return Process("package", "program", name, "/arm", respawn=respawn, respawn_delay_s=0.01)


def python(code: str) -> Callable[[Process, Path], list[str]]:
    """Return what makes every process of a graph run this code."""
    return lambda process, folder: [sys.executable, "-c", code]


def polled_until(runner: Runner, condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Poll until the condition holds; False after the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        runner.poll()
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_starts_a_killed_process_again_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    with Runner(
        graph(process("policy")), tmp_path, said.append, command_of=python(WAIT)
    ) as runner:
        first = runner.pid("policy")
        assert first
        os.kill(first, signal.SIGKILL)
        assert polled_until(runner, lambda: runner.pid("policy") not in (None, first))
    assert "policy killed by SIGKILL" in said[0]
    assert "starting it again" in said[0]


def test_leaves_a_process_without_respawn_ended(tmp_path: Path) -> None:
    said: list[str] = []
    one = graph(process("recorder", respawn=False))
    with Runner(one, tmp_path, said.append, command_of=python("raise SystemExit(3)")) as runner:
        assert polled_until(runner, lambda: bool(said))
        runner.poll()
        assert runner.pid("recorder") is None
    assert "ended with code 3" in said[0]


def test_ends_all_processes_on_leaving(tmp_path: Path) -> None:
    names = ("bridge", "policy", "executor")
    nodes = graph(*(process(name) for name in names))
    with Runner(nodes, tmp_path, command_of=python(WAIT)) as runner:
        pids = [runner.pid(name) for name in names]
    for pid in pids:
        assert pid
        with pytest.raises(ProcessLookupError):
            os.killpg(pid, 0)


def test_waits_twice_as_long_after_each_failure_up_to_a_limit() -> None:
    assert [restart_delay_s(0.5, n) for n in (1, 2, 3, 20)] == [0.5, 1.0, 2.0, 30.0]
