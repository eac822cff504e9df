"""In which tick a command was sent that says no time, such as a Twist."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vla_data.records import UNSTAMPED, Command

# Commands of one tick arrive no further apart than this, in steps. To leave one without a partner
# costs as much, so that one that was lost, and not one that was late, is left alone.
REACH = 4


def in_ticks(
    commands: Sequence[Command],
    stamped: Sequence[Command],
    step_ns: int,
    to_ros: Callable[[int], int],
) -> list[Command]:
    """Give each command without a stamp that of another receiver's command of the same tick.

    A tick sends one command to each receiver, so both sequences are the same ticks in the same
    order, but for what was lost; when each arrives tells less, because a busy machine holds up
    one of a pair or hears several at once. What has no partner was sent when it arrived.

    Args:
        commands: of one receiver, as they arrived.
        stamped: of one that says its times, as they arrived.
        step_ns: between two ticks.
        to_ros: wall clock to ROS time.
    """
    unstamped = [c for c in commands if c.stamp_ns == UNSTAMPED]
    partners = iter(
        _aligned([c.arrived_ns for c in unstamped], [c.arrived_ns for c in stamped], step_ns)
    )
    found = []
    for command in commands:
        if command.stamp_ns == UNSTAMPED:
            partner = next(partners)
            sent_ns = to_ros(command.arrived_ns) if partner is None else stamped[partner].stamp_ns
            command = replace(command, stamp_ns=sent_ns)
        found.append(command)
    return found


@dataclass(frozen=True)
class _Match:
    """A command, its partner, and what was matched before; together they cost so much."""

    cost: int
    command: int
    partner: int
    before: _Match | None


def _aligned(times: Sequence[int], others: Sequence[int], step_ns: int) -> list[int | None]:
    """Return each time's partner, in order, each once: the least time apart in all."""
    ends: dict[int, _Match | None] = {-1: None}  # by the last partner, the cheapest way there
    for number, time in enumerate(times):
        low = bisect_left(others, time - REACH * step_ns)
        high = bisect_right(others, time + REACH * step_ns)
        ends = _passing(ends, low, number, step_ns)
        for partner in range(high - 1, low - 1, -1):  # downwards: what is added is not yet passed
            ways = [way for last, way in ends.items() if last < partner]
            if not ways:
                continue
            before = min(ways, key=lambda way: _cost(way, number, step_ns))
            cost = _cost(before, number, step_ns) + abs(others[partner] - time)
            if partner not in ends or cost < _cost(ends[partner], number + 1, step_ns):
                ends[partner] = _Match(cost, number, partner, before)
    way = min(ends.values(), key=lambda end: _cost(end, len(times), step_ns))
    return _partners(way, len(times))


def _passing(
    ends: dict[int, _Match | None], low: int, number: int, step_ns: int
) -> dict[int, _Match | None]:
    """Keep the ways that end at a partner still in reach, and the cheapest of all."""
    best = min(ends.items(), key=lambda end: _cost(end[1], number, step_ns))
    return {last: way for last, way in ends.items() if last >= low} | {best[0]: best[1]}


def _partners(way: _Match | None, count: int) -> list[int | None]:
    found: list[int | None] = [None] * count
    while way is not None:
        found[way.command] = way.partner
        way = way.before
    return found


def _cost(way: _Match | None, until: int, step_ns: int) -> int:
    """Return the cost of a way, if all times after its last match stay alone."""
    if way is None:
        return until * REACH * step_ns
    return way.cost + (until - way.command - 1) * REACH * step_ns
