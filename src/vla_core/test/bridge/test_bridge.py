"""Who commands, how long silence lasts, where to be now."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vla_core.bridge import Authority, TrajectoryPlayer, Watchdog
from vla_core.bridge.playback import quintic
from vla_core.contract import Contract
from vla_core.errors import (
    ChunkError,
    ConfigurationError,
    NonFiniteError,
    NotReadyError,
    ShapeError,
)

MS = 1_000_000
S = 1_000_000_000


# Authority.


def test_only_the_selected_source_commands() -> None:
    authority = Authority(["policy", "teleoperation"], "policy")
    assert authority.accepts("policy") and not authority.accepts("teleoperation")
    authority.select("teleoperation")
    assert authority.accepts("teleoperation") and not authority.accepts("policy")


def test_nobody_commands_unless_selected() -> None:
    authority = Authority(["policy"])
    assert authority.selected == "none"
    assert not authority.accepts("policy") and not authority.accepts("none")


def test_unknown_sources_list_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"one of \['none', 'policy'\], found 'polcy'"):
        Authority(["policy"], "polcy")


def test_a_stop_is_latched_until_reset() -> None:
    authority = Authority(["policy"], "policy")
    authority.stop("panel", "button")
    authority.stop("executor", "another")
    assert authority.is_stopped and authority.reason == "panel: button"
    assert not authority.accepts("policy")
    with pytest.raises(NotReadyError, match="reset it first"):
        authority.select("policy")
    authority.reset()
    assert authority.accepts("policy") and authority.reason == ""


# Watchdog.


def test_a_watchdog_that_was_never_fed_has_expired() -> None:
    watchdog = Watchdog(100 * MS)
    assert watchdog.is_expired(0) and watchdog.age_ns(0) is None


def test_a_watchdog_expires_after_its_deadline() -> None:
    watchdog = Watchdog(100 * MS)
    watchdog.feed(0)
    assert not watchdog.is_expired(100 * MS) and watchdog.is_expired(100 * MS + 1)
    assert watchdog.age_ns(40 * MS) == 40 * MS
    watchdog.clear()
    assert watchdog.is_expired(0)


# Playback.


def trajectory(begin: float, end: float, stamp_ns: int = 0, first_ns: int = 20 * MS) -> Any:
    """One column, two points: to ``end`` and at rest there."""
    times = np.array([first_ns, first_ns + 200 * MS], dtype=np.int64)
    positions = np.array([[begin], [end]])
    return stamp_ns, times, positions, np.zeros((2, 1)), np.zeros((2, 1))


def test_nothing_is_played_before_the_first_trajectory() -> None:
    player = TrajectoryPlayer(1)
    assert player.at(0) is None and player.is_at_rest(0)


def test_plays_through_its_points_and_holds_the_last() -> None:
    player = TrajectoryPlayer(1)
    player.load(*trajectory(0.1, 0.3))
    assert player.at(20 * MS)[0] == pytest.approx([0.1])  # type: ignore[index]
    assert player.at(220 * MS)[0] == pytest.approx([0.3])  # type: ignore[index]
    position, velocity = player.at(9 * S) or (None, None)
    assert position == pytest.approx([0.3]) and velocity == pytest.approx([0.0])
    assert player.is_at_rest(220 * MS) and not player.is_at_rest(219 * MS)


def test_begins_where_the_robot_is_measured() -> None:
    player = TrajectoryPlayer(1)
    player.load(*trajectory(0.1, 0.3), np.array([0.05]))
    assert player.at(0)[0] == pytest.approx([0.05])  # type: ignore[index]


def test_a_newer_trajectory_takes_over_without_a_step() -> None:
    player = TrajectoryPlayer(1)
    player.load(*trajectory(0.0, 1.0), np.array([0.0]))
    before = player.at(120 * MS)
    player.load(*trajectory(0.55, 0.6, 120 * MS))
    after = player.at(120 * MS)
    for old, new in zip(before, after, strict=True):  # type: ignore[arg-type]
        assert new == pytest.approx(old)


def test_the_path_between_points_has_no_step_in_velocity() -> None:
    player = TrajectoryPlayer(1)
    player.load(*trajectory(0.1, 0.5), np.array([0.0]))
    at = np.arange(0, 230 * MS, MS // 10)
    positions, velocities = (np.array(part) for part in zip(*map(player.at, at), strict=True))
    assert np.abs(np.diff(positions[:, 0])).max() < 1e-3
    assert np.abs(np.diff(velocities[:, 0])).max() < 0.2


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"positions": np.array([[0.1], [np.nan]])}, NonFiniteError, "NaN or infinity"),
        ({"positions": np.zeros((2, 3))}, ShapeError, "expected points of shape"),
        ({"times": np.array([20 * MS, 20 * MS])}, ChunkError, "expected rising times"),
        ({"times": np.array([-1, 20 * MS])}, ChunkError, "expected rising times"),
        ({"velocities": np.array([[0.0], [0.5]])}, ChunkError, "expected an end at rest"),
    ],
)
def test_a_malformed_trajectory_is_refused(change: Any, error: Any, sentence: str) -> None:
    stamp, times, positions, velocities, accelerations = trajectory(0.1, 0.3)
    player = TrajectoryPlayer(1)
    with pytest.raises(error, match=sentence):
        player.load(
            stamp,
            change.get("times", times),
            change.get("positions", positions),
            change.get("velocities", velocities),
            accelerations,
        )
    assert player.at(0) is None


def test_an_empty_trajectory_is_refused() -> None:
    empty = np.zeros((0, 1))
    with pytest.raises(ShapeError):
        TrajectoryPlayer(1).load(0, np.zeros(0, np.int64), empty, empty, empty)


def test_a_trajectory_entirely_in_the_past_is_refused() -> None:
    player = TrajectoryPlayer(1)
    player.load(*trajectory(0.1, 0.3, 0))
    player.at(5 * S)
    with pytest.raises(ChunkError, match=r"all points are past, the last by 3\.780 s"):
        player.load(*trajectory(0.1, 0.3, 1 * S))


def test_a_trajectory_that_was_overtaken_is_refused() -> None:
    player = TrajectoryPlayer(1)
    player.load(*trajectory(0.1, 0.3, 100 * MS))
    with pytest.raises(ChunkError, match=r"0\.040 s older than the newest"):
        player.load(*trajectory(0.1, 0.3, 60 * MS))


def test_after_the_clock_was_set_back_it_goes_on_from_where_it_was() -> None:
    player = TrajectoryPlayer(1)
    player.load(*trajectory(0.1, 0.3, 10 * S))
    player.at(11 * S)
    player.load(*trajectory(0.31, 0.4, 2 * S))
    assert player.at(2 * S)[0] == pytest.approx([0.3])  # type: ignore[index]


def test_a_jump_is_refused(contract: Contract) -> None:
    player = TrajectoryPlayer(1, contract.action.columns[:1])
    with pytest.raises(ChunkError, match=r"first point of 'lift' is 0\.5 rad away, at most 0\.21"):
        player.load(*trajectory(0.5, 0.5), np.array([0.0]))
    player.load(*trajectory(0.2, 0.5), np.array([0.0]))


def test_a_gripper_that_holds_something_may_be_far_from_its_command(contract: Contract) -> None:
    player = TrajectoryPlayer(1, contract.action.columns[3:])
    player.load(*trajectory(0.0, 0.0), np.array([0.9]))


def test_a_handover_is_smoothed_inside_the_limits(contract: Contract) -> None:
    """The gripper is told 0.0 and holds something at 0.4; a restarted executor begins there."""
    gripper = contract.action.columns[3]
    player, played = TrajectoryPlayer(1, [gripper]), []
    player.load(*trajectory(0.0, 0.0))
    for tick in range(100):
        now = S + tick * 20 * MS
        player.load(*trajectory(0.4, 0.4, now))
        played += [player.at(now + i * MS) for i in range(20)]
    positions = np.array([state[0][0] for state in played if state is not None])
    assert positions[0] == pytest.approx(0.0) and positions[-1] == pytest.approx(0.4)
    velocity = np.diff(positions) / 1e-3
    assert np.abs(velocity).max() <= gripper.velocity
    assert np.abs(np.diff(velocity)).max() / 1e-3 <= gripper.acceleration
    assert player.is_at_rest(S + 100 * 20 * MS + 200 * MS)


def test_silence_ends_at_rest_whatever_was_loaded_last() -> None:
    player = TrajectoryPlayer(1)
    times = np.array([20 * MS, 60 * MS, 100 * MS], dtype=np.int64)
    positions = np.array([[0.1], [0.13], [0.14]])
    velocities = np.array([[1.0], [0.5], [0.0]])
    player.load(0, times, positions, velocities, np.zeros((3, 1)))
    assert player.at(21 * MS)[1][0] > 0.5  # type: ignore[index]
    assert player.at(S)[1] == pytest.approx([0.0])  # type: ignore[index]


def test_clear_forgets_everything() -> None:
    player = TrajectoryPlayer(1)
    player.load(*trajectory(0.1, 0.3, 10 * S))
    player.clear()
    assert player.at(0) is None
    player.load(*trajectory(0.1, 0.3, 0))


def test_a_quintic_meets_both_states() -> None:
    rng = np.random.default_rng(0)
    begin, end = ([rng.normal(size=3) for _ in range(3)] for _ in range(2))
    for s, wanted in ((0.0, begin), (0.3, end)):
        found = quintic(tuple(begin), tuple(end), 0.3, s)
        for mine, its in zip(found, wanted, strict=True):
            assert mine == pytest.approx(its)
