"""The thread that writes bags, behind a queue that is bounded in bytes. No ROS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from rosbags.interfaces import Qos

from vla_data.bag import BagWriter, TypeStore
from vla_record.black_box import Entry

FLUSH_S = 0.2  # what a kill of the recorder costs at most


class Sink:
    """Writes what it is given; never makes the giver wait.

    `put`, `open`, `close` and `save` may be called from any thread. A message that finds the
    queue full is dropped and counted: a slow disk must not slow the robot.
    """

    def __init__(
        self,
        topics: Mapping[str, tuple[str, Qos]],  # topic -> type, offered QoS
        report: Callable[[str], None] = lambda text: None,
        limit_mb: int = 128,
    ) -> None:
        self._topics, self._report = topics, report
        self._limit = limit_mb * 1024 * 1024
        self._types = TypeStore()
        for msgtype, _ in topics.values():
            self._types.need(msgtype)
        self._queue: SimpleQueue[Callable[[], None] | Entry] = SimpleQueue()
        self._waiting = 0  # bytes in the queue
        self._lock = threading.Lock()
        self._bag: BagWriter | None = None
        self._ended = False
        self.path: Path | None = None  # of the bag that is open
        self.written = 0  # messages since it was opened
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="bag", daemon=True)
        self._thread.start()

    def put(self, entry: Entry) -> None:
        """Record one message, if a bag is open."""
        if self.path is None:
            return
        with self._lock:
            if self._waiting + len(entry.data) > self._limit:
                self.dropped += 1
                return
            self._waiting += len(entry.data)
        self._queue.put(entry)

    def open(self, path: Path, first: Sequence[Entry] = ()) -> None:
        """Begin a bag with some messages; one that is open is closed before."""
        self.path = path
        self.written = self.dropped = 0
        self._queue.put(lambda: self._begin(path, first))

    def close(self) -> None:
        """Close the bag and wait until it is whole."""
        done = threading.Event()
        self.path = None
        self._queue.put(self._finish)
        self._queue.put(done.set)
        done.wait(timeout=30.0)

    def save(self, path: Path, entries: Sequence[Entry]) -> None:
        """Write a bag of its own beside the open one."""
        self._queue.put(lambda: self._save(path, entries))

    def end(self) -> None:
        """Close the bag and end the thread."""
        self.close()
        self._queue.put(self._end)
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        flushed = time.monotonic()
        while not self._ended:
            wait = max(0.0, flushed + FLUSH_S - time.monotonic())
            try:
                item = self._queue.get(timeout=wait)
            except Empty:
                item = None
            try:
                if isinstance(item, Entry):
                    self._write(item)
                elif item is not None:
                    item()
                if time.monotonic() - flushed >= FLUSH_S:
                    flushed = time.monotonic()
                    if self._bag is not None:
                        self._bag.flush()
            except Exception as error:  # a full disk must not end the thread silently
                self._abandon(error)

    def _write(self, entry: Entry) -> None:
        with self._lock:
            self._waiting -= len(entry.data)
        if self._bag is not None:
            self._bag.write(entry.topic, entry.data, entry.time_ns)
            self.written += 1

    def _begin(self, path: Path, first: Sequence[Entry]) -> None:
        self._finish()
        self._bag = self._new(path)
        for entry in first:
            self._bag.write(entry.topic, entry.data, entry.time_ns)

    def _new(self, path: Path) -> BagWriter:
        path.parent.mkdir(parents=True, exist_ok=True)
        bag = BagWriter(path, types=self._types)
        for topic, (msgtype, offered) in self._topics.items():
            bag.add_topic(topic, msgtype, offered)
        return bag

    def _finish(self) -> None:
        bag, self._bag = self._bag, None
        if bag is not None:
            bag.close()

    def _save(self, path: Path, entries: Sequence[Entry]) -> None:
        with self._new(path) as bag:
            for entry in entries:
                bag.write(entry.topic, entry.data, entry.time_ns)
        self._report(f"black box written: {path} ({len(entries)} messages)")

    def _abandon(self, error: Exception) -> None:
        self.path, self._bag = None, None
        self._report(f"recording ended: {error}")

    def _end(self) -> None:
        self._ended = True
