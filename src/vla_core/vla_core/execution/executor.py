"""The executor: plays chunks by time, asks for the next one, and holds when in doubt."""

from __future__ import annotations

from collections.abc import Sequence

from vla_core.contract.model import Contract
from vla_core.execution.guards import TickClock
from vla_core.execution.limiter import Tip
from vla_core.execution.modes import TABLE, Condition, Mode, Output
from vla_core.execution.player import Player
from vla_core.execution.report import make_snapshot
from vla_core.execution.requests import Requests
from vla_core.execution.session import Session
from vla_core.execution.values import (
    Answer,
    Command,
    Correction,
    Decision,
    Execution,
    ExecutorSettings,
    Request,
    Snapshot,
    Task,
)
from vla_core.execution.watch import Watch
from vla_core.metrics import JitterMeter
from vla_core.types import Epoch

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
        self._step_ns = contract.step_ns
        self._settings = settings or ExecutorSettings()
        self._session = Session(contract, self._settings, boot_id, tip)
        self._pilot = self._session.pilot
        self._watch = Watch(self._session)
        self._requests = Requests(self._session)
        self._player = Player(self._session, self._watch)
        self._clock = TickClock(self._step_ns, self._settings.clock_jump_s)
        step_s = contract.action.step_s
        self._jitter = JitterMeter(step_s, max(1, round(JITTER_S / step_s)))

    # What the node tells.

    @property
    def epoch(self) -> Epoch:
        """Whatever carries another epoch is dropped."""
        return self._session.epoch

    @property
    def mode(self) -> Mode:
        """The mode of the newest tick."""
        return TABLE[self._session.standing.condition].mode

    @property
    def is_stopped(self) -> bool:
        """Whether a stop is latched."""
        return self._session.stop is not None

    def activate(self, now_ns: int) -> None:
        """Permit motion; nothing moves before a task, a lease and a chunk."""
        self._session.is_active = True
        self._session.next_epoch()

    def deactivate(self, now_ns: int) -> None:
        """End the task and brake. The caller ticks on until a decision has no command."""
        self.end_task("deactivated", now_ns)
        self._session.is_active = False

    def begin_task(self, task: Task, now_ns: int) -> None:
        """Begin one instruction; counts as the first renewal of its lease.

        Raises:
            NotReadyError: inactive, stopped, or another task is running.
            ChunkError: the policy's columns are not the robot's.
            ConfigurationError: the join does not exist, or the policy cannot be joined by it.
        """
        self._session.check_task(task)
        self._session.begin(task)
        self._requests.begin()
        if not self._pilot.is_moving(now_ns):  # else still braking from the task before
            self._pilot.start.leave()
        self._watch.begin(now_ns)

    def end_task(self, reason: str, now_ns: int) -> None:
        """End the running task, if there is one, and brake."""
        if self._session.task is not None:
            self._session.end(now_ns)
            self._watch.lease.drop()

    def change_execution(self, execution: Execution) -> None:
        """Play the running task's chunks otherwise from the next one on; no task: nothing.

        Raises:
            ConfigurationError: the join does not exist, or the policy cannot be joined by it.
        """
        self._session.change(execution)

    def set_speed(self, scale: float, now_ns: int) -> None:
        """Play plans at this share of their speed and of the velocity limits, for people nearby.

        The robot follows the same way more slowly; at 0 it rests until the speed is above 0 and
        a chunk has been observed after that.

        Raises:
            ConfigurationError: not 0 to 1.
        """
        self._pilot.pace.set(scale, now_ns, self._pilot.plan is not None)

    def renew_lease(self, task_id: str, now_ns: int) -> None:
        """Take the router's permission for the running task; others are ignored."""
        task = self._session.task
        if task is not None and task.task_id == task_id:
            self._watch.lease.renew(now_ns)

    def measure(
        self, names: Sequence[str], positions: Sequence[float], stamp_ns: int, now_ns: int
    ) -> None:
        """Take measured positions, named as the entries of the contract's state streams."""
        self._session.measured.update(names, positions, stamp_ns)

    def correct(self, correction: Correction, now_ns: int) -> None:
        """Take a residual for one target time; used if younger than half a tick."""
        self._session.correction = correction

    def accept(self, answer: Answer, now_ns: int) -> None:
        """Take a policy's answer and make it the plan.

        Raises:
            ChunkError: it is refused, with the reason; nothing has changed, except that three
                refused answers in a row mean hold.
        """
        self._requests.accept(answer, now_ns, self._clock.last_ns)

    def fail(self, request_id: int, epoch: Epoch, policy: str, message: str, now_ns: int) -> None:
        """Take a policy's word that there is no chunk; strangers are ignored."""
        task = self._session.task
        if task is not None and (epoch, policy) == (self._session.epoch, task.policy):
            self._requests.fail(request_id, message, now_ns)

    def lose_policy(self, policy: str, reason: str, now_ns: int) -> None:
        """Note that a policy has gone or begun anew: the request in flight is asked again."""
        task = self._session.task
        if task is not None and task.policy == policy:
            self._requests.lose_policy(reason, now_ns)

    def stop(self, reason: str, now_ns: int) -> None:
        """Stop now and stay stopped until reset."""
        self._session.latch(Condition.STOP_REQUESTED, f"stop requested: {reason}", now_ns)

    def reset(self, now_ns: int) -> None:
        """Clear a stop. The task is over; a new one starts from the measured state, at rest."""
        self._session.stop = None
        self._session.hold = None
        self._watch.tracking.clear()
        self.end_task("reset", now_ns)
        self._pilot.start.forget()
        self._session.next_epoch()

    def clock_jumped(self, now_ns: int) -> None:
        """Note that the clock was set; the next tick finds the same by itself if it is told."""
        last_ns = self._clock.last_ns
        if last_ns is not None:
            self._clock.last_ns = now_ns - self._step_ns
            self._set_back(now_ns - self._step_ns - last_ns, now_ns)

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
            self._session.next_epoch()
            self._session.hold_for(
                Condition.CLOCK_JUMP, f"no tick for {advance.missed_ns / 1e9:.2f} s", now_ns
            )
        self._look(now_ns)
        self._session.standing = self._player.play(now_ns)
        output = TABLE[self._session.standing.condition].output
        # In shadow somebody else moves the robot, so a hold is where the robot is found.
        holds = output is Output.PLAN or (output is Output.HOLD and not self._settings.shadow)
        command = self._pilot.command(now_ns, holds)
        request = self._requests.ask(self._watch.may_move(now_ns), now_ns)
        self._player.count(command is not None, now_ns)
        return self._decision(command, request, now_ns)

    def _decision(self, command: Command | None, request: Request | None, now_ns: int) -> Decision:
        at_rest = self._pilot.limiter.rest_ns <= now_ns + self._step_ns
        sent, withheld = (None, command) if self._settings.shadow else (command, None)
        reason = self._session.standing.reason
        return Decision(self.mode, reason, sent, request, at_rest, withheld)

    def _look(self, now_ns: int) -> None:
        session = self._session
        if session.stop is None and session.task is not None and session.trigger is not None:
            self._requests.expire(session.trigger, now_ns)
            self._watch.look(now_ns)

    def _set_back(self, offset_ns: int, now_ns: int) -> None:
        """Carry on in the new time where the old time ended."""
        session = self._session
        self._pilot.limiter.shift(offset_ns)
        self._watch.shift(offset_ns, now_ns)
        self._jitter.forget_last()
        session.next_epoch()
        if session.trigger is not None:
            session.trigger.shift(now_ns)
        session.hold_for(
            Condition.CLOCK_JUMP, f"the clock jumped by {offset_ns / 1e9:+.2f} s", now_ns
        )

    # What the node publishes.

    def snapshot(self, now_ns: int) -> Snapshot:
        """Return everything `ExecutorState` carries."""
        return make_snapshot(now_ns, self._session, self._jitter)
