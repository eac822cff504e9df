from __future__ import annotations

from vla_record.black_box import BlackBox, Entry

S = 1_000_000_000


def box(before_s: float = 2.0, after_s: float = 1.0, limit_mb: int = 1) -> BlackBox:
    return BlackBox(before_s, after_s, frozenset({"/policy/state"}), limit_mb)


def fill(box: BlackBox, first_s: int, last_s: int, size: int = 1) -> None:
    for second in range(first_s, last_s + 1):
        box.add(Entry("/joints", b"x" * size, second * S))


def seconds(entries: list[Entry]) -> list[int]:
    return [entry.time_ns // S for entry in entries if entry.topic == "/joints"]


def test_the_seconds_before_and_after_a_trigger_are_kept() -> None:
    it = box()
    fill(it, 0, 10)
    assert it.trigger(10 * S)
    assert it.take(10 * S) == []
    fill(it, 11, 11)
    assert seconds(it.take(11 * S)) == [8, 9, 10, 11]


def test_it_is_given_out_once() -> None:
    it = box()
    fill(it, 0, 3)
    it.trigger(3 * S)
    assert it.take(4 * S)
    assert it.take(5 * S) == []


def test_a_second_trigger_while_one_waits_changes_nothing() -> None:
    it = box()
    fill(it, 0, 3)
    assert it.trigger(3 * S)
    assert not it.trigger(3 * S + 1)
    assert it.take(4 * S)


def test_latched_topics_are_in_every_box_however_old() -> None:
    it = box()
    it.add(Entry("/policy/state", b"ready", 0))
    fill(it, 1, 60)
    it.trigger(60 * S)
    assert it.take(61 * S)[0].data == b"ready"


def test_memory_is_bounded() -> None:
    it = box(before_s=50.0)
    fill(it, 0, 49, size=100_000)
    it.trigger(49 * S)
    entries = it.take(50 * S)
    assert sum(len(entry.data) for entry in entries) <= 1024 * 1024
    assert seconds(entries)[-1] == 49, "the newest stay"


def test_without_seconds_there_is_no_box() -> None:
    it = box(before_s=0.0)
    assert not it.trigger(0)
