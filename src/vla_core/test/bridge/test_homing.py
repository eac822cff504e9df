"""Ways home: slow, inside limits, and every piece of them ends at rest."""

from __future__ import annotations

import numpy as np
import pytest

from vla_core.bridge.homing import STEP_S, Way, planned, straight
from vla_core.contract import Column
from vla_core.errors import LimitError

SHARE = 0.2
COLUMNS = [
    Column(name="lift", kind="joint_position", unit="m", position=(0.0, 0.69),
           velocity=0.15, acceleration=0.3, jerk=3.0),
    Column(name="roll", kind="joint_position", unit="rad", position=(-2.0, 3.8),
           velocity=1.0, acceleration=2.0, jerk=20.0),
]  # fmt: skip
START, HOME = np.array([0.5, -1.5]), np.array([0.0, 1.0])


def pieces(way: Way) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    return [way.piece(now) for now in np.arange(0.0, way.seconds + 1.0, 0.21)]


def limits(name: str) -> np.ndarray:
    return np.array([getattr(column, name) for column in COLUMNS])


@pytest.mark.parametrize(
    "way",
    [
        straight(START, HOME, COLUMNS, SHARE),
        planned(np.array([0.0, 1.0, 2.0]), np.stack([START, [0.1, 0.0], HOME]), COLUMNS, SHARE),
    ],
    ids=["straight", "planned"],
)
def test_a_way_is_slow_ends_at_home_and_each_piece_ends_at_rest(way: Way) -> None:
    for times, positions, velocities, _ in pieces(way):
        assert (np.diff(times) > 0).all()
        assert (velocities[-1] == 0.0).all()
        assert (np.abs(velocities) <= 2.0 * SHARE * limits("velocity") + 1e-9).all()
        steps = np.abs(np.diff(positions, axis=0)) / STEP_S
        assert (steps <= 2.0 * SHARE * limits("velocity") + 1e-9).all()
    _, positions, _, _ = way.piece(way.seconds)
    np.testing.assert_allclose(positions, np.tile(HOME, (len(positions), 1)), atol=1e-6)


def test_a_straight_way_keeps_its_share_of_velocity_and_the_limits_of_acceleration() -> None:
    way = straight(START, HOME, COLUMNS, SHARE)
    for _, _, velocities, accelerations in pieces(way):
        assert (np.abs(velocities) <= SHARE * limits("velocity") + 1e-9).all()
        assert (np.abs(accelerations) <= limits("acceleration") + 1e-9).all()


def test_positions_velocities_and_times_of_a_piece_agree_also_while_braking() -> None:
    way = straight(START, HOME, COLUMNS, SHARE)
    times, positions, velocities, accelerations = way.piece(3.0)
    step = np.diff(times)[:, None] * 1e-9
    mean = (velocities[1:] + velocities[:-1]) / 2
    np.testing.assert_allclose(np.diff(positions, axis=0) / step, mean, atol=2e-3)
    bend = (accelerations[1:] + accelerations[:-1]) / 2
    np.testing.assert_allclose(np.diff(velocities, axis=0) / step, bend, atol=2e-2)


def test_the_next_piece_continues_where_the_last_one_is() -> None:
    way = straight(START, HOME, COLUMNS, SHARE)
    _, positions, _, _ = way.piece(2.0)
    _, later, _, _ = way.piece(2.0 + STEP_S)
    np.testing.assert_allclose(positions[1], later[0], atol=1e-9)


def test_a_robot_at_home_already_has_nothing_to_do() -> None:
    _, positions, velocities, _ = straight(HOME, HOME, COLUMNS, SHARE).piece(0.2)
    assert (positions == HOME).all()
    assert (velocities == 0.0).all()


def test_a_home_or_a_plan_outside_the_limits_is_refused_by_name() -> None:
    with pytest.raises(LimitError, match=r"'lift' would be at 0\.9 m, limits 0 to 0\.69"):
        straight(START, np.array([0.9, 0.0]), COLUMNS, SHARE)
    points = np.stack([START, [0.1, -2.5], HOME])
    with pytest.raises(LimitError, match="'roll'"):
        planned(np.array([0.0, 1.0, 2.0]), points, COLUMNS, SHARE)
    with pytest.raises(LimitError, match="at least two points"):
        planned(np.array([0.0]), START[None], COLUMNS, SHARE)
