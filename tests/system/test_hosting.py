"""The policy somewhere else: in a worker process, and behind ``vla serve``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from commands import command
from world import ROOT, World, world

from vla_interfaces.msg import ExecutorState

EXPERT = "scripted:vla_scenes.expert:TabletopExpert"
SO101 = ROOT / "config" / "robots" / "so101"
INSTRUCTION = "put the green cube on the purple pad"


def test_a_policy_in_a_worker_process_does_the_task_and_survives_its_death(tmp_path: Path) -> None:
    with world(tmp_path, uri=f"worker:{sys.executable}:{EXPERT}") as arena:
        handle = arena.begin(INSTRUCTION, 21)
        (worker,) = workers(arena)
        os.kill(worker, signal.SIGKILL)
        assert arena.client.result(handle, 45.0).success
        assert arena.client.result(arena.begin(INSTRUCTION, 22), 45.0).success
        (new,) = workers(arena)
        assert new != worker
    assert not Path(f"/proc/{new}").exists()


def test_a_policy_behind_a_server_does_the_task_and_its_loss_is_said(tmp_path: Path) -> None:
    files = [str(SO101 / name) for name in ("contract.yaml", "sim.yaml")]
    arguments = ("serve", "expert", "--port", "0", "--root", str(ROOT), "--contract", *files)
    with command(*arguments, domain=1) as server:
        server.until(lambda: "at ws://" in server.said(), 60.0, "the server did not start")
        uri = server.said().split(" at ")[-1].split()[0]
        with world(tmp_path, uri=uri) as arena:
            assert arena.client.result(arena.begin(INSTRUCTION, 23), 45.0).success
            arena.begin(INSTRUCTION, 24)
            server.process.kill()
            arena.until_mode(ExecutorState.MODE_HOLDING, 10.0, "no hold without the server")
            arena.until_at_rest(5.0)
            arena.until(lambda: "ws://" in arena.state.reason, 5.0, "the server is not named")


def workers(arena: World) -> list[int]:
    """Return the worker processes below the policy node."""
    policy = arena.runner.pid("policy")
    children = Path(f"/proc/{policy}/task").glob("*/children")
    return [int(pid) for task in children for pid in task.read_text().split()]
