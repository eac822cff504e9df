"""Runs long commands with something to look at: title, clock, last line of output."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

SPINNER = "|/-\\"
HEARTBEAT_S = 30.0  # how often a log file (no terminal) hears that work goes on


class StepFailed(Exception):
    """A command ended with an error; ``output`` is all it said, ``log`` where it is kept."""

    def __init__(self, title: str, code: int, output: str, log: Path) -> None:
        super().__init__(f"{title} failed with exit code {code}")
        self.output = output
        self.log = log

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self.output.strip().splitlines()[-lines:])


def run(title: str, command: Sequence[str], log: Path, env: Mapping[str, str]) -> None:
    """Run ``command``, show its progress on one line, keep its output in ``log``.

    Raises:
        StepFailed: the command ended with an error.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    said: list[str] = []
    started = time.monotonic()
    with log.open("w") as file, _Ticker(title, lambda: said[-1] if said else "") as ticker:
        process = subprocess.Popen(
            command, env=dict(env), text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            for line in process.stdout:
                file.write(line)
                said.append(line.rstrip())
            code = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        ticker.result = "" if code == 0 else " failed"
    print(f"  {title}: {time.monotonic() - started:.1f} s{ticker.result}", flush=True)
    if code:
        raise StepFailed(title, code, "\n".join(said), log)


class _Ticker:
    """Shows that work goes on: a spinner on a terminal, now and then a line elsewhere."""

    def __init__(self, title: str, last_line: Callable[[], str]) -> None:
        self.result = ""
        self._title = title
        self._last_line = last_line
        self._over = threading.Event()
        self._live = sys.stdout.isatty()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> _Ticker:
        if not self._live:
            print(f"  {self._title} ...", flush=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._live:
            print("\r\033[K", end="", flush=True)

    def _tick(self) -> None:
        started = time.monotonic()
        period = 0.2 if self._live else HEARTBEAT_S
        count = 0
        while not self._over.wait(period):
            passed = time.monotonic() - started
            count += 1
            if self._live:
                line = f"  {SPINNER[count % 4]} {self._title} {passed:.0f} s  {self._last_line()}"
                print("\r\033[K" + line[: _columns() - 1], end="", flush=True)
            else:
                print(f"  {self._title}: {passed:.0f} s so far", flush=True)


def _columns() -> int:
    try:
        return os.get_terminal_size().columns
    except OSError:
        return 80
