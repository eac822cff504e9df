"""``worker:<python>:<uri>``: a policy in a process of its own, under another interpreter.

The worker speaks the protocol of `vla serve` over a Unix socket. A dead or hanging worker fails
the inference in progress and is started again; until it has loaded, every question is answered
by `NotReadyError`. Nothing waits longer than its deadline.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vla_core.contract import Contract, PolicyConfig
from vla_core.errors import ConfigurationError, InferenceError, MismatchError, NotReadyError
from vla_core.ports import PolicySpec
from vla_core.types import ActionChunk, Observation, Prefix
from vla_hosting.backoff import Backoff
from vla_hosting.connection import (
    Address,
    Connection,
    ConnectionSettings,
    DeadlineError,
    LostError,
)
from vla_hosting.loading import find_adapter
from vla_hosting.messages import Hosted, metadata_from_wire
from vla_hosting.options import read_options
from vla_hosting.remote import RemoteOptions, RemotePolicy
from vla_hosting.worker_process import Job, WorkerProcess

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerOptions:
    """What a policy file may say under ``options.worker``."""

    deadline_s: float = 10.0  # of an answer; then the worker is killed and started again
    start_s: float = 120.0  # of starting, loading and warming up
    restart_s: float = 0.5  # from a death to the next start; doubles up to restart_most_s
    restart_most_s: float = 30.0
    stop_s: float = 3.0  # of leaving by itself
    packages: tuple[str, ...] = ()  # further packages of this installation that it needs


class WorkerPolicy:
    """A policy in a worker. All decisions fall in `infer`: nothing runs beside it."""

    def __init__(
        self,
        start: Callable[[], WorkerProcess],
        options: WorkerOptions,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the worker and wait until its policy is loaded.

        Raises:
            NotReadyError: it does not come up, with its last lines.
            VlaError: what loading the policy raised there.
        """
        self._start, self._options, self._clock = start, options, clock
        self._backoff = self._new_backoff()
        self._is_closed = False
        self._started_s = clock()
        self._worker: WorkerProcess | None = start()
        try:
            self._worker.wait_ready(options.start_s)
            self._remote = RemotePolicy(
                self._connect, _described, RemoteOptions(options.deadline_s, options.deadline_s)
            )
        except BaseException:
            self._worker.stop(0.0)
            raise

    @property
    def spec(self) -> PolicySpec:
        """What the policy in the worker takes and gives."""
        return self._remote.spec

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Ask the worker; see `Policy.infer`.

        Raises:
            NotReadyError: the worker is starting, or must not be started again yet.
            InferenceError: the worker died or did not answer; it is being started again.
        """
        worker = self._ready_worker()
        try:
            chunk = self._remote.infer(observation, prefix)
        except DeadlineError as error:
            raise self._lost(worker, f"{error}, it was killed") from error
        except LostError as error:
            raise self._lost(worker, "died during an inference") from error
        self._backoff = self._new_backoff()
        return chunk

    def reset(self) -> None:
        """Forget the running episode; a worker that is not there has none."""
        try:
            self._remote.reset()
        except InferenceError as error:
            log.warning("%s", error)

    def close(self) -> None:
        """End the worker, also while another thread waits for its answer."""
        self._is_closed = True
        self._remote.close()
        if self._worker is not None:
            self._worker.stop(self._options.stop_s)
            self._worker = None

    def _ready_worker(self) -> WorkerProcess:
        now_s = self._clock()
        if self._worker is None:
            self._backoff.check(now_s)
            self._worker, self._started_s = self._start(), now_s
        worker, since_s = self._worker, now_s - self._started_s
        if worker.exit_code() is not None:
            raise self._lost(worker, "died")
        if not worker.is_ready():
            if since_s > self._options.start_s:
                raise self._lost(worker, f"was not ready within {self._options.start_s:g} s")
            raise NotReadyError(
                f"policy '{self.spec.name}': its worker is starting, since {since_s:.1f} s"
            )
        return worker

    def _lost(self, worker: WorkerProcess, how: str) -> InferenceError:
        """Clear up after a worker, and start the next one unless it must wait."""
        self._remote.disconnect()
        worker.stop(0.0)
        sentence = f"policy '{self.spec.name}': its worker {how}{worker.obituary()}"
        self._worker = None
        if self._is_closed:
            return InferenceError(sentence)
        now_s = self._clock()
        try:
            self._backoff.check(now_s)
            self._backoff.failed(now_s, sentence)
            self._worker, self._started_s = self._start(), now_s
        except NotReadyError:
            log.debug("the worker died too soon to be started again at once")
        return InferenceError(sentence)

    def _connect(self) -> Connection:
        if self._worker is None:
            raise NotReadyError(f"policy '{self.spec.name}': no worker")
        address = Address("ws://worker/", self._worker.socket_path)
        return Connection(address, ConnectionSettings(self._options.deadline_s))

    def _new_backoff(self) -> Backoff:
        return Backoff(self._options.restart_s, self._options.restart_most_s)


def _described(connection: Connection) -> Hosted:
    hosted = metadata_from_wire(connection.metadata)
    if hosted is None:
        raise MismatchError("policy worker: it does not describe its policy")
    return hosted


def open_policy(
    address: str, config: PolicyConfig, contract: Contract, root: Path
) -> WorkerPolicy:
    """Open ``worker:`` uris; see `vla_hosting.loading.Adapter`."""
    python, _, uri = address.partition(":")
    scheme, separator, inner = uri.partition(":")
    if not separator:
        raise ConfigurationError(
            f"policy '{config.name}': expected worker:<python>:<uri>, got '{config.uri}'"
        )
    options = read_options(WorkerOptions, _own_options(config), config.name, "options.worker")
    kept = {name: value for name, value in config.options.items() if name != "worker"}
    job = Job(
        adapter=find_adapter(scheme, config.name),
        address=inner,
        config=config.model_copy(update={"uri": uri, "options": kept}),
        contract=contract,
        root=root.resolve(),
        packages=tuple(options.packages),
    )
    interpreter = find_interpreter(python, root, config.name)
    return WorkerPolicy(lambda: WorkerProcess(interpreter, job), options)


def _own_options(config: PolicyConfig) -> dict[str, object]:
    own = config.options.get("worker", {})
    if not isinstance(own, dict):
        raise ConfigurationError(f"policy '{config.name}': options.worker: expected a dict")
    return own


def find_interpreter(python: str, root: Path, policy: str) -> Path:
    """Return an interpreter: a name on the PATH, a path from ``root``, or an environment's folder.

    Raises:
        ConfigurationError: there is none.
    """
    if "/" not in python:
        found = shutil.which(python)
        path = Path(found) if found else None
    else:
        path = root / Path(python).expanduser()
        path = path / "bin" / "python" if path.is_dir() else path
    if path is None or not path.is_file():
        raise ConfigurationError(
            f"policy '{policy}': no Python interpreter '{python}'. Install it, or make its "
            "environment: python3.12 -m venv <folder>"
        )
    return path.absolute()  # not resolved: the link is what makes it an environment's own
