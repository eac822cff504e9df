"""Writes a bag of raw CDR messages that survives a kill up to its last flush."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from vla_data.bag.types import TypeStore

_FOREVER = QosTime(9223372036, 854775807)


def qos(*, depth: int, reliable: bool, latched: bool) -> Qos:
    """Return the offered QoS that a player will publish a topic with."""
    return Qos(
        QosHistory.KEEP_LAST,
        depth,
        QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        _FOREVER,
        _FOREVER,
        QosLiveliness.AUTOMATIC,
        _FOREVER,
        False,
    )


RELIABLE = qos(depth=10, reliable=True, latched=False)
LATCHED = qos(depth=1, reliable=True, latched=True)


class BagWriter:
    """One bag (a folder). Not thread-safe: one thread writes.

    Messages gather in a chunk of 1 MiB, which is compressed (zstd) and written at once. What is
    not flushed yet is lost when the process is killed: flush as often as that may cost you.

    Raises:
        FileExistsError: the folder exists already.
    """

    def __init__(
        self, path: Path, *, types: TypeStore | None = None, compress: bool = True
    ) -> None:
        if path.exists():
            raise FileExistsError(f"bag {path} exists already. Remove it or choose another name.")
        self.path = path
        self.types = types or TypeStore()
        self._writer: Any = Writer(path, version=8, storage_plugin=StoragePlugin.MCAP)
        if compress:
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._writer.open()
        self._connections: dict[str, Any] = {}

    @property
    def topics(self) -> list[str]:
        """Topics that were added."""
        return list(self._connections)

    def add_topic(self, topic: str, msgtype: str, offered: Qos = RELIABLE) -> None:
        """Declare a topic; known topics are left as they are.

        Raises:
            ConfigurationError: the type's definition is nowhere to be found.
        """
        if topic in self._connections:
            return
        self.types.need(msgtype)
        self._connections[topic] = self._writer.add_connection(
            topic, msgtype, typestore=self.types.store, offered_qos_profiles=[offered]
        )

    def write(self, topic: str, data: bytes | memoryview, time_ns: int) -> None:
        """Append raw CDR bytes; ``time_ns`` is when they arrived (wall clock)."""
        self._writer.write(self._connections[topic], time_ns, data)

    def write_message(
        self, topic: str, message: Any, time_ns: int, offered: Qos = RELIABLE
    ) -> None:
        """Append a message made by `TypeStore.make`, declaring its topic on first use."""
        self.add_topic(topic, message.__msgtype__, offered)
        self.write(topic, self.types.encode(message), time_ns)

    def flush(self) -> None:
        """Hand everything to the operating system: from here on a killed process loses nothing."""
        storage = self._writer.storage
        if storage.chunk.msgs:
            storage.close_chunk()
        storage.bio.flush()

    def close(self) -> None:
        """Write the index and metadata.yaml."""
        if not sum(self._writer.counts.values()):
            # rosbags would write the end of time as the start of an empty bag.
            self._writer.min_timestamp = 0
        self._writer.close()

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Also after an exception: half a recording is worth more than none.
        self.close()
