"""The part of a tick that finds out in which condition the executor is, and plays the plan."""

from __future__ import annotations

from vla_core.errors import LimitError
from vla_core.execution.modes import TABLE, Condition, Mode, Standing, standing
from vla_core.execution.plan import Plan
from vla_core.execution.session import Session
from vla_core.execution.watch import Watch


class Player:
    """Commits to the plan's next point where nothing forbids it."""

    def __init__(self, session: Session, watch: Watch) -> None:
        self._session, self._pilot, self._watch = session, session.pilot, watch

    def play(self, now_ns: int) -> Standing:
        """Commit to the plan's next point, or leave the committed way to rest in force."""
        session, moving = self._session, self._pilot.is_moving(now_ns)
        if session.stop is not None:
            return session.stop
        if not session.is_active:
            return standing(Condition.DEACTIVATED if moving else Condition.INACTIVE)
        if session.task is None:
            return standing(Condition.TASK_ENDED if moving else Condition.NO_TASK)
        trouble = self._pilot.start.trouble(now_ns)
        if trouble is not None:
            return self._not_started(trouble, now_ns)
        self._watch.has_started = True
        was_old = session.hold is not None and session.hold.condition is Condition.MEASURED_OLD
        if was_old and not self._pilot.start.is_commanding:
            session.hold = None  # it is over: what is missing now is a chunk
        self._pause(now_ns)
        if self._pilot.plan is None:
            return session.hold or standing(Condition.NO_CHUNK)
        return self._follow(self._pilot.plan, now_ns)

    def _pause(self, now_ns: int) -> None:
        """Hold while the speed is 0. What the plan was made for may be elsewhere afterwards."""
        session, pace = self._session, self._pilot.pace
        if pace.speed(now_ns) == 0.0:
            session.hold_for(Condition.PAUSED, Condition.PAUSED.value, now_ns)
        elif session.hold is not None and session.hold.condition is Condition.PAUSED:
            session.hold = Standing(Condition.PAUSED, "after a pause: waiting for a chunk")

    def _not_started(self, trouble: Standing, now_ns: int) -> Standing:
        if TABLE[trouble.condition].mode is Mode.STOPPED:
            self._session.latch(trouble.condition, trouble.reason, now_ns)
        return trouble

    def _follow(self, plan: Plan, now_ns: int) -> Standing:
        session, trigger = self._session, self._session.trigger
        target_ns = self._pilot.pace.plan_ns(now_ns + session.contract.step_ns)
        synchronous = bool(trigger is not None and trigger.synchronous_reason)
        if target_ns > (plan.horizon_end_ns if synchronous else plan.end_ns):
            condition = Condition.WAITING if synchronous else Condition.RUN_OUT
            session.hold_for(condition, condition.value, now_ns)
            return session.hold or standing(condition)
        try:
            late = self._pilot.follow(plan, session.valid_correction, now_ns)
        except LimitError as error:
            session.latch(Condition.LIMITER_FAILED, str(error), now_ns)
            return session.stop or standing(Condition.LIMITER_FAILED)
        session.counters.limit_interventions += bool(late)
        session.counters.corrections_used += self._pilot.is_corrected
        if self._pilot.is_first_use() and trigger is not None:
            trigger.used(now_ns, plan.observed_ns, plan.requested_ns)
        if target_ns > plan.horizon_end_ns:
            return standing(Condition.PAST_HORIZON)
        return standing(Condition.PLAYING)

    def count(self, is_commanded: bool, now_ns: int) -> None:
        """Count the tick."""
        session, moving = self._session, self._pilot.is_moving(now_ns)
        if session.stop is not None:
            session.meters.stopping(now_ns, moving)
        if session.task is None:
            return
        session.counters.ticks += 1
        late = (Condition.RUN_OUT, Condition.REJECTED, Condition.FAILED)
        is_starved = session.standing.condition in late and session.counters.chunks_accepted > 0
        session.counters.starved_ticks += is_starved
        plan = self._pilot.plan
        session.meters.tick(now_ns, None if plan is None else plan.observed_ns, is_starved)
        session.meters.commanded(now_ns, is_commanded and moving)
