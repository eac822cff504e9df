"""An arm that is told where to go each tick, and what is wrong with it. No ROS.

Bad news do not raise: they are a sentence that the bridge stops with, so that reading and the
watching of the arm go on.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import NotReadyError, VlaError
from vla_core.types import NS_PER_S
from vla_so101.arm import Arm
from vla_so101.state import ArmState
from vla_so101.units import GRIPPER

Floats = NDArray[np.float64]

RETRY_NS = NS_PER_S  # between two attempts to find a lost bus again
# After which a servo that does not answer stops the arm; the executor holds earlier by itself.
SILENT_NS = NS_PER_S // 2


@dataclass(frozen=True, eq=False)
class Reading:
    """What all servos measured; arrays (J,) in the arm's order."""

    positions: Floats  # [rad]
    velocities: Floats  # [rad/s]
    state: ArmState


class Follower:
    """One arm under commands; times are of the steady clock [ns]. Thread-safe."""

    def __init__(self, arm: Arm) -> None:
        self.arm = arm
        self._lock = threading.RLock()  # a bridge that is deactivated ticks from two threads
        self.trouble = ""  # why the arm must not be commanded; empty: nothing
        self.newest: Reading | None = None
        self._holds = False
        self._lost_until_ns: int | None = None  # when to try again; None: connected
        self._heard_ns: dict[str, int] = {}

    @property
    def is_lost(self) -> bool:
        """Whether the bus is gone."""
        return self._lost_until_ns is not None

    def connect(self, now_ns: int) -> None:
        """Open the arm; a VlaError refuses."""
        with self._lock:
            self.arm.connect()
            self._lost_until_ns, self.trouble, self.newest = None, "", None
            self._heard_ns = dict.fromkeys(self.arm.settings.joints, now_ns)

    def hold(self) -> None:
        """Switch torque on where the arm is; NotReadyError."""
        with self._lock:
            self.arm.hold()
            self._holds = True

    def recover(self) -> None:
        """Switch torque on again where a servo protected itself, at the present position."""
        with self._lock:
            if not self.is_lost and self._holds:
                self.arm.hold(again=set(self.arm.complaints()) - {GRIPPER})

    def close(self) -> None:
        """Let go of the bus; the arm goes on holding."""
        with self._lock:
            self.arm.close()
            self.newest, self._holds, self._lost_until_ns = None, False, None

    def step(self, goals: Floats | None, now_ns: int) -> Reading | None:
        """Send goals (J,) [rad], NaN: none; return what was measured, None: not all of it."""
        with self._lock:
            if self._lost_until_ns is not None and not self._is_back(now_ns):
                return None
            return self._exchange(goals, now_ns)

    def _exchange(self, goals: Floats | None, now_ns: int) -> Reading | None:
        try:
            state = self.arm.exchange(goals)
        except NotReadyError as error:
            self._lose(error, now_ns)
            return None
        self.trouble = self._trouble(state, now_ns)
        if not state.is_complete:
            return None
        arm = self.arm
        self.newest = Reading(arm.positions(state), arm.velocities(state), state)
        return self.newest

    def _lose(self, error: VlaError, now_ns: int) -> None:
        self.trouble, self.newest = str(error), None
        self._lost_until_ns = now_ns + RETRY_NS
        self.arm.close()

    def _is_back(self, now_ns: int) -> bool:
        if self._lost_until_ns is None or now_ns < self._lost_until_ns:
            return False
        holds = self._holds
        try:
            self.connect(now_ns)
            if holds:
                self.hold()
        except VlaError as error:
            self._lose(error, now_ns)
            return False
        return True

    def _trouble(self, state: ArmState, now_ns: int) -> str:
        """Return what is wrong, the worst first."""
        joints = self.arm.settings.joints
        heard = np.isfinite(state.ticks)
        self._heard_ns.update({j: now_ns for j, is_heard in zip(joints, heard, strict=True)
                               if is_heard})  # fmt: skip
        limp = [j for j, torque in zip(joints, state.torque, strict=True) if torque == 0]
        if limp and self._holds:
            return f"{limp} lost their torque: the arm falls there. Check the power supply"
        silent = [j for j, heard_ns in self._heard_ns.items() if now_ns - heard_ns > SILENT_NS]
        if silent:
            return f"servos {silent} do not answer any more: check the bus cable"
        complaints = {j: names for j, names in self.arm.complaints().items() if j != GRIPPER}
        if complaints:
            said = "; ".join(
                f"'{joint}': {', '.join(names)}" for joint, names in complaints.items()
            )
            return f"servos complain: {said}"
        return ""
