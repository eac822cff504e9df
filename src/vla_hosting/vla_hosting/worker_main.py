"""What runs in a worker process: loads one policy and serves it to the process that started it.

Runs under whatever Python 3.10 or newer the worker's environment has, with numpy, msgpack,
websockets, pydantic and PyYAML.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import select
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from vla_core.contract import Contract, PolicyConfig
from vla_core.ports import Policy
from vla_hosting.loading import resolve, warm_up
from vla_hosting.memory import keep_freed_memory
from vla_hosting.server import PolicyServer
from vla_hosting.sockets import listen_locally
from vla_hosting.wrappers import CheckedPolicy, TimedPolicy


def main() -> int:
    """Serve the policy of the job that comes in on standard input."""
    lifeline, report = int(sys.argv[1]), int(sys.argv[2])
    die_with_the_other_end(lifeline)
    keep_freed_memory()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("websockets").setLevel(logging.WARNING)
    job = json.loads(sys.stdin.readline())
    try:
        policy = _load(job)
    except BaseException:
        os.write(report, traceback.format_exc().encode())
        raise
    with contextlib.closing(policy):
        server = PolicyServer(policy, listen_locally(job["socket"]))
        signal.signal(signal.SIGTERM, lambda *_: server.stop())
        os.write(report, b"ready")
        os.close(report)
        server.serve()
    return 0


def die_with_the_other_end(lifeline: int) -> None:
    """Have the kernel kill this process and all it starts when the pipe's other end is closed.

    It works whatever this process is doing, even when it is stopped or stuck in native code. The
    usual PR_SET_PDEATHSIG follows the *thread* that started a process, which may end early.
    Source: fcntl(2), F_SETSIG and O_ASYNC.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
    if select.select([lifeline], [], [], 0.0)[0]:  # it was closed before we could ask
        sys.exit(1)


def _load(job: dict[str, Any]) -> Policy:
    sys.path.append(os.environ["VLA_WORKER_MODULES"])
    config = PolicyConfig.model_validate(job["config"])
    contract = Contract.model_validate(job["contract"])
    adapter = resolve(job["adapter"])
    policy = adapter(job["address"], config, contract, Path(job["root"]))
    hosted = CheckedPolicy(TimedPolicy(policy))
    try:
        warm_up(hosted)
    except BaseException:
        hosted.close()
        raise
    return hosted


if __name__ == "__main__":
    sys.exit(main())
