"""Recording processes: what a kill of the training leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

PARENT = """
import multiprocessing, threading, time
from vla_models.demo import workers

def child():
    threading.Thread(target=workers._end_with_parent, daemon=True).start()
    time.sleep(600)

context = multiprocessing.get_context("fork")
process = context.Process(target=child)
process.start()
print(process.pid, flush=True)
time.sleep(600)
"""


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_recording_process_ends_with_a_training_that_was_killed() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        assert is_running(child)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait(10)
        ends = time.monotonic() + 20
        while is_running(child) and time.monotonic() < ends:
            time.sleep(0.05)
        assert not is_running(child)
    finally:
        if is_running(child):
            os.kill(child, signal.SIGKILL)
