"""Opening, losing and finding again a stream, decided without a camera and without a clock."""

from __future__ import annotations

from itertools import pairwise

import pytest

from vla_cameras.connection import STABLE_NS, Action, Connection, Settings, Skew, State
from vla_cameras.stamps import OLDEST_NS, stamp_ns, taken_ns
from vla_core.types import NS_PER_S

S, MS = NS_PER_S, NS_PER_S // 1000


def running(now_ns: int = 0) -> Connection:
    connection = Connection("front", Settings())
    assert connection.tick(now_ns) is Action.OPEN
    assert connection.picture(now_ns, now_ns)
    connection.news()
    return connection


def test_a_stream_opens_at_once_and_runs_with_its_first_picture() -> None:
    connection = Connection("front", Settings())
    assert connection.tick(5) is Action.OPEN and connection.state is State.OPENING
    assert connection.tick(6) is None
    assert connection.picture(7, 6) and connection.state is State.RUNNING
    assert connection.news() == ["front: first picture"] and connection.news() == []


def test_a_camera_that_is_absent_is_tried_again_ever_more_slowly_and_told_once() -> None:
    connection, tries, now = Connection("front", Settings()), [], 0
    while len(tries) < 8:
        if connection.tick(now) is Action.OPEN:
            tries.append(now)
            connection.failed(now, "no such device")
        now += 100 * MS
    pauses = [(b - a) / S for a, b in pairwise(tries)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert connection.news() == ["front: no such device"]
    assert connection.trouble == "no such device" and connection.lost == 0


def test_a_stalled_stream_is_closed_and_opened_again() -> None:
    connection = running()
    assert connection.tick(1 * S) is None
    assert connection.tick(1 * S + 1) is Action.CLOSE
    assert connection.lost == 1 and "stalled" in connection.trouble
    assert connection.tick(1 * S + 2) is None, "not before the pause has passed"
    assert connection.tick(2 * S) is Action.OPEN
    assert connection.picture(3 * S, 3 * S)
    assert connection.news() == ["front lost: stalled: no new picture for 1.0 s",
                                 "front back after 2.0 s"]  # fmt: skip
    assert connection.trouble == ""


def test_the_same_buffer_handed_out_again_is_silence() -> None:
    connection = running()
    for now in range(100 * MS, S, 100 * MS):
        assert not connection.picture(now, 0)
    assert connection.doubled == 9
    assert connection.tick(S + 1) is Action.CLOSE


def test_pictures_that_come_after_giving_up_are_not_published() -> None:
    connection = running()
    connection.tick(2 * S)
    assert not connection.picture(2 * S + 1, 2 * S)


def test_a_device_that_opens_and_stays_dark_is_given_up() -> None:
    connection = Connection("front", Settings())
    connection.tick(0)
    assert connection.tick(5 * S) is None
    assert connection.tick(5 * S + 1) is Action.CLOSE
    assert connection.news() == ["front: no picture within 5 s of opening"]


def test_a_flapping_camera_is_given_longer_pauses_and_a_stable_one_is_forgiven() -> None:
    connection = running()
    connection.failed(S, "unplugged")
    assert connection.tick(2 * S) is Action.OPEN and connection.picture(2 * S, 2 * S)
    connection.failed(3 * S, "unplugged")
    assert connection.tick(3 * S + 900 * MS) is None, "the second pause is twice the first"
    assert connection.tick(4 * S) is Action.OPEN and connection.picture(4 * S, 4 * S)
    late = 4 * S + STABLE_NS + 1
    assert connection.picture(late, late)
    connection.failed(late, "unplugged")
    assert connection.tick(late + 500 * MS) is Action.OPEN


def test_an_ended_file_is_not_opened_again() -> None:
    connection = running()
    connection.ended()
    assert connection.tick(100 * S) is None and connection.state is State.ENDED


@pytest.mark.parametrize(
    ("driver_ms", "expected"),
    [
        (9_970.0, 9_970 * MS),  # 30 ms ago
        (0.0, 10_000 * MS),  # the driver tells none
        (10_001.0, 10_000 * MS),  # in the future: another clock
        (8_999.0, 10_000 * MS),  # too old: another clock
        (-1.0, 10_000 * MS),
    ],
)
def test_the_drivers_time_counts_only_where_it_can_be_believed(
    driver_ms: float, expected: int
) -> None:
    assert OLDEST_NS == S
    assert taken_ns(10_000 * MS, driver_ms) == expected


def test_stamps_are_in_ros_time_and_leave_out_the_cameras_delay() -> None:
    assert stamp_ns(500 * S, 10 * S, 10 * S - 30 * MS, 20 * MS) == 500 * S - 50 * MS
    assert stamp_ns(0, 10 * S, 9 * S, 0) == 0, "simulated time that has not begun"


def test_skew_is_the_distance_to_the_farthest_other_stream() -> None:
    skew = Skew()
    skew.seen("front", 100)
    assert skew.of("front") is None and skew.of("wrist") is None
    skew.seen("wrist", 70)
    skew.seen("top", 120)
    assert skew.of("front") == (30, "wrist")
