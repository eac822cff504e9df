"""The executor's correspondence: asks for chunks, takes answers and failures, gives up waiting."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import ChunkError
from vla_core.execution.acceptance import check_addressee, check_chunk
from vla_core.execution.modes import Condition
from vla_core.execution.pilot import Quarrel
from vla_core.execution.session import Session
from vla_core.execution.trigger import RequestTrigger
from vla_core.execution.values import Answer, Request, Task
from vla_core.types import Prefix

Array = NDArray[np.float64]


class Requests:
    """Whatever becomes of a request, the next one is asked and no answer is used twice."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rejections = 0
        self._request_id = 0
        self._measured_when_asked: Array | None = None
        self._asked: Array | None = None  # measured when the plan's chunk was asked for

    def begin(self) -> None:
        """Forget the task before."""
        self._rejections = 0

    # Answers.

    def accept(self, answer: Answer, now_ns: int, last_tick_ns: int | None) -> None:
        """Make an answer the plan.

        Raises:
            ChunkError: it is refused, with the reason.
        """
        session = self._session
        task, trigger = session.task, session.trigger
        if task is None or trigger is None or session.stop is not None:
            session.counters.chunks_rejected += 1
            raise ChunkError("chunk refused: no task is running, nothing asked for it")
        try:
            check_addressee(answer, trigger.in_flight, session.epoch, task)
        except ChunkError:
            session.counters.chunks_rejected += 1
            raise
        request = trigger.in_flight
        assert request is not None  # check_addressee has compared it
        try:
            self._adopt(answer, request, task, now_ns, last_tick_ns)
        except ChunkError as error:
            self._reject(trigger, error, now_ns)
            raise
        trigger.answered()

    def _adopt(
        self, answer: Answer, request: Request, task: Task, now_ns: int, last_tick_ns: int | None
    ) -> None:
        session = self._session
        place = session.pilot.place(now_ns, last_tick_ns)
        accepted = check_chunk(
            answer.chunk,
            task,
            session.contract.action.columns,
            place,
            session.settings.row_tolerance,
        )
        try:
            session.pilot.adopt(accepted, request, task, place)
        except Quarrel as quarrel:
            session.counters.mode_switches += 1
            session.hold_for(Condition.DISAGREEMENT, str(quarrel), now_ns)
            raise ChunkError(str(quarrel)) from None
        session.hold = None
        self._asked = self._measured_when_asked
        self._rejections = 0
        session.counters.chunks_accepted += 1
        session.counters.rows_dropped_late += accepted.dropped_rows
        session.counters.rows_accepted += len(accepted.rows)
        session.counters.rows_clamped += accepted.clamped_rows
        session.meters.answered(answer.chunk, now_ns)

    def _reject(self, trigger: RequestTrigger, error: ChunkError, now_ns: int) -> None:
        session = self._session
        session.counters.chunks_rejected += 1
        self._rejections += 1
        trigger.failed(now_ns)
        if self._rejections >= session.settings.rejections_to_hold:
            session.hold_for(
                Condition.REJECTED,
                f"{self._rejections} chunks refused in a row, the last: {error}",
                now_ns,
            )

    # No answer.

    def fail(self, request_id: int, message: str, now_ns: int) -> None:
        """Note that the request in flight will get no chunk; others are ignored."""
        trigger = self._session.trigger
        if self._session.task is None or trigger is None or trigger.in_flight is None:
            return
        if trigger.in_flight.request_id != request_id:
            return
        self._session.counters.requests_failed += 1
        trigger.failed(now_ns)
        self._count_failures(trigger, message, now_ns)

    def lose_policy(self, reason: str, now_ns: int) -> None:
        """Note that nobody works on the request in flight any more."""
        trigger = self._session.trigger
        if trigger is not None and trigger.in_flight is not None:
            self.fail(trigger.in_flight.request_id, reason, now_ns)

    def expire(self, trigger: RequestTrigger, now_ns: int) -> None:
        """Give up a request that was waited for long enough."""
        if trigger.has_timed_out(now_ns):
            self._session.counters.requests_timed_out += 1
            self._count_failures(trigger, "no answer in time", now_ns)

    def _count_failures(self, trigger: RequestTrigger, message: str, now_ns: int) -> None:
        if trigger.failures_in_a_row >= self._session.settings.failures_to_hold:
            self._session.hold_for(
                Condition.FAILED,
                f"{trigger.failures_in_a_row} inferences failed in a row, the last: {message}",
                now_ns,
            )

    # Questions.

    def ask(self, may_move: bool, now_ns: int) -> Request | None:
        """Return the request that leaves with this tick.

        Args:
            may_move: whether lease and measured state allow to use an answer.
            now_ns: the tick.
        """
        session = self._session
        task, trigger, plan = session.task, session.trigger, session.pilot.plan
        if task is None or trigger is None or not may_move or not self._may_ask(now_ns):
            return None
        pace = session.pilot.pace
        left_s = None if plan is None else pace.left_s(plan.horizon_end_ns, now_ns)
        age_s = 0.0 if plan is None else (now_ns - plan.observed_ns) * 1e-9
        if not trigger.is_due(now_ns, left_s, age_s, self._moved()):
            return None
        self._request_id += 1
        request = Request(
            request_id=self._request_id,
            epoch=session.epoch,
            policy=task.policy,
            instruction=task.instruction,
            sent_ns=now_ns,
            prefix=self._knots(trigger, now_ns),
        )
        trigger.sent(request)
        self._measured_when_asked = session.measured.positions.copy()
        session.counters.requests_sent += 1
        session.counters.requests_by_threshold += plan is not None
        return request

    def _moved(self) -> float:
        """Return how far the robot is from where the plan's chunk was asked for."""
        session, request = self._session, self._asked
        if session.task is None or session.task.execution.similar_within == 0.0:
            return math.inf
        return math.inf if request is None else session.measured.moved_since(request)

    def _may_ask(self, now_ns: int) -> bool:
        session, pilot = self._session, self._session.pilot
        if session.stop is not None or not session.is_active or not pilot.start.is_placed:
            return False
        if pilot.pace.target == 0.0:
            return False
        return pilot.plan is not None or not pilot.is_moving(now_ns)

    def _knots(self, trigger: RequestTrigger, now_ns: int) -> Prefix | None:
        """Return the plan from the oldest observation that may answer to its end.

        Below full speed the plan's time lags behind: knots are told as if the plan went on at full
        speed from now, which is what an observation of now has to be answered with.
        """
        plan, pace = self._session.pilot.plan, self._session.pilot.pace
        if plan is None:
            return None
        oldest_ns = now_ns - round(self._session.contract.observation.max_age_s * 1e9)
        committed_ns = pace.plan_ns(now_ns + round(trigger.expected_s * 1e9))
        knots = plan.knots(pace.plan_ns(oldest_ns), committed_ns)
        lag_ns = now_ns - pace.plan_ns(now_ns)
        if knots is None or lag_ns == 0:
            return knots
        return replace(
            knots,
            start_ns=knots.start_ns + lag_ns,
            committed_until_ns=knots.committed_until_ns + lag_ns,
        )
