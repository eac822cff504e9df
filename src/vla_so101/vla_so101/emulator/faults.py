"""What can go wrong on the line, with its own dice."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class Faults:
    """May be changed while the emulator runs; shares are per packet and direction."""

    corrupt: float = 0.0  # share of packets with a wrong bit
    lose: float = 0.0  # share of packets that never arrive
    latency_s: float = 0.0003  # of the adapter, before each answer
    seed: int = 0
    corrupted: int = 0
    lost: int = 0
    _dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    def carry(self, packet: bytes) -> bytes:
        """Return what arrives of a packet."""
        if self._dice.random() < self.lose:
            self.lost += 1
            return b""
        if self._dice.random() >= self.corrupt:
            return packet
        self.corrupted += 1
        where = self._dice.randrange(8 * len(packet))
        damaged = bytearray(packet)
        damaged[where // 8] ^= 1 << where % 8
        return bytes(damaged)

    def collide(self, packets: list[bytes]) -> bytes:
        """Return what is heard when several servos answer at once: a zero wins over a one."""
        shifts = [0, *(self._dice.randrange(3) for _ in packets[1:])]
        length = max(len(p) + s for p, s in zip(packets, shifts, strict=True))
        heard = bytearray(b"\xff" * length)
        for packet, shift in zip(packets, shifts, strict=True):
            for place, byte in enumerate(packet):
                heard[place + shift] &= byte
        return bytes(heard)
