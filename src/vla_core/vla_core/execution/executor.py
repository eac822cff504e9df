"""The executor: plays chunks by time, asks for the next one, and holds when in doubt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vla_core.contract.model import Contract
from vla_core.errors import ChunkError, LimitError, NotReadyError
from vla_core.execution.acceptance import Place, check_addressee, check_chunk
from vla_core.execution.counters import Counters
from vla_core.execution.curve import Blend, Constant, Curve, Points, Times
from vla_core.execution.guards import Lease, MeasuredState, TickClock, TrackingGuard
from vla_core.execution.join import Seam, join_named
from vla_core.execution.limiter import Limiter, Sample, Tip
from vla_core.execution.modes import TABLE, Condition, Mode, Output, Standing, standing
from vla_core.execution.plan import Plan
from vla_core.execution.report import make_snapshot
from vla_core.execution.smoothness import SmoothnessMeter
from vla_core.execution.start import Start
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
        self._limiter = Limiter(contract, self._settings.tail_step_s, tip)
        self._clock = TickClock(self._step_ns, self._settings.clock_jump_s)
        self._lease = Lease(self._settings.lease_s)
        self._measured = MeasuredState(contract)
        self._tracking = TrackingGuard(contract)
        self._smoothness = SmoothnessMeter(self._columns, self._step_ns)
        step_s = contract.action.step_s
        self._jitter = JitterMeter(step_s, max(1, round(JITTER_S / step_s)))
        self._counters = Counters()
        self._start = Start(self._columns, self._measured, self._limiter, self._settings)
        self._standing = standing(Condition.INACTIVE)
        self._is_active = False
        self._has_started = False  # the running task has had a measured state to start from
        self._task: Task | None = None
        self._trigger: RequestTrigger | None = None
        self._plan: Plan | None = None
        self._is_plan_new = False
        self._hold: Standing | None = None
        self._stop: Standing | None = None
        self._correction: Correction | None = None
        self._rejections = 0
        self._limiter_failures = 0
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
        self._rejections = self._limiter_failures = 0
        self._tracking.clear()
        self._lease.renew(now_ns)
        if self._limiter.rest_ns <= now_ns:  # else still braking from the task before
            self._start.leave()
        self._has_started = self._start.is_placed

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
        self._limiter_failures = 0
        self._tracking.clear()
        self.end_task("reset", now_ns)
        self._start.forget()
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
        place = self._place(now_ns)
        accepted = check_chunk(
            answer.chunk, task, self._columns, place, self._settings.row_tolerance
        )
        plan = Plan.of(accepted, request, task, self._columns)
        rest = self._resting_curve()
        seam = Seam(
            old=rest if self._plan is None else self._plan.curve,
            old_own=rest if self._plan is None else self._plan.own,
            new=plan.curve,
            at_ns=place.next_ns - self._step_ns,
            end_ns=plan.end_ns,
            step_ns=self._step_ns,
            columns=self._columns,
        )
        if self._plan is not None:
            quarrel = seam.quarrel(task.execution.mode_switch)
            if quarrel is not None and task.execution.join == "blend":
                self._hold_for(Condition.DISAGREEMENT, quarrel, now_ns)
                raise ChunkError(quarrel)
            self._smoothness.joined(seam)
        self._plan = plan.joined(join_named(task.execution.join)(seam))
        self._is_plan_new = True
        self._hold = None
        self._rejections = 0
        self._counters.chunks_accepted += 1
        self._counters.rows_dropped_late += accepted.dropped_rows
        trigger.answered()

    def _place(self, now_ns: int) -> Place:
        last_ns = self._clock.last_ns if self._clock.last_ns is not None else now_ns
        rest_ns = self._limiter.rest_ns
        plan = self._plan
        return Place(
            now_ns=now_ns,
            next_ns=max(last_ns + 2 * self._step_ns, now_ns),
            rest_since_ns=rest_ns if rest_ns <= now_ns and self._start.is_placed else None,
            observed_ns=plan.observed_ns if plan is not None else None,
            has_plan=plan is not None,
        )

    def _resting_curve(self) -> Curve:
        positions = self._limiter.state(self._limiter.rest_ns)[0]
        is_position = [column.is_position for column in self._columns]
        return Constant(np.where(is_position, positions, 0.0))

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
        command = self._command(now_ns)
        request = self._ask(now_ns)
        self._count(now_ns)
        return self._decision(command, request, now_ns)

    def _decision(self, command: Command | None, request: Request | None, now_ns: int) -> Decision:
        at_rest = self._limiter.rest_ns <= now_ns + self._step_ns
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
        elif not self._start.is_placed:
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
        commanded = self._limiter.state(now_ns)[0]
        trouble = self._tracking.trouble(commanded, self._measured.positions, now_ns)
        if trouble is not None:
            self._latch(Condition.TRACKING_ERROR, trouble, now_ns)

    def _play(self, now_ns: int) -> Standing:
        """Commit to the plan's next point, or leave the committed way to rest in force."""
        moving = self._limiter.rest_ns > now_ns
        if self._stop is not None:
            return self._stop
        if not self._is_active:
            return standing(Condition.DEACTIVATED if moving else Condition.INACTIVE)
        if self._task is None:
            return standing(Condition.TASK_ENDED if moving else Condition.NO_TASK)
        trouble = self._start.trouble(now_ns)
        if trouble is not None:
            return self._not_started(trouble, now_ns)
        self._has_started = True
        was_old = self._hold is not None and self._hold.condition is Condition.MEASURED_OLD
        if was_old and not self._start.is_commanding:
            self._hold = None  # it is over: what is missing now is a chunk
        if self._plan is None:
            return self._hold or standing(Condition.NO_CHUNK)
        return self._follow(self._plan, now_ns)

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
        failures = self._limiter.failures
        try:
            late = self._limiter.follow(self._corrected(plan.curve, target_ns), now_ns)
        except LimitError as error:
            self._latch(Condition.LIMITER_FAILED, str(error), now_ns)
            return self._stop or standing(Condition.LIMITER_FAILED)
        self._start.commanded()
        self._counters.limit_interventions += bool(late)
        self._count_limiter_failures(self._limiter.failures > failures, now_ns)
        self._note_use(plan, now_ns)
        if target_ns > plan.horizon_end_ns:
            return standing(Condition.PAST_HORIZON)
        return standing(Condition.PLAYING)

    def _count_limiter_failures(self, has_failed: bool, now_ns: int) -> None:
        self._limiter_failures = self._limiter_failures + 1 if has_failed else 0
        if self._limiter_failures >= LIMITER_FAILURES:
            sentence = f"the limiter failed in {LIMITER_FAILURES} ticks in a row"
            self._latch(Condition.LIMITER_FAILED, sentence, now_ns)

    def _note_use(self, plan: Plan, now_ns: int) -> None:
        if isinstance(plan.curve, Blend) and now_ns >= plan.curve.end_ns:
            self._plan = plan.joined(plan.curve.new)  # the blend is over
        if self._is_plan_new and self._trigger is not None:
            self._is_plan_new = False
            self._trigger.used(now_ns, plan.observed_ns, plan.requested_ns)

    def _corrected(self, curve: Curve, target_ns: int) -> Sample:
        """Return the plan, with a residual if there is one for this very target."""
        correction, task = self._correction, self._task
        if (
            correction is None
            or task is None
            or (correction.epoch, correction.policy) != (self._epoch, task.policy)
            or abs(correction.target_ns - target_ns) > self._step_ns / 2
        ):
            return curve.sample
        residual = np.zeros(len(self._columns))
        for name, value in zip(correction.columns, correction.values.tolist(), strict=True):
            if name in self._contract.columns:
                residual[self._contract.columns.index(name)] = value

        def sample(times_ns: Times) -> Points:
            value, first, second = curve.sample(times_ns)
            return value + residual * (times_ns == target_ns)[:, None], first, second

        return sample

    def _command(self, now_ns: int) -> Command | None:
        """Return what leaves: whatever moves is always brought to rest first."""
        output = TABLE[self._standing.condition].output
        moving = self._limiter.rest_ns > now_ns
        held = output in (Output.PLAN, Output.HOLD) and self._start.is_commanding
        if not moving and not held:
            self._smoothness.interrupted()
            if self._start.is_commanding:
                self._start.leave()  # somebody else may move the robot now
            return None
        command = self._limiter.command(now_ns)
        self._smoothness.tick(command.velocities[0], command.accelerations[0])
        return command

    def _ask(self, now_ns: int) -> Request | None:
        task, trigger, plan = self._task, self._trigger, self._plan
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
        if self._stop is not None or not self._is_active or not self._start.is_placed:
            return False
        age_ns = self._measured.age_ns(now_ns)
        is_fresh = age_ns is not None and age_ns <= self._settings.measured_age_s * 1e9
        is_still = self._limiter.rest_ns <= now_ns
        return is_fresh and self._lease.is_valid(now_ns) and (self._plan is not None or is_still)

    def _knots(self, trigger: RequestTrigger, now_ns: int) -> Prefix | None:
        """Return the plan from the oldest observation that may answer to its end."""
        if self._plan is None:
            return None
        oldest_ns = now_ns - round(self._contract.observation.max_age_s * 1e9)
        return self._plan.knots(oldest_ns, now_ns + round(trigger.expected_s * 1e9))

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
        if self._plan is not None and self._trigger is not None:
            self._trigger.cancel(now_ns)
        self._plan = None
        self._correction = None

    def _set_back(self, offset_ns: int, now_ns: int) -> None:
        """Carry on in the new time where the old time ended."""
        self._limiter.shift(offset_ns)
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
            self._plan,
            self._smoothness,
            self._jitter,
            self._counters,
        )
