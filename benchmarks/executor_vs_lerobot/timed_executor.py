"""Our executor node with a stopwatch: notes when each chunk has become usable."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from vla_executor.executor_node import ExecutorNode
from vla_executor.inputs import Inputs
from vla_ros.run import run_node
from vla_ros.stamps import now_ns


class TimedInputs(Inputs):
    """Writes `request_id arrived_ns usable_ns` into VLA_BENCH_FOLDER/usable.txt."""

    def __init__(self, *args: Any) -> None:
        self._notes = (Path(os.environ["VLA_BENCH_FOLDER"]) / "usable.txt").open("a", buffering=1)
        super().__init__(*args)

    def on_chunk(self, msg: Any) -> None:
        """Hand it on and note when it came and when it could be played."""
        arrived = now_ns(self._node)
        super().on_chunk(msg)
        usable = now_ns(self._node)
        self._notes.write(f"{msg.epoch.counter} {msg.request_id} {arrived} {usable}\n")


class TimedExecutor(ExecutorNode):
    """The executor as it is, with a watch on its chunks."""

    inputs_class = TimedInputs


if __name__ == "__main__":
    sys.exit(run_node(TimedExecutor, is_urgent=True))
