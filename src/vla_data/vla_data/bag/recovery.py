"""Makes a bag whole whose recorder was killed: no index, no metadata, perhaps half a chunk.

rosbags refuses such a file, since MCAP keeps its index at the end; the chunks before it are whole.

Source: MCAP specification, "Records" (mcap.dev/spec).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.storage_mcap import decompress

from vla_core.errors import ConfigurationError
from vla_data.bag.types import TypeStore
from vla_data.bag.writer import LATCHED, RELIABLE, BagWriter

MAGIC = b"\x89MCAP0\r\n"
SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F


def ensure_readable(path: Path) -> str:
    """Recover a bag in place if it was not closed; return a sentence, empty if all was well.

    The broken bag is kept beside it, as ``<name>.broken``.
    """
    if (path / "metadata.yaml").is_file() or not path.is_dir():
        return ""
    broken = path.with_name(f"{path.name}.broken")
    path.rename(broken)
    count = recover(broken, path)
    return f"bag {path} was not closed by its recorder: recovered {count} messages"


def recover(path: Path, into: Path) -> int:
    """Write the readable messages of a broken bag into a new one; return their number.

    Raises:
        ConfigurationError: there is no MCAP file, or nothing in it can be read.
        FileExistsError: ``into`` exists already.
    """
    files = [path] if path.is_file() else sorted(path.glob("*.mcap"))
    if not files:
        raise ConfigurationError(f"{path} holds no .mcap file: nothing to recover")
    count = 0
    with BagWriter(into) as writer:
        for file in files:
            with file.open("rb") as stream:
                if stream.read(len(MAGIC)) != MAGIC:
                    raise ConfigurationError(f"{file} is no MCAP file: nothing to recover")
                count += _copy(stream, writer)
    return count


def _copy(stream: BinaryIO, writer: BagWriter) -> int:
    schemas: dict[int, tuple[str, str, str]] = {}
    topics: dict[int, str] = {}
    count = 0
    for kind, body in _records(stream):
        if kind == SCHEMA:
            number = struct.unpack_from("<H", body)[0]
            schemas[number] = _schema(body)
        elif kind == CHANNEL:
            number, schema = struct.unpack_from("<HH", body)
            if number not in topics:
                (topic, _), rest = _texts(body, 4, 2)
                topics[number] = topic
                _declare(writer, topic, *schemas[schema], latched=b"durability: 1" in bytes(rest))
        elif kind == MESSAGE:
            number, _, time_ns, _ = struct.unpack_from("<HIQQ", body)
            writer.write(topics[number], body[22:], time_ns)
            count += 1
    return count


def _declare(
    writer: BagWriter, topic: str, msgtype: str, encoding: str, definition: str, *, latched: bool
) -> None:
    types: TypeStore = writer.types
    if encoding == "ros2msg":
        types.add(msgtype, definition)
    writer.add_topic(topic, msgtype, LATCHED if latched else RELIABLE)


def _records(stream: BinaryIO) -> Iterator[tuple[int, memoryview]]:
    """Yield what is whole, chunks opened; end at the first record that is cut short."""
    while True:
        head = stream.read(9)
        if len(head) < 9:
            return
        kind, size = struct.unpack("<BQ", head)
        body = stream.read(size)
        if len(body) < size or kind == DATA_END:
            return
        if kind == CHUNK:
            try:
                yield from _opened(body)
            except ReaderError:
                return
        else:
            yield kind, memoryview(body)


def _opened(chunk: bytes) -> Iterator[tuple[int, memoryview]]:
    size, crc = struct.unpack_from("<QI", chunk, 16)
    (compression,), rest = _texts(memoryview(chunk), 28, 1)
    data = memoryview(decompress(bytes(rest[8:]), compression, size, crc))
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<BQ", data, at)
        yield kind, data[at + 9 : at + 9 + length]
        at += 9 + length


def _schema(body: memoryview) -> tuple[str, str, str]:
    (name, encoding), rest = _texts(body, 2, 2)
    return name, encoding, bytes(rest[4:]).decode()


def _texts(body: memoryview, at: int, count: int) -> tuple[list[str], memoryview]:
    """Return ``count`` strings from ``at`` on, each with its length before it, and the rest."""
    found = []
    for _ in range(count):
        size = struct.unpack_from("<I", body, at)[0]
        found.append(bytes(body[at + 4 : at + 4 + size]).decode())
        at += 4 + size
    return found, body[at:]
