"""Random trouble for one run: drawn by hypothesis, so that it shrinks to what really matters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from witness import Witness

from vla_core.errors import VlaError
from vla_core.execution import Execution, Executor, ExecutorSettings, Mode
from vla_core.execution.join import JOINS

Array = NDArray[np.float64]
MS = 1_000_000
S = 1_000_000_000
STEP = 20 * MS
HOME = np.array([0.2, 0.0, 0.0, 0.5])

TICKS = 350
# Small waits, so that a run sees what follows them.
SETTINGS = ExecutorSettings(request_timeout_s=0.4, first_timeout_s=1.0)
JUMP = round(SETTINGS.clock_jump_s * S)
RECOVERY_S = 20.0

EVENTS = (
    "stop",
    "reset",
    "end task",
    "deactivate",
    "clock",
    "pause",
    "no lease",
    "no measured state",
    "policy restart",
    "executor restart",
    "reorder",
    "failure",
    "latency",
    "speed",
    "join",
    "nonsense",
)
SPOILS = ("columns", "step", "far", "future", "old", "short", "late", "stranger")


@dataclass(frozen=True)
class Weather:
    """What goes wrong, how often, and when."""

    seed: int
    wildness: float  # of the rows
    speed: float  # share of the velocity limits that the rows ask for
    join: str
    synchronous: bool
    latency_s: float
    drop: float
    double: float
    spoil: float
    jitter: float
    events: tuple[tuple[int, str, float], ...] = ()  # at tick, what, how much


@st.composite
def weathers(draw: st.DrawFn) -> Weather:
    """Draw one run's trouble; the simplest is none."""
    share = st.sampled_from([0.0, 0.0, 0.1, 0.3])
    event = st.tuples(st.integers(20, TICKS - 1), st.sampled_from(EVENTS), st.floats(0.0, 1.0))
    return Weather(
        seed=draw(st.integers(0, 2**32 - 1)),
        wildness=draw(st.sampled_from([0.0, 0.3, 1.0])),
        speed=draw(st.sampled_from([0.3, 0.8, 1.2])),
        join=draw(st.sampled_from(sorted(JOINS))),
        synchronous=draw(st.sampled_from([False, False, False, True])),
        latency_s=draw(st.sampled_from([0.0, 0.1, 0.3, 0.6])),
        drop=draw(share),
        double=draw(share),
        spoil=draw(share),
        jitter=draw(st.sampled_from([0.0, 0.0, 0.1, 0.4])),
        events=tuple(draw(st.lists(event, max_size=10))),
    )


@dataclass
class Storm:
    """Runs a rig through a weather, and sees that its promises are kept."""

    rig: Any
    weather: Weather
    make_executor: Callable[[int], Executor]
    ticks: int = 0
    commands: int = 0
    mail: list[tuple[int, Any, str]] = field(default_factory=list)  # due, request, spoil
    lapses: dict[str, int] = field(default_factory=dict)  # what is missing, until when (steady)
    set_ns: int = 0  # by how much the clock was set since time last went on
    _latest_ns: int = 0  # when that was
    _newest_ns: int | None = None  # observation of the newest chunk that was accepted
    _answered: set[tuple[int, int, int]] = field(default_factory=set)
    _latency_s: float = 0.0

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.weather.seed)
        self._latency_s = self.weather.latency_s
        rig, contract = self.rig, self.rig.contract
        rig.executor = self.make_executor(7)
        self.witness = rig.judge = Witness(contract, rig)
        rig.now_ns, rig.steady_ns = 20 * S, 5 * S
        rig.positions, rig.is_answering = HOME, False
        self._omega = self.rng.uniform(0.5, 4.0, 4)
        limits = np.array([c.velocity for c in contract.action.columns])
        self._swing = np.minimum(
            self.weather.speed * limits / self._omega, [1.2, 1.8, np.inf, 0.4]
        )
        self._swing[2] = 0.8 * min(1.0, self.weather.speed) * limits[2]
        rig.reference = self.rows

    def rows(self, times_s: Array) -> Array:
        """Rows of one motion, each chunk with its own error: the wilder, the more."""
        wild, rng = self.weather.wildness, self.rng
        rows = HOME + self._swing * np.sin(self._omega * times_s[:, None])
        rows[:, 3] = np.where(np.sin(self._omega[3] * times_s) > 0.0, 0.9, 0.1)
        rows += rng.normal(0.0, 0.05 * wild, 4) + rng.normal(0.0, 0.005 * wild, rows.shape)
        if rng.random() < 0.2 * wild:
            rows[rng.integers(len(rows)) :] += rng.uniform(-0.12, 0.12, 4)
        return rows

    def run(self) -> None:
        """Go through the weather, then see that every hold ends when fresh chunks come."""
        begin_task(self)
        by_tick: dict[int, list[tuple[str, float]]] = {}
        for at, what, how_much in self.weather.events:
            by_tick.setdefault(at, []).append((what, how_much))
        for number in range(TICKS):
            for what, how_much in by_tick.get(number, ()):
                strike(self, what, how_much)
            if number % 25 == 24:
                get_going(self)
            self.tick(self._step_ns())
        self._recover()
        self.witness.judge()

    def _step_ns(self) -> int:
        """Mostly one step; sometimes the tick is early or late."""
        if self.rng.random() >= self.weather.jitter:
            return STEP
        return round(STEP * float(self.rng.choice([0.3, 0.9, 1.1, 2.0, 4.7])))

    def tick(self, step_ns: int = STEP) -> Any:
        """Let time pass, measure, deliver the post, decide, obey."""
        rig, now_ns = self.rig, self.rig.now_ns + step_ns
        rig.now_ns, rig.steady_ns = now_ns, rig.steady_ns + step_ns
        self._note_time()
        if rig.steady_ns >= self.lapses.get("no lease", 0):
            rig.executor.renew_lease("t1", now_ns)
        if rig.steady_ns >= self.lapses.get("no measured state", 0):
            rig.measure()
        due = [item for item in self.mail if item[0] <= now_ns]
        self.mail = [item for item in self.mail if item[0] > now_ns]
        for _, request, spoil in due:
            self._deliver(request, spoil)
        decision = rig.decide()
        self.ticks += 1
        self.commands += decision.command is not None
        if decision.request is not None:
            self._post(decision.request)
        return decision

    def _note_time(self) -> None:
        """Note whether the clock was set far, stands still (set back a little), or goes on."""
        if abs(self.set_ns) > JUMP:
            self.witness.clock_ns += self.set_ns
            self.forget_newest()
        elif self.rig.now_ns <= self._latest_ns:
            return
        self.set_ns, self._latest_ns = 0, self.rig.now_ns

    def _post(self, request: Any) -> None:
        """Send an answer that may be lost, doubled or spoiled."""
        rng, weather = self.rng, self.weather
        spoil = str(rng.choice(SPOILS)) if rng.random() < weather.spoil else ""
        due_ns = self.rig.now_ns + round(self._latency_s * float(rng.lognormal(0.0, 0.3)) * S)
        if rng.random() >= weather.drop:
            self.mail.append((due_ns, request, spoil))
        if rng.random() < weather.double:
            self.mail.append((due_ns + 30 * MS, request, ""))

    def _deliver(self, request: Any, spoil: str) -> None:
        """Hand an answer over; an accepted one is new and not older than the one before."""
        rig, changes = self.rig, _spoiled(request, spoil)
        try:
            answer = rig.answer(request, **changes)
            rig.executor.accept(answer, rig.now_ns)
        except VlaError:
            return
        assert spoil not in ("columns", "step", "far", "future", "stranger"), spoil
        key = (request.epoch.boot_id, request.epoch.counter, request.request_id)
        assert key not in self._answered, "one request, one chunk"
        self._answered.add(key)
        start_ns = answer.chunk.start_ns
        assert self._newest_ns is None or start_ns >= self._newest_ns, "older after newer"
        self._newest_ns = start_ns

    def forget_newest(self) -> None:
        """Note that time, or the executor, begins anew."""
        self._newest_ns = None

    def change_latency(self, latency_s: float) -> None:
        """Answer faster or slower from now on."""
        self._latency_s = latency_s

    def set_speed(self, scale: float) -> None:
        """Let people slow the robot down."""
        self.rig.executor.set_speed(scale, self.rig.now_ns)

    def change_join(self, name: str) -> None:
        """Switch the join while a task runs."""
        self.rig.executor.change_execution(Execution(join=name))  # type: ignore[arg-type]

    def _recover(self) -> None:
        rig = self.rig
        self.set_speed(1.0)
        self.lapses.clear()
        rig.reference = lambda times_s: np.tile(
            [*rig.positions[:2], 0.0, rig.positions[3]], (len(times_s), 1)
        )
        self.weather = replace(self.weather, spoil=0.0, drop=0.0)
        self._latency_s = 0.1
        decision = None
        for _ in range(round(RECOVERY_S * S / STEP)):
            get_going(self)
            decision = self.tick()
            if decision.mode is Mode.RUNNING:
                return
        assert decision is not None
        raise AssertionError(f"holds for ever: {decision.mode.name}, {decision.reason}")


def _spoiled(request: Any, spoil: str) -> dict[str, Any]:
    sent_ns = request.sent_ns
    changes: dict[str, dict[str, Any]] = {
        "columns": {"columns": ("turn", "lift", "drive", "gripper")},
        "step": {"step_ns": 40 * MS},
        "far": {"values": np.tile([9.0, 0.0, 0.0, 0.5], (32, 1))},
        "future": {"start_ns": sent_ns + 60 * S},
        "old": {"start_ns": sent_ns - 3 * S},
        "short": {"values": np.tile(HOME, (2, 1))},
        "late": {"start_ns": sent_ns - 1 * S},
        "stranger": {"policy": "another"},
    }
    return changes.get(spoil, {})


def begin_task(storm: Storm) -> None:
    """Activate if need be, and begin a task unless one runs or a stop is latched."""
    rig, weather = storm.rig, storm.weather
    try:
        execution = {"join": weather.join, "synchronous": weather.synchronous}
        rig.begin(execution=execution, accepts_prefix=True)
    except VlaError:
        return
    storm.forget_newest()


def get_going(storm: Storm) -> None:
    """Try to work again, as a router, a supervisor and a patient operator would."""
    executor = storm.rig.executor
    mode = executor.mode
    if executor.is_stopped:
        executor.reset(storm.rig.now_ns)
    if mode in (Mode.INACTIVE, Mode.IDLE, Mode.STOPPED):
        begin_task(storm)


def strike(storm: Storm, what: str, how_much: float) -> None:
    """Let one thing happen that the executor did not ask for."""
    rig, executor, now = storm.rig, storm.rig.executor, storm.rig.now_ns
    if what == "stop":
        executor.stop("test", now)
    elif what == "reset":
        executor.reset(now)
    elif what == "end task":
        executor.end_task("test", now)
    elif what == "deactivate":
        executor.deactivate(now)
    elif what == "clock":
        _set_clock(storm, how_much)
    elif what == "pause":
        storm.tick(round((1 + 14 * how_much) * STEP))
    elif what in ("no lease", "no measured state"):
        storm.lapses[what] = rig.steady_ns + round(2.5 * how_much * S)
    elif what == "policy restart":
        storm.mail.clear()
    elif what == "executor restart":
        _restart_executor(storm)
    elif what == "reorder":
        storm.rng.shuffle(storm.mail)  # type: ignore[arg-type]
        storm.mail = [(now + round(how_much * 0.4 * S), r, s) for _, r, s in storm.mail]
    elif what == "failure" and rig.requests:
        last = rig.requests[-1]
        executor.fail(last.request_id, last.epoch, last.policy, "test", now)
    elif what == "latency":
        storm.change_latency(how_much)
    elif what == "speed":
        storm.set_speed(0.0 if how_much < 0.2 else how_much)
    elif what == "join":
        storm.change_join(sorted(JOINS)[int(how_much * 0.999 * len(JOINS))])
    elif what == "nonsense":
        nan = float("nan")
        executor.measure(["lift", "turn"], [nan, float("inf")], now, now)
        storm.mail += [(now, request, "") for request in rig.requests[-4:]]


def _set_clock(storm: Storm, how_much: float) -> None:
    """Set the clock: a little (time goes on at another pace) or far, both ways."""
    offsets = (-3 * S, -200 * MS, -50 * MS, 50 * MS, 300 * MS, 10 * S)
    offset = offsets[min(len(offsets) - 1, int(how_much * len(offsets)))]
    storm.rig.now_ns += offset
    storm.set_ns += offset


def _restart_executor(storm: Storm) -> None:
    """Kill the executor in motion; another comes when the robot is at the end of its tail."""
    rig = storm.rig
    last = next((d.command for d in reversed(rig.decisions) if d.command is not None), None)
    if last is not None:
        rig.positions = last.positions[-1]
    passed_ns = 1 * S + (0 if last is None else int(last.times_ns[-1]))
    rig.now_ns, rig.steady_ns = rig.now_ns + passed_ns, rig.steady_ns + passed_ns
    rig.executor = storm.make_executor(int(storm.rng.integers(8, 2**31)))
    rig.decisions.clear()
    storm.witness.begin_anew()
    storm.witness.clock_ns, storm.set_ns = storm.witness.clock_ns + storm.set_ns, 0
    storm.forget_newest()
    begin_task(storm)
