"""An executor in its second life, and what it asked for."""

from __future__ import annotations

from contextlib import suppress

from vla_core.contract import Contract
from vla_core.errors import ChunkError
from vla_core.execution import Answer, Decision, Executor, Request, Task
from vla_core.types import ActionChunk
from vla_data.records import Chunk, Failure


class Session:
    """An executor in its second life, and what it asked for."""

    def __init__(self, contract: Contract, boot_id: int, now_ns: int) -> None:
        self.executor = Executor(contract, boot_id=boot_id)
        self.executor.activate(now_ns)
        self.boot_id = boot_id
        self.task_id = ""
        self._asked: dict[int, Request] = {}  # by the tick

    def begin(self, task: Task, now_ns: int) -> None:
        self.executor.end_task("replaced", now_ns)
        self.executor.begin_task(task, now_ns)
        self.task_id = task.task_id

    def tick(self, now_ns: int) -> Decision:
        decision = self.executor.tick(now_ns)
        if decision.request is not None:
            self._asked[now_ns] = decision.request
        return decision

    def answer(self, chunk: Chunk, sent_ns: int, now_ns: int) -> None:
        """Hand in a recorded chunk as the answer to what was asked at the same tick."""
        request = self._asked.get(sent_ns)
        if request is None:
            return
        rows = (chunk.values, chunk.start_ns, chunk.step_ns, chunk.columns, chunk.prefix_rows)
        answer = Answer(request.request_id, request.epoch, chunk.policy, ActionChunk(*rows))
        # Refused live or not: the commands will tell.
        with suppress(ChunkError):
            self.executor.accept(answer, now_ns)

    def fail(self, failure: Failure, sent_ns: int, now_ns: int) -> None:
        """Hand in a recorded failure as the answer to what was asked at the same tick."""
        request = self._asked.get(sent_ns)
        if request is not None:
            asked = (request.request_id, request.epoch, failure.policy)
            self.executor.fail(*asked, failure.message, now_ns)
