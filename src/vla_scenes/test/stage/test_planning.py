"""How experts with a base plan: profiles that brake, plans that are continued, frames."""

from __future__ import annotations

import numpy as np
import pytest

from vla_core.types import Prefix
from vla_scenes.stage.base import LAG_S, in_base, in_world
from vla_scenes.stage.planning import (
    BRAKE,
    STEP_NS,
    STEP_S,
    Configuration,
    Profile,
    committed,
    continued,
    planned_at,
    unroll,
)

LIMIT, SOFT, SOFTER = np.array([0.2, 1.0]), np.array([0.5, 2.0]), np.array([3.0, 20.0])


@pytest.fixture
def profile() -> Profile:
    return Profile(LIMIT, SOFT, SOFTER)


def _moving(velocity: float) -> Configuration:
    return Configuration(np.zeros(2), np.array([velocity, 0.0]), np.zeros(2))


def test_a_target_is_reached_inside_the_limits(profile: Profile) -> None:
    now = Configuration.at_rest(np.zeros(2))
    for _ in range(80):
        now = profile.advance(now, np.array([0.3, -0.5]))
        assert (np.abs(now.velocity) <= LIMIT + 1e-9).all()
    assert now.value == pytest.approx([0.3, -0.5], abs=1e-6)
    assert now.velocity == pytest.approx([0, 0], abs=1e-6)


@pytest.mark.parametrize("speed", [0.02, 0.2, -0.2])
def test_to_brake_is_never_to_speed_up(profile: Profile, speed: float) -> None:
    now, speeds = _moving(speed), [abs(speed)]
    for _ in range(20):
        now = profile.advance(now, now.braking)
        speeds.append(abs(float(now.velocity[0])))
    assert speeds == sorted(speeds, reverse=True)
    assert speeds[-1] == pytest.approx(0.0, abs=1e-9)


def test_one_number_may_brake_while_another_goes_on(profile: Profile) -> None:
    now = profile.advance(_moving(0.1), np.array([BRAKE, 1.0]))
    assert now.velocity[0] < 0.1 and now.velocity[1] > 0


def test_a_state_beyond_the_limits_is_continued_from_the_limit(profile: Profile) -> None:
    wild = Configuration(np.zeros(2), np.array([9.0, -9.0]), np.array([99.0, 0.0]))
    assert np.isfinite(profile.advance(wild, np.zeros(2)).value).all()


def test_a_plan_is_read_with_its_slope_and_rests_outside_of_its_knots() -> None:
    knots = np.linspace(0, 1, 21)[:, None] ** 2
    prefix = Prefix(knots, 0, STEP_NS, committed_until_ns=0)
    middle = planned_at(prefix, 10 * STEP_NS)
    assert middle.value == pytest.approx([0.25])
    assert middle.slope == pytest.approx([1.0]) and middle.bend == pytest.approx([2.0])
    for outside in (-1, 21 * STEP_NS):
        assert not planned_at(prefix, outside).slope.any()


def test_what_is_committed_is_given_back_row_by_row() -> None:
    prefix = Prefix(np.zeros((20, 4)), 0, STEP_NS, committed_until_ns=3 * STEP_NS)
    assert len(committed(prefix, 0)) == 4
    assert committed(None, 0) == []


def test_a_base_in_motion_is_predicted_ahead_of_where_it_is_measured() -> None:
    rows = np.tile([7.0, 0.1, 0.0, 0.0], (20, 1))
    plan = committed(Prefix(rows, 0, STEP_NS, committed_until_ns=4 * STEP_NS), 0)
    pose = np.array([1.0, 2.0, np.pi / 2])
    path = continued(pose, plan, lambda p: (p.value[:1], p.slope[:1], p.bend[:1]))
    assert path[0].value[:2] == pytest.approx([1.0, 2.0 + 0.1 * LAG_S])
    assert path[4].value[1] - path[0].value[1] == pytest.approx(4 * STEP_S * 0.1)
    assert path[0].base_velocity() == pytest.approx([0.1, 0.0, 0.0])
    assert path[0].value[3] == pytest.approx(7.0)


def test_a_vector_comes_back_from_the_world_as_it_went() -> None:
    vector = np.array([0.3, -0.2, 0.1])
    assert in_base(0.7, in_world(0.7, vector)) == pytest.approx(vector)


def test_the_decision_sees_what_was_predicted(profile: Profile) -> None:
    told: list[float] = []

    def decide(now: Configuration) -> np.ndarray:
        return np.array([0.1 * len(told), 0.0])

    def predict(now: Configuration) -> None:
        told.append(float(now.value[0]))

    path = unroll([Configuration.at_rest(np.zeros(2))], decide, predict, profile, rows=5)
    assert len(path) == 5 and told == [float(c.value[0]) for c in path[1:]]
