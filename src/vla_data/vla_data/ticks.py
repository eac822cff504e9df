"""In which tick a command was sent that says no time, such as a Twist."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from vla_data.records import UNSTAMPED, Command


def in_ticks(
    commands: Sequence[Command],
    stamped: Sequence[Command],
    step_ns: int,
    to_ros: Callable[[int], int],
) -> list[Command]:
    """Give each command without a stamp that of another receiver's command of the same tick.

    A tick sends one command to each receiver, so they arrive together, in order; when they arrive
    tells less, because a busy recorder hears several at once. What has no partner within half a
    step was sent when it arrived.

    Args:
        commands: of one receiver, as they arrived.
        stamped: of one that says its times, as they arrived.
        step_ns: between two ticks.
        to_ros: wall clock to ROS time.
    """
    found, following = [], 0
    for command in commands:
        if command.stamp_ns != UNSTAMPED:
            found.append(command)
            continue
        earliest = command.arrived_ns - step_ns // 2
        while following < len(stamped) and stamped[following].arrived_ns < earliest:
            following += 1
        partner = stamped[following] if following < len(stamped) else None
        if partner is not None and partner.arrived_ns <= command.arrived_ns + step_ns // 2:
            found.append(replace(command, stamp_ns=partner.stamp_ns))
            following += 1
        else:
            found.append(replace(command, stamp_ns=to_ros(command.arrived_ns)))
    return found
