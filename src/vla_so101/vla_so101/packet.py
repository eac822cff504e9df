"""Packets of the Feetech bus, protocol 0: built and found again in a stream of bytes.

Instruction: FF FF id length instruction parameters... checksum; status: FF FF id length error
data... checksum. The length counts what follows it; the checksum is the complement of the sum
from the id on. Source: Feetech's communication protocol, as in feetech-servo-sdk 1.0.0.
"""

from __future__ import annotations

from dataclasses import dataclass

PING, READ, WRITE, SYNC_READ, SYNC_WRITE = 0x01, 0x02, 0x03, 0x82, 0x83
BROADCAST = 0xFE
HEADER = b"\xff\xff"
STATUS_OVERHEAD = 6  # bytes of a status packet beside its data


@dataclass(frozen=True)
class Status:
    """What a servo answered."""

    id: int
    error: int
    data: bytes


def instruction(id_: int, code: int, parameters: bytes = b"") -> bytes:
    """Return an instruction packet."""
    body = bytes([id_, len(parameters) + 2, code]) + parameters
    return HEADER + body + bytes([checksum(body)])


def sync_read(ids: list[int], address: int, size: int) -> bytes:
    """Return the packet to which all ``ids`` answer, in this order."""
    return instruction(BROADCAST, SYNC_READ, bytes([address, size, *ids]))


def sync_write(address: int, data: dict[int, bytes]) -> bytes:
    """Return the packet that writes each servo's bytes; all have one length, nobody answers."""
    size = len(next(iter(data.values())))
    rows = b"".join(bytes([id_]) + values for id_, values in data.items())
    return instruction(BROADCAST, SYNC_WRITE, bytes([address, size]) + rows)


def checksum(body: bytes) -> int:
    """Return the checksum of what stands between header and checksum."""
    return ~sum(body) & 0xFF


class StatusFinder:
    """Finds status packets with ``size`` bytes of data in what comes over the line.

    Everything else is skipped byte by byte, so a damaged packet costs itself and no other one.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._length = size + STATUS_OVERHEAD
        self._buffer = bytearray()
        self.skipped = 0  # bytes that belong to no packet
        self._older = 0  # bytes ahead that belong to a reply to another request

    def feed(self, data: bytes) -> list[Status]:
        """Take what has come and return the packets that are complete."""
        self._buffer += data
        found: list[Status] = []
        while len(self._buffer) >= self._length:
            candidate = bytes(self._buffer[: self._length])
            if self._is_packet(candidate):
                found.append(Status(candidate[2], candidate[4], candidate[5:-1]))
                del self._buffer[: self._length]
                self._older = 0
            else:
                # Byte by byte all the same: a damaged length may span the next packet.
                self._older = max(self._older - 1, self._length_of_older())
                self.skipped += not self._older
                del self._buffer[0]
        return found

    @property
    def noise(self) -> int:
        """Bytes that belong to no reply, not even to an older one."""
        left = max(0, len(self._buffer) - self._older)
        return self.skipped + (0 if self._length_of_older() == len(self._buffer) else left)

    def _length_of_older(self) -> int:
        """Return the length of a sound reply to another request at the front; 0: there is none."""
        data = bytes(self._buffer)
        length = data[3] + 4 if len(data) >= STATUS_OVERHEAD else 0
        is_framed = data[:2] == HEADER and STATUS_OVERHEAD <= length <= len(data)
        return length if is_framed and data[length - 1] == checksum(data[2 : length - 1]) else 0

    def _is_packet(self, data: bytes) -> bool:
        is_framed = data[:2] == HEADER and data[2] < BROADCAST and data[3] == self._size + 2
        return is_framed and data[-1] == checksum(data[2:-1])
