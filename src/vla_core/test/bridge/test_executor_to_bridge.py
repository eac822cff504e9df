"""What the executor sends, a bridge takes: also when the executor dies in the middle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vla_core.bridge import TrajectoryPlayer

MS = 1_000_000
INDEX = [0, 1, 3]


def swinging_fast(times_s: Any) -> Any:
    """Rows that need every limit."""
    t = times_s
    lift, turn = 0.2 + 0.9 * np.sin(2.0 * t), 1.4 * np.sin(1.6 * t)
    return np.stack([lift, turn, 0.0 * t, np.where(np.sin(3.0 * t) > 0, 1.0, 0.0)], axis=1)


def load(player: TrajectoryPlayer, command: Any) -> None:
    player.load(
        command.stamp_ns,
        command.times_ns,
        command.positions[:, INDEX],
        command.velocities[:, INDEX],
        command.accelerations[:, INDEX],
    )


@pytest.mark.parametrize("killed_after", [0.6, 1.1, 2.3, 3.0])
def test_a_killed_executor_leaves_the_robot_on_its_way_to_rest(
    make_rig: Any, killed_after: float
) -> None:
    """Played at 500 Hz: nothing exceeds the limits, and it ends at rest inside them."""
    rig = make_rig(reference=swinging_fast)
    columns = [rig.contract.action.columns[i] for i in INDEX]
    player, played = TrajectoryPlayer(3, columns), []
    rig.begin()
    while rig.now_ns < killed_after * 1e9:
        decision = rig.tick()
        if decision.command is not None:
            load(player, decision.command)
        played += [player.at(rig.now_ns + i * 2 * MS) for i in range(10)]
    played += [player.at(rig.now_ns + i * 2 * MS) for i in range(10, 1000)]
    states = [state for state in played if state is not None]
    positions, velocities = (np.array(part) for part in zip(*states, strict=True))
    assert not velocities[-1].any()
    for i, column in enumerate(columns):
        assert np.abs(velocities[:, i]).max() <= column.velocity * 1.01
        assert np.abs(np.diff(positions[:, i])).max() <= column.velocity * 0.002 * 1.01
        accelerations = np.diff(velocities[:, i]) / 0.002
        # Between two points a quintic may swing a little beyond the motion that was meant.
        assert np.abs(accelerations).max() <= column.acceleration * 1.15
        lower, upper = column.position
        assert lower - 1e-3 <= positions[:, i].min() and positions[:, i].max() <= upper + 1e-3
