"""The memory of one servo: EEPROM that outlives the power, RAM that does not.

Source: STS3215 memory table; the values from the factory as far as they are published.
"""

from __future__ import annotations

SIZE = 128
RAM_FROM = 40

# name: (address, bytes, sign bit or None, value from the factory)
LAYOUT: dict[str, tuple[int, int, int | None, int]] = {
    "firmware_major": (0, 1, None, 3),
    "firmware_minor": (1, 1, None, 10),
    "model": (3, 2, None, 777),
    "id": (5, 1, None, 1),
    "baud": (6, 1, None, 0),
    "return_delay": (7, 1, None, 250),
    "status_level": (8, 1, None, 1),
    "lowest": (9, 2, None, 0),
    "highest": (11, 2, None, 4095),
    "hottest": (13, 1, None, 70),
    "voltage_max": (14, 1, None, 80),
    "voltage_min": (15, 1, None, 40),
    "torque_max": (16, 2, None, 1000),
    "phase": (18, 1, None, 12),
    "p": (21, 1, None, 32),
    "d": (22, 1, None, 32),
    "i": (23, 1, None, 0),
    "current_protection": (28, 2, None, 500),
    "offset": (31, 2, 11, 0),
    "mode": (33, 1, None, 0),
    "protective_torque": (34, 1, None, 20),
    "protection_time": (35, 1, None, 200),
    "overload_torque": (36, 1, None, 80),
    "torque": (40, 1, None, 0),
    "acceleration": (41, 1, None, 0),
    "goal": (42, 2, 15, 0),
    "goal_time": (44, 2, None, 0),
    "goal_speed": (46, 2, 15, 0),
    "torque_limit": (48, 2, None, 1000),
    "lock": (55, 1, None, 1),
    "position": (56, 2, 15, 0),
    "speed": (58, 2, 15, 0),
    "load": (60, 2, 10, 0),
    "voltage": (62, 1, None, 74),
    "temperature": (63, 1, None, 30),
    "status": (65, 1, None, 0),
    "moving": (66, 1, None, 0),
    "current": (69, 2, 15, 0),
    "acceleration_max": (85, 1, None, 254),
}
READ_ONLY = frozenset((*range(5), *range(56, 71)))


class Memory:
    """Bytes with names; `get` and `put` know widths and signs."""

    def __init__(self, **values: int) -> None:
        self._live = bytearray(SIZE)
        for name, (_, _, _, factory) in LAYOUT.items():
            self.put(name, values.get(name, factory))
        self._kept = bytes(self._live)

    def get(self, name: str) -> int:
        """Return a register's value."""
        begin, width, sign, _ = LAYOUT[name]
        raw = int.from_bytes(self._live[begin : begin + width], "little")
        if sign is not None and raw >= 1 << sign and raw & (1 << sign):
            return -(raw - (1 << sign))
        return raw

    def put(self, name: str, value: int) -> None:
        """Set a register from inside the servo."""
        begin, width, sign, _ = LAYOUT[name]
        raw = value if value >= 0 or sign is None else (1 << sign) - value
        self._live[begin : begin + width] = raw.to_bytes(width, "little")

    def read(self, begin: int, count: int) -> bytes:
        """Return bytes as the host sees them."""
        return bytes(self._live[begin : begin + count])

    def write(self, begin: int, data: bytes) -> bool:
        """Take bytes from the host; returns whether all of them may be written."""
        where = range(begin, begin + len(data))
        if where.stop > SIZE or READ_ONLY.intersection(where):
            return False
        self._live[where.start : where.stop] = data
        if not self.get("lock"):
            kept = bytearray(self._kept)
            kept[:RAM_FROM] = self._live[:RAM_FROM]
            self._kept = bytes(kept)
        return True

    def restart(self) -> None:
        """Begin as after a loss of power: what was not kept is as from the factory."""
        self._live[:] = self._kept
        for name, (begin, _, _, factory) in LAYOUT.items():
            if begin >= RAM_FROM:
                self.put(name, factory)
        self.put("torque_limit", self.get("torque_max"))
