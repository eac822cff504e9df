"""The executor: plays chunks by time, asks for the next one, and holds when in doubt."""

from __future__ import annotations

from collections.abc import Sequence

from vla_core.contract.model import Contract
from vla_core.errors import ChunkError, LimitError, NotReadyError
from vla_core.execution.acceptance import check_addressee, check_chunk
from vla_core.execution.counters import Counters
from vla_core.execution.guards import Lease, MeasuredState, TickClock, TrackingGuard
from vla_core.execution.join import join_named
from vla_core.execution.limiter import Tip
from vla_core.execution.modes import TABLE, Condition, Mode, Output, Standing, standing
from vla_core.execution.pilot import Pilot, Quarrel
from vla_core.execution.plan import Plan
from vla_core.execution.report import make_snapshot
from vla_core.execution.trigger import RequestTrigger
from vla_core.execution.values import (
    Answer,
    Command,
    Correction,
    Decision,
    ExecutorSettings,
    Request,
    Snapshot,
    Task,
)
from vla_core.metrics import JitterMeter
from vla_core.types import Epoch, Prefix

# Ticks in a row in which Ruckig may fail before the executor stops.
LIMITER_FAILURES = 10
JITTER_S = 10.0


class Executor:
    """Plays action chunks by time: a late inference costs rows, never a jump back.

    Every method takes ``now_ns`` of one clock. Callers serialise their calls; all are short. The
    tick alone moves the robot: the other methods only change what the next tick decides.
    """

    def __init__(
        self,
        contract: Contract,
        settings: ExecutorSettings | None = None,
        boot_id: int = 1,
        tip: Tip | None = None,
    ) -> None:
        """Start inactive.

        Args:
            contract: the robot.
            settings: limits of waiting.
            boot_id: random, never 0: tells this run from the one before a restart.
            tip: joint positions (K, A) to tool positions (K, 3) [m], for the workspace box.
        """
        self._contract = contract
        self._columns = contract.action.columns
        self._step_ns = contract.step_ns
        self._settings = settings or ExecutorSettings()
        self._epoch = Epoch(boot_id, 0)
        self._clock = TickClock(self._step_ns, self._settings.clock_jump_s)
        self._lease = Lease(self._settings.lease_s)
        self._measured = MeasuredState(contract)
        self._tracking = TrackingGuard(contract)
        self._pilot = Pilot(contract, self._measured, self._settings, tip)
        step_s = contract.action.step_s
        self._jitter = JitterMeter(step_s, max(1, round(JITTER_S / step_s)))
        self._counters = Counters()
        self._standing = standing(Condition.INACTIVE)
        self._is_active = False
        self._has_started = False  # the running task has had a measured state to start from
        self._task: Task | None = None
        self._trigger: RequestTrigger | None = None
        self._hold: Standing | None = None
        self._stop: Standing | None = None
        self._correction: Correction | None = None
        self._rejections = 0
        self._request_id = 0

    # What the node tells.

    @property
    def epoch(self) -> Epoch:
        """Whatever carries another epoch is dropped."""
        return self._epoch

    @property
    def mode(self) -> Mode:
        """The mode of the newest tick."""
        return TABLE[self._standing.condition].mode

    @property
    def is_stopped(self) -> bool:
        """Whether a stop is latched."""
        return self._stop is not None

    def activate(self, now_ns: int) -> None:
        """Permit motion; nothing moves before a task, a lease and a chunk."""
        self._is_active = True
        self._next_epoch()

    def deactivate(self, now_ns: int) -> None:
        """End the task and brake. The caller ticks on until a decision has no command."""
        self.end_task("deactivated", now_ns)
        self._is_active = False

    def begin_task(self, task: Task, now_ns: int) -> None:
        """Begin one instruction; counts as the first renewal of its lease.

        Raises:
            NotReadyError: inactive, stopped, or another task is running.
            ChunkError: the policy's columns are not the robot's.
        """
        if not self._is_active:
            raise NotReadyError("the executor is not active: activate it first")
        if self._stop is not None:
            raise NotReadyError(f"the executor is stopped ({self._stop.reason}): reset it first")
        if self._task is not None:
            raise NotReadyError(f"task '{self._task.task_id}' is still running")
        if task.columns != self._contract.columns:
            raise ChunkError(
                f"policy '{task.policy}': expected columns {list(self._contract.columns)}, "
                f"got {list(task.columns)}"
            )
        join_named(task.execution.join)
        self._next_epoch()
        self._task = task
        self._trigger = self._trigger_for(task)
        self._counters = Counters()
        self._rejections = 0
        self._tracking.clear()
        self._lease.renew(now_ns)
        if not self._pilot.is_moving(now_ns):  # else still braking from the task before
            self._pilot.start.leave()
        self._has_started = self._pilot.start.is_placed

    def end_task(self, reason: str, now_ns: int) -> None:
        """End the running task, if there is one, and brake."""
        if self._task is None:
            return
        self._forget_plan(now_ns)
        self._task = None
        self._hold = None
        self._lease.drop()

    def renew_lease(self, task_id: str, now_ns: int) -> None:
        """Take the router's permission for the running task; others are ignored."""
        if self._task is not None and self._task.task_id == task_id:
            self._lease.renew(now_ns)

    def measure(
        self, names: Sequence[str], positions: Sequence[float], stamp_ns: int, now_ns: int
    ) -> None:
        """Take measured positions, named as the entries of the contract's state streams."""
        self._measured.update(names, positions, stamp_ns)

    def correct(self, correction: Correction, now_ns: int) -> None:
        """Take a residual for one target time; used if younger than half a tick."""
        self._correction = correction

    def stop(self, reason: str, now_ns: int) -> None:
        """Stop now and stay stopped until reset."""
        self._latch(Condition.STOP_REQUESTED, f"stop requested: {reason}", now_ns)

    def reset(self, now_ns: int) -> None:
        """Clear a stop. The task is over; a new one starts from the measured state, at rest."""
        self._stop = None
        self._hold = None
        self._tracking.clear()
        self.end_task("reset", now_ns)
        self._pilot.start.forget()
        self._next_epoch()

    def clock_jumped(self, now_ns: int) -> None:
        """Note that the clock was set; the next tick finds the same by itself if it is told."""
        last_ns = self._clock.last_ns
        if last_ns is not None:
            self._clock.last_ns = now_ns - self._step_ns
            self._set_back(now_ns - self._step_ns - last_ns, now_ns)

    # Chunks.

    def accept(self, answer: Answer, now_ns: int) -> None:
        """Take a policy's answer and make it the plan.

        Raises:
            ChunkError: it is refused, with the reason; nothing has changed, except that three
                refused answers in a row mean hold.
        """
        task, trigger = self._task, self._trigger
        if task is None or trigger is None or self._stop is not None:
            self._counters.chunks_rejected += 1
            raise ChunkError("chunk refused: no task is running, nothing asked for it")
        try:
            check_addressee(answer, trigger.in_flight, self._epoch, task)
        except ChunkError:
            self._counters.chunks_rejected += 1
            raise
        request = trigger.in_flight
        assert request is not None  # check_addressee has compared it
        try:
            self._adopt(answer, request, task, trigger, now_ns)
        except ChunkError as error:
            self._reject(trigger, error, now_ns)
            raise

    def _adopt(
        self, answer: Answer, request: Request, task: Task, trigger: RequestTrigger, now_ns: int
    ) -> None:
        place = self._pilot.place(now_ns, self._clock.last_ns)
        accepted = check_chunk(
            answer.chunk, task, self._columns, place, self._settings.row_tolerance
        )
        try:
            self._pilot.adopt(accepted, request, task, place)
        except Quarrel as quarrel:
            self._hold_for(Condition.DISAGREEMENT, str(quarrel), now_ns)
            raise ChunkError(str(quarrel)) from None
        self._hold = None
        self._rejections = 0
        self._counters.chunks_accepted += 1
        self._counters.rows_dropped_late += accepted.dropped_rows
        trigger.answered()

    def _reject(self, trigger: RequestTrigger, error: ChunkError, now_ns: int) -> None:
        self._counters.chunks_rejected += 1
        self._rejections += 1
        trigger.failed(now_ns)
        if self._rejections >= self._settings.rejections_to_hold:
            self._hold_for(
                Condition.REJECTED,
                f"{self._rejections} chunks refused in a row, the last: {error}",
                now_ns,
            )

    def fail(self, request_id: int, epoch: Epoch, policy: str, message: str, now_ns: int) -> None:
        """Take a policy's word that there is no chunk; strangers are ignored."""
        trigger, task = self._trigger, self._task
        if task is None or trigger is None or trigger.in_flight is None:
            return
        addressed = (trigger.in_flight.request_id, self._epoch, task.policy)
        if (request_id, epoch, policy) != addressed:
            return
        self._counters.requests_failed += 1
        trigger.failed(now_ns)
        self._count_failures(trigger, message, now_ns)

    def _count_failures(self, trigger: RequestTrigger, message: str, now_ns: int) -> None:
        if trigger.failures_in_a_row >= self._settings.failures_to_hold:
            self._hold_for(
                Condition.FAILED,
                f"{trigger.failures_in_a_row} inferences failed in a row, the last: {message}",
                now_ns,
            )

    # The tick.

    def tick(self, now_ns: int, steady_ns: int | None = None) -> Decision:
        """Decide what to command and whether to ask.

        Args:
            now_ns: the tick; the next point is due one step later.
            steady_ns: the steady clock, where there is one: tells a pause from a jump.
        """
        advance = self._clock.advance(now_ns, steady_ns)
        if advance.is_repeated:
            return self._decision(None, None, now_ns)
        if advance.jumped_ns:
            self._set_back(advance.jumped_ns, now_ns)
        else:
            self._jitter.tick(now_ns)
        if advance.missed_ns:
            self._next_epoch()
            self._hold_for(
                Condition.CLOCK_JUMP, f"no tick for {advance.missed_ns / 1e9:.2f} s", now_ns
            )
        self._watch(now_ns)
        self._standing = self._play(now_ns)
        output = TABLE[self._standing.condition].output
        command = self._pilot.command(now_ns, output in (Output.PLAN, Output.HOLD))
        request = self._ask(now_ns)
        self._count(now_ns)
        return self._decision(command, request, now_ns)

    def _decision(self, command: Command | None, request: Request | None, now_ns: int) -> Decision:
        at_rest = self._pilot.limiter.rest_ns <= now_ns + self._step_ns
        return Decision(self.mode, self._standing.reason, command, request, at_rest)

    def _watch(self, now_ns: int) -> None:
        """Find out what forbids to move on."""
        trigger = self._trigger
        if self._stop is not None or self._task is None or trigger is None:
            return
        if trigger.has_timed_out(now_ns):
            self._counters.requests_timed_out += 1
            self._count_failures(trigger, "no answer in time", now_ns)
        age_ns = self._measured.age_ns(now_ns)
        if not self._has_started or age_ns is None:
            return
        if age_ns > self._settings.measured_lost_s * 1e9:
            limit_s = self._settings.measured_lost_s
            self._latch(Condition.MEASURED_LOST, f"no measured state for {limit_s:g} s", now_ns)
        elif not self._pilot.start.is_placed:
            return
        elif age_ns > self._settings.measured_age_s * 1e9:
            self._hold_for(
                Condition.MEASURED_OLD, f"measured state is {age_ns / 1e9:.2f} s old", now_ns
            )
        elif not self._lease.is_valid(now_ns):
            limit_s = self._settings.lease_s
            self._hold_for(
                Condition.LEASE_LOST, f"the router's lease is older than {limit_s:g} s", now_ns
            )
        commanded = self._pilot.limiter.state(now_ns)[0]
        trouble = self._tracking.trouble(commanded, self._measured.positions, now_ns)
        if trouble is not None:
            self._latch(Condition.TRACKING_ERROR, trouble, now_ns)

    def _play(self, now_ns: int) -> Standing:
        """Commit to the plan's next point, or leave the committed way to rest in force."""
        moving = self._pilot.is_moving(now_ns)
        if self._stop is not None:
            return self._stop
        if not self._is_active:
            return standing(Condition.DEACTIVATED if moving else Condition.INACTIVE)
        if self._task is None:
            return standing(Condition.TASK_ENDED if moving else Condition.NO_TASK)
        trouble = self._pilot.start.trouble(now_ns)
        if trouble is not None:
            return self._not_started(trouble, now_ns)
        self._has_started = True
        was_old = self._hold is not None and self._hold.condition is Condition.MEASURED_OLD
        if was_old and not self._pilot.start.is_commanding:
            self._hold = None  # it is over: what is missing now is a chunk
        if self._pilot.plan is None:
            return self._hold or standing(Condition.NO_CHUNK)
        return self._follow(self._pilot.plan, now_ns)

    def _not_started(self, trouble: Standing, now_ns: int) -> Standing:
        if TABLE[trouble.condition].mode is Mode.STOPPED:
            self._latch(trouble.condition, trouble.reason, now_ns)
        return trouble

    def _follow(self, plan: Plan, now_ns: int) -> Standing:
        target_ns = now_ns + self._step_ns
        synchronous = bool(self._trigger is not None and self._trigger.synchronous_reason)
        if target_ns > (plan.horizon_end_ns if synchronous else plan.end_ns):
            condition = Condition.WAITING if synchronous else Condition.RUN_OUT
            self._hold_for(condition, condition.value, now_ns)
            return self._hold or standing(condition)
        try:
            late = self._pilot.follow(plan, self._valid_correction(), now_ns)
        except LimitError as error:
            self._latch(Condition.LIMITER_FAILED, str(error), now_ns)
            return self._stop or standing(Condition.LIMITER_FAILED)
        self._counters.limit_interventions += bool(late)
        if self._pilot.is_first_use() and self._trigger is not None:
            self._trigger.used(now_ns, plan.observed_ns, plan.requested_ns)
        if target_ns > plan.horizon_end_ns:
            return standing(Condition.PAST_HORIZON)
        return standing(Condition.PLAYING)

    def _valid_correction(self) -> Correction | None:
        correction, task = self._correction, self._task
        if correction is None or task is None:
            return None
        is_ours = (correction.epoch, correction.policy) == (self._epoch, task.policy)
        return correction if is_ours else None

    def _ask(self, now_ns: int) -> Request | None:
        task, trigger, plan = self._task, self._trigger, self._pilot.plan
        if task is None or trigger is None or not self._may_ask(now_ns):
            return None
        left_s = None if plan is None else (plan.horizon_end_ns - now_ns) * 1e-9
        age_s = 0.0 if plan is None else (now_ns - plan.observed_ns) * 1e-9
        if not trigger.is_due(now_ns, left_s, age_s):
            return None
        self._request_id += 1
        request = Request(
            request_id=self._request_id,
            epoch=self._epoch,
            policy=task.policy,
            instruction=task.instruction,
            sent_ns=now_ns,
            prefix=self._knots(trigger, now_ns),
        )
        trigger.sent(request)
        self._counters.requests_sent += 1
        self._counters.requests_by_threshold += plan is not None
        return request

    def _may_ask(self, now_ns: int) -> bool:
        if self._stop is not None or not self._is_active or not self._pilot.start.is_placed:
            return False
        age_ns = self._measured.age_ns(now_ns)
        is_fresh = age_ns is not None and age_ns <= self._settings.measured_age_s * 1e9
        is_still = not self._pilot.is_moving(now_ns)
        return (
            is_fresh
            and self._lease.is_valid(now_ns)
            and (self._pilot.plan is not None or is_still)
        )

    def _knots(self, trigger: RequestTrigger, now_ns: int) -> Prefix | None:
        """Return the plan from the oldest observation that may answer to its end."""
        if self._pilot.plan is None:
            return None
        oldest_ns = now_ns - round(self._contract.observation.max_age_s * 1e9)
        return self._pilot.plan.knots(oldest_ns, now_ns + round(trigger.expected_s * 1e9))

    def _count(self, now_ns: int) -> None:
        if self._task is None:
            return
        self._counters.ticks += 1
        late = (Condition.RUN_OUT, Condition.REJECTED, Condition.FAILED)
        if self._standing.condition in late and self._counters.chunks_accepted:
            self._counters.starved_ticks += 1

    # Holding and stopping: the committed motion to rest simply stays in force.

    def _hold_for(self, condition: Condition, reason: str, now_ns: int) -> None:
        if self._task is None or self._stop is not None:
            return
        self._hold = Standing(condition, reason)
        self._forget_plan(now_ns)

    def _latch(self, condition: Condition, reason: str, now_ns: int) -> None:
        if self._stop is None:
            self._stop = Standing(condition, reason)
        self._hold = None
        self._forget_plan(now_ns)

    def _forget_plan(self, now_ns: int) -> None:
        if self._pilot.plan is not None and self._trigger is not None:
            self._trigger.cancel(now_ns)
        self._pilot.plan = None
        self._correction = None

    def _set_back(self, offset_ns: int, now_ns: int) -> None:
        """Carry on in the new time where the old time ended."""
        self._pilot.limiter.shift(offset_ns)
        self._lease.shift(offset_ns, now_ns)
        self._measured.shift(offset_ns, now_ns)
        self._jitter.forget_last()
        self._tracking.clear()
        self._next_epoch()
        if self._trigger is not None:
            self._trigger.shift(now_ns)
        self._hold_for(
            Condition.CLOCK_JUMP, f"the clock jumped by {offset_ns / 1e9:+.2f} s", now_ns
        )

    def _next_epoch(self) -> None:
        self._epoch = self._epoch.next()
        if self._trigger is not None:
            self._trigger.in_flight = None

    def _trigger_for(self, task: Task) -> RequestTrigger:
        """Keep what is known about a policy's latency when it gets another instruction."""
        if self._trigger is not None and self._trigger.serves(task):
            self._trigger.restart(task)
            return self._trigger
        return RequestTrigger(task, self._settings)

    # What the node publishes.

    def snapshot(self, now_ns: int) -> Snapshot:
        """Return everything `ExecutorState` carries."""
        return make_snapshot(
            now_ns,
            self._epoch,
            self._standing,
            self._task,
            self._trigger,
            self._pilot.plan,
            self._pilot.smoothness,
            self._jitter,
            self._counters,
        )
