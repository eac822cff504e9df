"""One worker process: started, watched, ended. What it runs is `worker_main.py`."""

from __future__ import annotations

import collections
import contextlib
import json
import logging
import os
import select
import signal
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from vla_core.contract import Contract, PolicyConfig
from vla_core.errors import NotReadyError
from vla_hosting.connection import server_error
from vla_hosting.worker_folder import WorkerFolder

log = logging.getLogger(__name__)

# Seen by every worker. Anything else must be named by the uri or by the policy file.
SHARED = ("vla_core", "vla_hosting")
NEEDED = "numpy msgpack websockets pydantic PyYAML"
# They would show a worker the modules of this environment, built for this interpreter.
HIDDEN_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV")
LAST_LINES = 20
READY = b"ready"


@dataclass(frozen=True)
class Job:
    """What a worker shall host."""

    adapter: str  # module:function
    address: str
    config: PolicyConfig
    contract: Contract
    root: Path
    packages: tuple[str, ...] = ()

    def modules(self) -> set[str]:
        """Return the top-level modules that the worker needs of this installation."""
        named = {self.adapter.partition(":")[0], *self.packages}
        if self.config.uri.startswith("scripted:"):
            named.add(self.address.partition(":")[0])
        return {*SHARED, *(name.partition(".")[0] for name in named)}

    def to_json(self, socket_path: str) -> str:
        """Return the job as one line."""
        return json.dumps(
            {
                "adapter": self.adapter,
                "address": self.address,
                "config": self.config.model_dump(mode="json"),
                "contract": self.contract.model_dump(mode="json"),
                "root": str(self.root),
                "socket": socket_path,
            }
        )


class WorkerProcess:
    """A running worker. It cannot outlive us: the kernel kills it when our pipe to it closes."""

    def __init__(self, python: Path, job: Job) -> None:
        """Start the interpreter; `is_ready` says when the policy is loaded."""
        self._python = python
        self._folder = WorkerFolder(job.modules())
        self.socket_path = str(self._folder.path / "socket")
        self._is_ready = False
        self._stopping, self._is_stopped = threading.Lock(), False
        lifeline, self._lifeline = os.pipe()
        self._report, report = os.pipe()
        try:
            self._process = subprocess.Popen(
                [str(python), "-m", "vla_hosting.worker_main", str(lifeline), str(report)],
                cwd=self._folder.ours,  # first on the module path of ``-m``
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(lifeline, report),
                start_new_session=True,  # an interrupt from the terminal is ours to pass on
                text=True,
                errors="replace",
            )
        except OSError:
            self._release()
            raise
        finally:
            os.close(lifeline)
            os.close(report)
        self._lines: collections.deque[str] = collections.deque(maxlen=LAST_LINES)
        self._pump = threading.Thread(target=self._read_lines, name="vla-worker-log", daemon=True)
        self._pump.start()
        self._give(job)

    def is_ready(self, wait_s: float = 0.0) -> bool:
        """Whether the policy is loaded; waits up to ``wait_s`` for it.

        Raises:
            VlaError: loading it failed there, of the same type where it is one of ours.
        """
        if not self._is_ready and select.select([self._report], [], [], wait_s)[0]:
            report = _read_all(self._report)
            if report != READY:
                raise self._failure(report.decode(errors="replace"))
            self._is_ready = True
        return self._is_ready

    def wait_ready(self, deadline_s: float) -> None:
        """Return when the policy is loaded.

        Raises:
            NotReadyError: it died first, or took too long.
            VlaError: loading it failed there.
        """
        if not self.is_ready(deadline_s):
            raise NotReadyError(
                f"policy worker {self._python}: not ready within {deadline_s:g} s{self.obituary()}"
            )

    def exit_code(self) -> int | None:
        """Return how it ended, None while it runs."""
        return self._process.poll()

    def obituary(self) -> str:
        """Return how it ended and its last lines, to end a sentence with."""
        code = self._process.poll()
        how = "" if code is None else f" ({_describe(code)})"
        last = "\n  ".join(self._lines)
        return f"{how}; its last lines:\n  {last}" if last else f"{how}; it printed nothing"

    def stop(self, patience_s: float) -> None:
        """Ask it to leave, then kill it and all that it started; may be repeated."""
        with self._stopping:
            if not self._is_stopped:
                self._is_stopped = True
                self._end(patience_s)

    def _end(self, patience_s: float) -> None:
        with contextlib.suppress(ProcessLookupError):
            if patience_s > 0.0:
                self._process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(patience_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()  # killed: nothing can keep it
        self._pump.join(1.0)
        self._release()

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in HIDDEN_VARIABLES}
        return {
            **kept,
            "PYTHONPATH": str(self._folder.ours),
            "VLA_WORKER_MODULES": str(self._folder.others),
            "PYTHONUNBUFFERED": "1",  # its last words must not die in a buffer
            # Compiled by another version, ours would be rewritten at each start.
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def _give(self, job: Job) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # died at once: is_ready tells why
            self._process.stdin.write(job.to_json(self.socket_path) + "\n")
            self._process.stdin.close()

    def _read_lines(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError):  # closed under us by stop
            for line in self._process.stdout:
                self._lines.append(line.rstrip())
                log.info("worker: %s", line.rstrip())

    def _failure(self, report: str) -> Exception:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        if report:
            return server_error(report)
        self._pump.join(1.0)
        return NotReadyError(
            f"policy worker {self._python}: died before its policy was loaded{self.obituary()}\n"
            f"It needs Python 3.10 or newer with {NEEDED}."
        )

    def _release(self) -> None:
        for descriptor in (self._lifeline, self._report):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._folder.remove()


def _read_all(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, 65536):
        parts.append(part)
    return b"".join(parts)


def _describe(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
