"""The servo's end of the line: instructions out of bytes as they come, replies into bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class Code(IntEnum):
    """Instructions that the servos know."""

    PING = 0x01
    READ = 0x02
    WRITE = 0x03
    REG_WRITE = 0x04
    ACTION = 0x05
    SYNC_READ = 0x82
    SYNC_WRITE = 0x83


EVERYBODY = 0xFE


@dataclass(frozen=True)
class Instruction:
    """One packet from the host whose sum was right."""

    target: int
    code: int
    payload: bytes


@dataclass
class Listener:
    """Assembles packets byte by byte, as firmware does: any surprise starts the search anew."""

    _seen: list[int] = field(default_factory=list)

    def hear(self, data: bytes) -> list[Instruction]:
        """Take bytes from the line; return what became complete."""
        complete = []
        for byte in data:
            self._seen.append(byte)
            instruction = self._look()
            if instruction is not None:
                complete.append(instruction)
        return complete

    def silence(self) -> None:
        """Forget half a packet: the line was quiet for longer than a packet's bytes are apart."""
        self._seen.clear()

    def _look(self) -> Instruction | None:
        seen = self._seen
        if seen[:2] != [0xFF, 0xFF][: len(seen)]:
            self._seen = seen[-1:] if seen[-1] == 0xFF else []
            return None
        if len(seen) == 3 and seen[2] == 0xFF:
            seen.pop()  # one header byte too many
        if len(seen) == 4 and seen[3] < 2:
            seen.clear()
        if len(seen) < 4 or len(seen) < 4 + seen[3]:
            return None
        target, _, code, *payload, total = seen[2:]
        is_sound = (sum(seen[2:-1]) + total) & 0xFF == 0xFF
        seen.clear()
        return Instruction(target, code, bytes(payload)) if is_sound else None


def reply(sender: int, error: int, data: bytes = b"") -> bytes:
    """Return a status packet."""
    inner = bytearray((sender, 2 + len(data), error))
    inner.extend(data)
    inner.append(0xFF - (sum(inner) & 0xFF))
    return b"\xff\xff" + bytes(inner)
