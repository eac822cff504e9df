"""Finds out what forbids to move on: old measurements, a lost lease, a robot that lags behind."""

from __future__ import annotations

from vla_core.execution.guards import Lease, TrackingGuard
from vla_core.execution.modes import Condition
from vla_core.execution.session import Session


class Watch:
    """Looks at lease, measured state and tracking error; holds or stops the session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.lease = Lease(session.settings.lease_s)
        self.tracking = TrackingGuard(session.contract)
        self.has_started = False  # the running task has had a measured state to start from

    def begin(self, now_ns: int) -> None:
        """Begin with a task."""
        self.tracking.clear()
        self.lease.renew(now_ns)
        self.has_started = self._session.pilot.start.is_placed

    def shift(self, offset_ns: int, now_ns: int) -> None:
        """Follow a jump of the clock."""
        self._session.measured.shift(offset_ns, now_ns)
        self.lease.shift(offset_ns, now_ns)
        self.tracking.clear()

    def may_move(self, now_ns: int) -> bool:
        """Whether lease and measured state allow to move."""
        age_ns = self._session.measured.age_ns(now_ns)
        is_fresh = age_ns is not None and age_ns <= self._session.settings.measured_age_s * 1e9
        return is_fresh and self.lease.is_valid(now_ns)

    def look(self, now_ns: int) -> None:
        """Hold or stop where something is wrong; a task is running."""
        session, settings = self._session, self._session.settings
        age_ns = session.measured.age_ns(now_ns)
        if not self.has_started or age_ns is None:
            return
        if age_ns > settings.measured_lost_s * 1e9:
            reason = f"no measured state for {settings.measured_lost_s:g} s"
            session.latch(Condition.MEASURED_LOST, reason, now_ns)
        elif not session.pilot.start.is_placed:
            return
        elif age_ns > settings.measured_age_s * 1e9:
            reason = f"measured state is {age_ns / 1e9:.2f} s old"
            session.hold_for(Condition.MEASURED_OLD, reason, now_ns)
        elif not self.lease.is_valid(now_ns):
            reason = f"the router's lease is older than {settings.lease_s:g} s"
            session.hold_for(Condition.LEASE_LOST, reason, now_ns)
        if not settings.shadow:
            self._look_at_tracking(now_ns)

    def _look_at_tracking(self, now_ns: int) -> None:
        session = self._session
        commanded = session.pilot.limiter.state(now_ns)[0]
        trouble = self.tracking.trouble(commanded, session.measured.positions, now_ns)
        if trouble is not None:
            session.latch(Condition.TRACKING_ERROR, trouble, now_ns)
