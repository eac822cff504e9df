"""Real processes: groups end whole, and nothing outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from vla_bringup.child import Child, end_all

# Starts a grandchild that ignores interrupts, says its id, and waits.
FAMILY = (
    "import subprocess, sys, time\n"
    "deaf = 'import signal, time; signal.signal(2, signal.SIG_IGN); time.sleep(60)'\n"
    "print(subprocess.Popen([sys.executable, '-c', deaf]).pid, flush=True)\n"
    "time.sleep(60)\n"
)


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Return whether the condition holds before the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


def is_running(pid: int) -> bool:
    """Return whether a process lives; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_ends_what_a_child_started_though_it_ignores_interrupts(tmp_path: Path) -> None:
    child = Child([sys.executable, "-c", FAMILY], tmp_path / "log")
    assert within(10, lambda: bool(child.tail()))
    grandchild = int(child.tail())
    end_all([child], patience_s=0.3)
    assert child.group_is_empty()
    assert not is_running(grandchild)


def test_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from vla_bringup.child import Child\n"
        f"log = Path({str(tmp_path / 'log')!r})\n"
        "child = Child([sys.executable, '-c', 'import time; time.sleep(60)'], log)\n"
        "print(child.pid, flush=True); time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.send_signal(signal.SIGKILL)
        assert within(5, lambda: not is_running(pid))


def test_keeps_the_output_in_the_file_and_says_each_line(tmp_path: Path) -> None:
    said: list[str] = []
    speak = [sys.executable, "-c", "print('one'); print('two')"]
    child = Child(speak, tmp_path / "log", None, said.append)
    assert within(10, lambda: len(said) == 2)
    assert said == ["one", "two"]
    assert child.tail() == "one\ntwo"


def test_tells_the_signal_that_ended_it(tmp_path: Path) -> None:
    child = Child([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log")
    child.signal_group(signal.SIGKILL)
    assert within(5, lambda: child.exit_code() == -signal.SIGKILL)
