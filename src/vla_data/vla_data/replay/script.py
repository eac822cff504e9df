"""A recording as ticks and inputs, which can be run again and again."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vla_core.contract import Contract
from vla_core.errors import ConfigurationError
from vla_core.execution import Command, Decision
from vla_data.recording import Recording
from vla_data.records import DEGRADED, RUNNING
from vla_data.records import Command as Recorded
from vla_data.replay.inputs import begun, others
from vla_data.replay.outcome import Difference, Replay, difference
from vla_data.replay.session import Session

Times = NDArray[np.int64]

NEAR = 3  # ticks around a difference in which inputs may be moved
SILENCE_NS = 100_000_000  # a longer pause of an executor that plays is not one of ticks


class Script:
    """A recording as inputs and ticks."""

    def __init__(self, recording: Recording, contract: Contract, tolerance: float) -> None:
        self._recording, self._contract = recording, contract
        self._tolerance = tolerance
        self._step_ns = contract.step_ns
        begins = list(begun(recording, contract))
        if not begins:
            raise ConfigurationError(f"bag {recording.path} has no request of an executor")
        self.inputs = sorted([*begins, *others(recording)], key=lambda each: each.at_ns)
        self._recorded = self._by_stamp()
        self._ticks = self._tick_times(min(each.at_ns for each in begins))
        self._asked = {request.sent_ns for request in recording.requests}
        at = np.array([each.at_ns for each in self.inputs], np.int64)
        # Before which tick, in halves: odd is half a step before it, even a whole one.
        self._places = 2 * np.searchsorted(self._ticks, at, side="right") + 1

    def near(self, stamp_ns: int, offsets: Times) -> list[int]:
        """Return the inputs close to a tick, those first that change most."""
        tick = int(np.searchsorted(self._ticks, stamp_ns))
        close = np.flatnonzero(np.abs((self._places + offsets) // 2 - tick) <= NEAR)
        order = {"chunk": 0, "fail": 1, "end": 2, "begin": 3, "stop": 4, "measure": 5}
        wanted = [int(i) for i in close if self.inputs[i].kind in order]
        return sorted(
            wanted, key=lambda i: (order[self.inputs[i].kind], abs(self._places[i] // 2 - tick))
        )

    def run(self, offsets: Times, limit: int | None = None) -> Replay:
        """Run the executor until the first difference, or a number of equal commands."""
        session: Session | None = None
        places = np.clip(self._places + offsets, 0, 2 * len(self._ticks) + 1)
        order = np.lexsort((np.arange(len(places)), places))
        following, commands = 0, list[Command]()
        found: Difference | None = None
        for index, now in enumerate(self._ticks.tolist()):
            while following < len(order) and places[order[following]] < 2 * index + 2:
                number = order[following]
                each, half = self.inputs[number], places[number] % 2
                following += 1
                if each.kind == "begin" and (session is None or session.boot_id != each.boot_id):
                    session = self._new_session(each.boot_id, now)
                if session is not None:
                    each.apply(session, now - self._step_ns + half * (self._step_ns // 2))
            if session is None:
                continue
            decision = session.tick(now)
            found = self._difference(now, decision)
            if found is not None:
                break
            if decision.command is not None:
                commands.append(decision.command)
            if limit is not None and len(commands) >= limit:
                break
        return Replay(commands, len(commands), len(self._recorded), found, 0)

    def _difference(self, now: int, decision: Decision) -> Difference | None:
        if (decision.request is not None) != (now in self._asked):
            asked = "asked for a chunk" if decision.request else "did not ask for a chunk"
            return Difference(now, f"{asked}, recorded was otherwise")
        recorded = self._recorded.get(now)
        return difference(now, decision.command, recorded, self._contract, self._tolerance)

    def _is_trajectory(self, output: str) -> bool:
        return self._contract.outputs[output].type == "trajectory_msgs/msg/JointTrajectory"

    def _by_stamp(self) -> dict[int, dict[str, Recorded]]:
        found: dict[int, dict[str, Recorded]] = {}
        for name, commands in self._recording.commands.items():
            if not self._is_trajectory(name):
                continue  # no stamps: cannot be told apart by tick
            for command in commands:
                found.setdefault(command.stamp_ns, {})[name] = command
        return found

    def _tick_times(self, first_ns: int) -> Times:
        """Return when the executor ticked: each command's stamp, and each step of a silence."""
        step = self._step_ns
        stamps = sorted(stamp for stamp in self._recorded if stamp >= first_ns)
        end = max([self._recording.states[-1].stamp_ns, *stamps], default=first_ns)
        begin = -(-first_ns // step) * step
        edges = [begin - step, *stamps, end + step]
        ticks = set(stamps)
        for before, after in pairwise(edges):
            if after - before > step and self._is_silent(before, after):
                ticks.update(range(before + step, after, step))
        return np.array(sorted(ticks), np.int64)

    def _is_silent(self, before: int, after: int) -> bool:
        """Whether an executor that ticked had nothing to say, rather than being held up."""
        states = [s for s in self._recording.states if before < s.stamp_ns < after]
        if states:
            return all(state.mode not in (RUNNING, DEGRADED) for state in states)
        return after - before < SILENCE_NS and self._mode_at(before) not in (RUNNING, DEGRADED)

    def _mode_at(self, at_ns: int) -> int | None:
        state = self._recording.state_at(at_ns)
        return state.mode if state else None

    def _new_session(self, boot_id: int, now: int) -> Session:
        """Return a new executor that has heard the newest measurements.

        If the recorder came later than the executor, its first ones have to do.
        """
        session = Session(self._contract, boot_id, now - self._step_ns)
        for series in self._recording.series.values():
            if len(series.stamps_ns):
                row = max(0, int(np.searchsorted(series.stamps_ns, now, side="right")) - 1)
                stamp = min(now, int(series.stamps_ns[row]))
                values = series.values[row].tolist()
                session.executor.measure(series.entries, values, stamp, now)
        return session
