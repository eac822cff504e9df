from __future__ import annotations

import threading
from pathlib import Path

import pytest

from vla_data.bag import RELIABLE, BagReader, TypeStore
from vla_record.black_box import Entry
from vla_record.sink import Sink

TOPICS = {"/note": ("std_msgs/msg/String", RELIABLE)}


def note(text: str, time_ns: int) -> Entry:
    types = TypeStore()
    return Entry("/note", types.encode(types.make("std_msgs/msg/String", data=text)), time_ns)


def notes(path: Path) -> list[str]:
    with BagReader(path) as bag:
        return [message.decode().data for message in bag.messages()]


def test_what_is_put_is_in_the_bag(tmp_path: Path) -> None:
    sink = Sink(TOPICS)
    sink.put(note("before", 0))
    sink.open(tmp_path / "bag", [note("contract", 1)])
    sink.put(note("a", 2))
    sink.end()
    assert notes(tmp_path / "bag") == ["contract", "a"]
    assert (sink.written, sink.dropped) == (1, 0)


def test_opening_again_begins_a_bag_of_its_own(tmp_path: Path) -> None:
    sink = Sink(TOPICS)
    for name in ("one", "two"):
        sink.open(tmp_path / name)
        sink.put(note(name, 1))
    sink.end()
    assert [notes(tmp_path / name) for name in ("one", "two")] == [["one"], ["two"]]


def test_a_saved_box_stands_beside_the_open_bag(tmp_path: Path) -> None:
    sink = Sink(TOPICS)
    sink.open(tmp_path / "bag")
    sink.save(tmp_path / "box", [note("boxed", 1)])
    sink.put(note("a", 2))
    sink.end()
    assert notes(tmp_path / "box") == ["boxed"]
    assert notes(tmp_path / "bag") == ["a"]


def test_a_full_queue_drops_and_counts_and_never_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    begin = Sink._begin

    def slow(self: Sink, path: Path, first: list[Entry]) -> None:
        go.wait(10)
        begin(self, path, first)

    monkeypatch.setattr(Sink, "_begin", slow)
    sink = Sink(TOPICS, limit_mb=1)
    sink.open(tmp_path / "bag")
    for i in range(12):
        sink.put(note("x" * 100_000, i))
    go.set()
    sink.end()
    assert (sink.written, sink.dropped) == (10, 2)


def test_a_failing_disk_ends_the_recording_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    said: list[str] = []
    sink = Sink(TOPICS, said.append)
    sink.open(tmp_path / "taken" / "bag")
    sink.put(note("a", 1))
    sink.end()
    assert said[0].startswith("recording ended: ")
    assert sink.path is None
