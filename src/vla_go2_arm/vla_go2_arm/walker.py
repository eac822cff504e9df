"""What the walking base is told at each tick: Move, StopMove, or nothing.

All of the base's safety that is special about this robot is here: the firmware keeps a Move for up
to a second and gives it no ramp, answers 0 to a Move that it ignores, loses requests, and may stop
telling its state. Pure: times are of a steady clock [ns].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_core.types import NS_PER_S
from vla_go2_arm import sport
from vla_go2_arm.posture import BaseState, Posture

Floats = NDArray[np.float64]

# A standing robot's own estimate is not zero: it sways and drifts [m/s, rad/s].
REST = np.array([0.05, 0.05, 0.1])
NEGLIGIBLE = 1e-4  # a wanted velocity below this is none
# A StopMove may get lost, and a moving robot sees it only at its next step.
STOP_PERIOD_NS = NS_PER_S // 10
REST_SHOWN_NS = NS_PER_S // 5  # rest has to be shown for so long before stops are not repeated
# Wanted for so long without any motion: the firmware ignores Move, though it answers 0.
FOLLOW_WITHIN_NS = 2 * NS_PER_S
# After StandUp the firmware may ignore Move for 4 to 10 s, and then obey at once
# (unitree_sdk2_python issue 175).
SETTLE_NS = 10 * NS_PER_S


@dataclass(frozen=True)
class WalkerSettings:
    """Limits by column vx, vy, vyaw [m/s, m/s, rad/s], and how long silence may last."""

    limits: Sequence[float]
    watchdog_ns: int = NS_PER_S // 2
    state_timeout_ns: int = 3 * NS_PER_S // 10


class Walker:
    """Decides; knows the newest state and whether a stop is owed.

    Calls are serialised by the caller (one lock in the node).
    """

    def __init__(self, settings: WalkerSettings, service: str) -> None:
        self._settings, self._service = settings, service
        self._limits = np.asarray(settings.limits, np.float64)
        self._state: BaseState | None = None
        self._advanced_ns: int | None = None  # when the robot's own stamp advanced last
        self._stop_owed = False
        self._stopped_ns: int | None = None  # when StopMove was sent last
        self._rest_since_ns: int | None = None
        self._ignored_since_ns: int | None = None
        self._standing_since_ns: int | None = None  # None: stood already when first seen
        self._operator_drives = False
        self.clamped = 0  # commands that were outside the limits

    def see(self, state: BaseState, now_ns: int) -> None:
        """Take a state that was received at ``now_ns``; one whose stamp stands still is none."""
        before = self._state
        if before is not None and state.stamp_ns == before.stamp_ns:
            return
        was_ready = before is None or self._posture_of(before) is Posture.READY
        if not was_ready and self._posture_of(state) is Posture.READY:
            self._standing_since_ns = now_ns
        self._state, self._advanced_ns = state, now_ns
        is_still = bool((np.abs(state.velocity) < REST).all())
        self._rest_since_ns = (self._rest_since_ns or now_ns) if is_still else None

    def operator(self, drives: bool) -> None:
        """Note whether the sticks are deflected: a stop would fight the operator."""
        self._operator_drives = drives

    def halt(self) -> None:
        """Owe a stop from now on, whatever was told before."""
        self._stop_owed, self._stopped_ns = True, None

    def tick(self, velocity: Floats, command_age_ns: int | None, now_ns: int) -> sport.Call | None:
        """Return what to send for the wanted velocity (3,); None: nothing.

        Args:
            velocity: vx, vy, vyaw, already ramped after silence.
            command_age_ns: since the last command that was taken over; None: there was none.
            now_ns: steady time.
        """
        wanted = self._wanted(velocity, command_age_ns, now_ns)
        self._notice_ignored(velocity, now_ns)
        if np.abs(wanted).max() > NEGLIGIBLE:
            self._stop_owed, self._stopped_ns, self._rest_since_ns = True, None, None
            return sport.move(*wanted)
        return self._stop(now_ns)

    def problem(self, now_ns: int) -> str | None:
        """Return why motion has to end and stay ended; None: nothing is wrong."""
        if self._state is None or self._advanced_ns is None:
            return "the robot tells no state"
        silent_ns = now_ns - self._advanced_ns
        if silent_ns > self._settings.state_timeout_ns:
            return f"the robot's state has not advanced for {silent_ns / NS_PER_S:.2f} s"
        posture = self._posture_of(self._state)
        if posture is not Posture.READY:
            return f"the robot {posture.value} ({self._state.describe()})"
        ignored = self._ignored_since_ns
        if ignored is not None and now_ns - ignored > FOLLOW_WITHIN_NS:
            return (
                f"the robot has not moved for {(now_ns - ignored) / NS_PER_S:.1f} s of Move, "
                "though it is ready; has it just stood up, or is obstacle avoidance on?"
            )
        return None

    def settles_s(self, now_ns: int) -> float:
        """Return how long Move is still held back after standing up [s]; 0: not at all."""
        if self._standing_since_ns is None:
            return 0.0
        return max(0.0, (self._standing_since_ns + SETTLE_NS - now_ns) / NS_PER_S)

    @property
    def state(self) -> BaseState | None:
        """The newest state."""
        return self._state

    @property
    def posture(self) -> Posture:
        """The newest posture; UNKNOWN before the first state."""
        return Posture.UNKNOWN if self._state is None else self._posture_of(self._state)

    @property
    def is_stopping(self) -> bool:
        """Whether a stop is owed: rest has not been shown since the last motion."""
        return self._stop_owed

    def _posture_of(self, state: BaseState) -> Posture:
        return state.posture(self._service)

    def _wanted(self, velocity: Floats, age_ns: int | None, now_ns: int) -> Floats:
        is_silent = age_ns is None or age_ns > self._settings.watchdog_ns
        if is_silent or not np.isfinite(velocity).all():
            return np.zeros(3)
        if self.problem(now_ns) is not None or self.settles_s(now_ns) > 0:
            return np.zeros(3)
        clipped = np.clip(velocity, -self._limits, self._limits)
        self.clamped += bool((np.abs(velocity - clipped) > 1e-9).any())
        return clipped

    def _notice_ignored(self, velocity: Floats, now_ns: int) -> None:
        is_seen = self._state is not None and (np.abs(self._state.velocity) >= REST).any()
        is_asked = (np.abs(velocity) > 2 * REST).any() and self.settles_s(now_ns) == 0
        if is_seen or not is_asked:
            self._ignored_since_ns = None
        elif self._ignored_since_ns is None:
            self._ignored_since_ns = now_ns

    def _stop(self, now_ns: int) -> sport.Call | None:
        """Return StopMove, again and again, until the state shows rest after it."""
        if not self._stop_owed:
            return None
        if self._stopped_ns is None:
            self._stopped_ns, self._rest_since_ns = now_ns, None
            return sport.call(sport.Api.STOP_MOVE)
        if self._shows_rest(now_ns):
            self._stop_owed = False
            return None
        if self._operator_drives or now_ns - self._stopped_ns < STOP_PERIOD_NS:
            return None
        self._stopped_ns = now_ns
        return sport.call(sport.Api.STOP_MOVE)

    def _shows_rest(self, now_ns: int) -> bool:
        is_fresh = (
            self._advanced_ns is not None
            and now_ns - self._advanced_ns <= self._settings.state_timeout_ns
        )
        since = self._rest_since_ns
        return is_fresh and since is not None and now_ns - since >= REST_SHOWN_NS
