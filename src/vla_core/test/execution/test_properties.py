"""Whatever happens, in any order: what the executor promises of every tick and of every hold.

`weather.py` makes the trouble, `witness.py` judges the commands; both know only what the executor
is told and what leaves it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from weather import SETTINGS, Storm, Weather, weathers
from witness import Witness

from vla_core.contract import Contract
from vla_core.execution import Command, Executor

Array = NDArray[np.float64]
MS = 1_000_000
EXAMPLES = 300
SHARDS, SHARD_EXAMPLES = 10, 3_000  # of a million ticks each
CALM = Weather(1, 0.3, 0.8, "blend", False, 0.1, 0.0, 0.0, 0.0, 0.0)


@dataclass
class Tally:
    """What was tried."""

    runs: int = 0
    ticks: int = 0
    commands: int = 0

    def __str__(self) -> str:
        return f"{self.ticks} ticks, {self.commands} of them with a command, in {self.runs} runs"


def explore(
    make_rig: Callable[..., Any], contract: Contract, examples: int, shard: int | None = None
) -> Tally:
    """Go through many weathers; one that breaks a promise shrinks to the events it needs."""
    tally = Tally()

    @given(weather=weathers())
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=shard is None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def holds(weather: Weather) -> None:
        storm = Storm(make_rig(), weather, partial(Executor, contract, SETTINGS))
        storm.run()
        tally.runs, tally.ticks = tally.runs + 1, tally.ticks + storm.ticks
        tally.commands += storm.commands

    (holds if shard is None else seed(shard)(holds))()
    return tally


@pytest.mark.once
@pytest.mark.timeout(1800)
def test_no_weather_breaks_a_promise(
    make_rig: Callable[..., Any], contract: Contract, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = explore(make_rig, contract, EXAMPLES)
    with capsys.disabled():
        print(f" [{tally}] ", end="", flush=True)
    assert tally.ticks >= 100_000
    assert tally.commands >= 0.5 * tally.ticks, "most of the time something has to move"


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("shard", range(SHARDS), ids="shard{}".format)
def test_no_weather_breaks_a_promise_in_ten_million_ticks(
    make_rig: Callable[..., Any],
    contract: Contract,
    capsys: pytest.CaptureFixture[str],
    shard: int,
) -> None:
    tally = explore(make_rig, contract, SHARD_EXAMPLES, shard)
    with capsys.disabled():
        print(f" [{tally}] ", end="", flush=True)
    assert tally.ticks >= 1_000_000


@pytest.mark.parametrize(
    "settings_of_the_clock", [(0.375, 0.375, 0.375), (0.0, 0.5), (0.5, 0.5, 0.5), (0.375, 0.5)]
)
def test_a_clock_that_is_set_several_times_within_a_tick_breaks_no_promise(
    make_rig: Callable[..., Any], contract: Contract, settings_of_the_clock: tuple[float, ...]
) -> None:
    events = tuple((20, "clock", how_much) for how_much in settings_of_the_clock)
    weather = replace(CALM, seed=0, wildness=0.0, speed=0.3, join="average", events=events)
    Storm(make_rig(), weather, partial(Executor, contract, SETTINGS)).run()


class Marked:
    """Chunks that stand still, each a little elsewhere, delivered late, twice and out of order."""

    def __init__(self, rig: Any, waits_ms: list[int], join: str) -> None:
        self.rig, self._waits_ms, self._mail = rig, waits_ms, list[tuple[int, Any]]()
        self.accepted: list[tuple[int, float, int]] = []  # request, where it stands, when
        rig.is_answering = False
        rig.begin(execution={"join": join})

    def tick(self) -> Command | None:
        rig = self.rig
        due = sorted((item for item in self._mail if item[0] <= rig.now_ns), key=lambda i: i[0])
        self._mail = [item for item in self._mail if item[0] > rig.now_ns]
        for _, request in due:
            self._deliver(request)
        decision = rig.tick()
        if decision.request is not None:
            number = decision.request.request_id
            wait_ms = self._waits_ms[number % len(self._waits_ms)]
            for ms in (wait_ms, wait_ms + 40):  # twice
                self._mail.append((rig.now_ns + ms * MS, decision.request))
        command: Command | None = decision.command
        return command

    def _deliver(self, request: Any) -> None:
        place = 0.2 + 0.004 * (request.request_id % 5)
        self.rig.reference = lambda t: np.tile([place, 0.0, 0.0, 0.5], (len(t), 1))
        refused = len(self.rig.refusals)
        self.rig.deliver(request)
        if len(self.rig.refusals) == refused:
            self.accepted.append((request.request_id, place, self.rig.now_ns))


@given(
    waits_ms=st.lists(st.integers(0, 700), min_size=3, max_size=8),
    join=st.sampled_from(["replace", "blend"]),
)
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_an_older_chunk_is_played_only_inside_a_blend(
    make_rig: Callable[..., Any], waits_ms: list[int], join: str
) -> None:
    marked, at_seam = Marked(make_rig(), waits_ms, join), 0.2
    played, settled = 0.2, 0
    for _ in range(150):
        known = len(marked.accepted)
        command = marked.tick()
        if len(marked.accepted) > known:
            at_seam = played
        if command is None:
            continue
        played = float(command.positions[0, 0])
        _, place, since_ns = marked.accepted[-1]
        before = marked.accepted[-2][1] if len(marked.accepted) > 1 else 0.2
        lowest, highest = min(at_seam, before, place), max(at_seam, before, place)
        assert lowest - 1e-3 <= played <= highest + 1e-3, "only the two of the blend"
        if command.stamp_ns - since_ns > 500 * MS:
            settled += 1
            assert played == pytest.approx(place, abs=1e-5), "the newest alone"
    numbers = [number for number, _, _ in marked.accepted]
    assert numbers == sorted(set(numbers)), "each once, in order"
    assert settled or len(numbers) > 3


def put(array: Array, row: int, column: int, value: float) -> None:
    array[row, column] = value


# What the witness says -> one number that is changed in one command: position q, velocity v, ...
SPOILED: dict[str, Callable[[Array, Array, Array], None]] = {
    "^position": lambda q, v, a: put(q, 3, 0, 1.6),
    "^velocity$": lambda q, v, a: put(v, 3, 0, 2.1),
    "^acceleration": lambda q, v, a: put(a, 3, 0, 12.1),
    "^jerk": lambda q, v, a: put(a, 0, 0, a[0, 0] - np.copysign(6.0, a[0, 0])),
    "^positions do not agree": lambda q, v, a: put(q, 0, 0, q[0, 0] + 3e-4),
    "^velocities do not agree": lambda q, v, a: put(v, 0, 0, v[0, 0] - np.copysign(0.05, v[0, 0])),
    "^velocity is not finite": lambda q, v, a: put(v, 2, 1, np.nan),
    "^a command ends at rest": lambda q, v, a: put(v, -1, 1, 0.01),
}


def calm_run(make_rig: Callable[..., Any], contract: Contract) -> tuple[Any, list[Command]]:
    storm = Storm(make_rig(), CALM, partial(Executor, contract, SETTINGS))
    storm.run()
    return storm.rig, [d.command for d in storm.rig.decisions if d.command is not None]


def test_the_witness_notices_one_wrong_number(
    make_rig: Callable[..., Any], contract: Contract
) -> None:
    rig, commands = calm_run(make_rig, contract)
    c = commands[60]
    for said, spoil in SPOILED.items():
        q, v, a = c.positions.copy(), c.velocities.copy(), c.accelerations.copy()
        spoil(q, v, a)
        wrong = replace(c, positions=q, velocities=v, accelerations=a)
        with pytest.raises(AssertionError, match=said):
            _judge(contract, rig, [*commands[:60], wrong, *commands[61:]])


def test_the_witness_notices_a_target_from_the_past_and_a_start_in_motion(
    make_rig: Callable[..., Any], contract: Contract
) -> None:
    rig, commands = calm_run(make_rig, contract)
    _judge(contract, rig, commands)
    again = [*commands[:61], replace(commands[61], stamp_ns=commands[60].stamp_ns)]
    with pytest.raises(AssertionError, match="must rise"):
        _judge(contract, rig, again)
    with pytest.raises(AssertionError, match="start"):
        _judge(contract, rig, commands[60:])


def _judge(contract: Contract, rig: Any, commands: list[Command]) -> None:
    rig.positions = commands[0].positions[0]
    witness = Witness(contract, rig)
    for command in commands:
        witness.see(command)
    witness.judge()
