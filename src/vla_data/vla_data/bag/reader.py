"""Reads bags (MCAP or SQLite, any metadata version up to 9) in the order of their own time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader, ReaderError

from vla_core.errors import ConfigurationError
from vla_data.bag.types import TypeStore


@dataclass(frozen=True)
class Message:
    """One raw message of a bag."""

    topic: str
    msgtype: str
    time_ns: int  # when it was recorded, wall clock
    data: bytes  # raw CDR
    types: TypeStore

    def decode(self) -> Any:
        """Return the message's fields."""
        return self.types.decode(self.data, self.msgtype)


class BagReader:
    """One bag, opened. Types come from the bag itself where it carries them.

    Raises:
        ConfigurationError: there is no bag, or it cannot be read; says what to do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._reader: Any = Reader(path)
            self._reader.open()
        except (FileNotFoundError, ReaderError) as error:
            hint = " If its recorder was killed, vla_data.bag.recover makes it whole."
            raise ConfigurationError(
                f"bag {path} cannot be read: {error}{hint if path.exists() else ''}"
            ) from error
        self.types = TypeStore()
        for connection in self._reader.connections:
            if connection.msgdef.format is MessageDefinitionFormat.MSG:
                self.types.add(connection.msgtype, connection.msgdef.data)

    @property
    def topics(self) -> dict[str, str]:
        """Type of each topic."""
        return {c.topic: c.msgtype for c in self._reader.connections}

    @property
    def counts(self) -> dict[str, int]:
        """Number of messages of each topic."""
        return {c.topic: c.msgcount for c in self._reader.connections}

    @property
    def offered_qos(self) -> dict[str, Any]:
        """QoS that each topic was offered with, as rosbags tells it; absent where not recorded."""
        return {
            c.topic: c.ext.offered_qos_profiles[0]
            for c in self._reader.connections
            if c.ext.offered_qos_profiles
        }

    @property
    def start_ns(self) -> int:
        """Time of the first message."""
        return int(self._reader.start_time)

    @property
    def end_ns(self) -> int:
        """Time of the last message."""
        return int(self._reader.end_time) - 1

    def messages(self, topics: Collection[str] | None = None) -> Iterator[Message]:
        """Yield the messages of some topics (default: of all), oldest first."""
        chosen = [c for c in self._reader.connections if topics is None or c.topic in topics]
        if not chosen:
            return
        for connection, time_ns, data in self._reader.messages(connections=chosen):
            yield Message(connection.topic, connection.msgtype, time_ns, data, self.types)

    def close(self) -> None:
        """Close the bag's files."""
        self._reader.close()

    def __enter__(self) -> BagReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
