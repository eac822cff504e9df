"""Our executor node with a stopwatch: notes when each chunk has become usable."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from vla_executor.executor_node import ExecutorNode
from vla_ros.run import run_node
from vla_ros.stamps import now_ns


class TimedExecutor(ExecutorNode):
    """Writes `request_id arrived_ns usable_ns` into VLA_BENCH_FOLDER/usable.txt."""

    def __init__(self) -> None:
        self._notes = (Path(os.environ["VLA_BENCH_FOLDER"]) / "usable.txt").open("a", buffering=1)
        super().__init__()

    def _on_chunk(self, msg: Any) -> None:
        arrived = now_ns(self)
        super()._on_chunk(msg)
        usable = now_ns(self)
        self._notes.write(f"{msg.epoch.counter} {msg.request_id} {arrived} {usable}\n")


if __name__ == "__main__":
    sys.exit(run_node(TimedExecutor, is_urgent=True))
