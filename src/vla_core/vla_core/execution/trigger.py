"""When to ask for the next chunk, and what became of the question.

One request is in flight at most. Whatever happens to it (answered, refused, failed, lost, late,
doubled), the next one is asked in bounded time.
"""

from __future__ import annotations

import math

from vla_core.execution.values import Execution, ExecutorSettings, Request, Task
from vla_core.metrics import Window

WINDOW = 50
WARM_UP = 2
HIGH = 0.99
RECENT = 10  # answers that decide about synchronous execution: a slow spell is over soon
RETURN = 0.95
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0
LONGEST_TIMEOUT_S = 120.0


class RequestTrigger:
    """Decides about requests from the measured latency. The caller passes seconds and ns."""

    def __init__(self, task: Task, settings: ExecutorSettings) -> None:
        self._task = task
        self._settings = settings
        self._execution: Execution = task.execution
        self.latency = Window(WINDOW, skip=WARM_UP)  # observation to first use
        self._turnaround = Window(WINDOW, skip=WARM_UP)  # request to first use
        self.in_flight: Request | None = None
        self._not_before_ns = self._sent_ns = 0
        self._timeouts_in_a_row = 0
        self.failures_in_a_row = 0
        self._answered = False
        self._no_threshold_works = False

    def serves(self, task: Task) -> bool:
        """Whether what was learned about latency is true for this task as well."""
        return (self._task.policy, self._task.horizon, self._task.step_ns) == (
            task.policy,
            task.horizon,
            task.step_ns,
        )

    def change(self, task: Task) -> None:
        """Serve the same task, played otherwise."""
        self._task, self._execution = task, task.execution

    def restart(self, task: Task) -> None:
        """Serve another instruction of the same policy."""
        self._task, self._execution = task, task.execution
        self.in_flight = None
        self._not_before_ns = 0
        self.failures_in_a_row = self._timeouts_in_a_row = 0

    @property
    def expected_s(self) -> float:
        """How long the next answer may take [s]; 0: not known yet."""
        high_s = self._turnaround.quantile(HIGH)
        return 0.0 if math.isnan(high_s) else high_s

    @property
    def _horizon_s(self) -> float:
        rows = min(self._task.horizon_rows or self._task.horizon, self._task.horizon - 1)
        return rows * self._task.step_ns * 1e-9

    @property
    def threshold_s(self) -> float:
        """Ask when fewer seconds of the horizon are left; NaN: not known yet."""
        if self._execution.threshold is not None:
            return self._execution.threshold * self._horizon_s
        if self._execution.join == "ensemble":
            return self._horizon_s  # it averages what every step says: ask as often as it goes
        return self.needed_s

    @property
    def needed_s(self) -> float:
        """Rows for so long are needed to bridge an answer; NaN: not known yet."""
        return self._turnaround.quantile(HIGH) + 2 * self._task.step_ns * 1e-9

    @property
    def synchronous_reason(self) -> str:
        """Why execution is synchronous; empty: it is asynchronous."""
        if self._execution.synchronous:
            return "the policy's file asks for it"
        if self._no_threshold_works:
            return (
                f"inference takes {self._usual_s:.2f} s, more than half of the chunk "
                f"({self._feasible_s:.2f} s): no threshold avoids running out"
            )
        return ""

    @property
    def _usual_s(self) -> float:
        """What all but one of the newest answers took at most [s]: one alone is no rule."""
        newest = sorted(self._turnaround.newest(RECENT))
        return newest[max(0, len(newest) - 2)] if newest else math.nan

    @property
    def _feasible_s(self) -> float:
        return (self._task.horizon - 1) * self._task.step_ns * 1e-9 / 2

    def is_due(
        self,
        now_ns: int,
        horizon_left_s: float | None,
        age_s: float,
        moved: float = math.inf,
    ) -> bool:
        """Whether to ask now.

        Args:
            now_ns: the tick.
            horizon_left_s: seconds of the execution horizon left; None: no plan.
            age_s: age of the plan's observation.
            moved: how far the robot has moved since that observation, largest share of a
                column's range.
        """
        if self.in_flight is not None or now_ns < self._not_before_ns:
            return False
        if horizon_left_s is None:
            return True
        if self.synchronous_reason:
            return False
        if self._is_similar(horizon_left_s, age_s, moved):
            return False
        if self._execution.join == "ensemble" and now_ns < self._sent_ns + self._task.step_ns:
            return False
        refresh_s = self._execution.refresh_s
        if refresh_s is not None and age_s > refresh_s:
            return True
        threshold_s = self.threshold_s
        return math.isnan(threshold_s) or horizon_left_s <= threshold_s

    def _is_similar(self, horizon_left_s: float, age_s: float, moved: float) -> bool:
        """Whether an answer would say the same again; never where waiting could starve the robot.

        Source: SmolVLA (arXiv 2506.01844), section 3.3, with a scale, an age and a way out.
        """
        within, needed_s = self._execution.similar_within, self.needed_s
        if within == 0.0 or math.isnan(needed_s) or horizon_left_s <= needed_s:
            return False
        return moved < within and age_s < self._execution.similar_age_s

    def sent(self, request: Request) -> None:
        """Note that a request leaves."""
        self._sent_ns = request.sent_ns
        self.in_flight = request

    def has_timed_out(self, now_ns: int) -> bool:
        """Whether the request in flight is given up now; its answer would be refused."""
        if self.in_flight is None or now_ns - self.in_flight.sent_ns < self._timeout_s * 1e9:
            return False
        self._timeouts_in_a_row += 1
        self.failed(now_ns)
        return True

    @property
    def _timeout_s(self) -> float:
        """Time allowed for an answer; doubles when answers keep missing it."""
        base_s = self._settings.first_timeout_s
        if self._answered:
            high_s = self._turnaround.quantile(HIGH)
            base_s = self._settings.request_timeout_s
            base_s = base_s if math.isnan(high_s) else max(base_s, 4 * high_s)
        return float(min(base_s * 2**self._timeouts_in_a_row, LONGEST_TIMEOUT_S))

    def failed(self, now_ns: int) -> None:
        """Note that there is no usable answer: ask again after a growing pause."""
        self.in_flight = None
        self.failures_in_a_row += 1
        pause_s = min(FIRST_PAUSE_S * 2 ** (self.failures_in_a_row - 1), LONGEST_PAUSE_S)
        self._not_before_ns = now_ns + round(pause_s * 1e9)

    def answered(self) -> None:
        """Note that a chunk was accepted."""
        self.in_flight = None
        self.failures_in_a_row = 0
        self._timeouts_in_a_row = 0
        self._answered = True

    def used(self, now_ns: int, observed_ns: int, requested_ns: int) -> None:
        """Note the first tick that plays a chunk: this is the delay that counts."""
        self.latency.add((now_ns - observed_ns) * 1e-9)
        self._turnaround.add((now_ns - requested_ns) * 1e-9)
        # Return a little below the limit, so that it does not flicker.
        limit_s = self._feasible_s * (RETURN if self._no_threshold_works else 1.0)
        self._no_threshold_works = self._usual_s > limit_s

    def cancel(self, now_ns: int) -> None:
        """Forget the request in flight, for example on a hold; its answer would be too old."""
        self.in_flight = None
        self._not_before_ns = min(self._not_before_ns, now_ns + round(LONGEST_PAUSE_S * 1e9))

    def shift(self, now_ns: int) -> None:
        """Forget every instant, after a jump of the clock."""
        self.in_flight = None
        self._not_before_ns = self._sent_ns = now_ns
