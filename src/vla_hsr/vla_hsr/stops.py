"""Physical stop buttons and bumpers: pressed, released, or silent; times of a steady clock."""

from __future__ import annotations

from collections.abc import Iterable

from vla_core.types import NS_PER_S


class StopInputs:
    """Knows of each input whether it is pressed and when it was last heard."""

    def __init__(self, names: Iterable[str], silence_s: float) -> None:
        self._silence_ns = round(silence_s * NS_PER_S)
        self._pressed: dict[str, bool] = {}
        self._heard_ns: dict[str, int | None] = dict.fromkeys(names)

    def hear(self, name: str, pressed: bool, now_ns: int) -> None:
        """Take one message in."""
        self._pressed[name], self._heard_ns[name] = pressed, now_ns

    def unheard(self) -> list[str]:
        """Return the inputs that never said anything."""
        return [name for name, heard in self._heard_ns.items() if heard is None]

    def trouble(self, now_ns: int) -> str:
        """Say why the robot must not move; empty: nothing is pressed and all are alive."""
        for name, heard_ns in self._heard_ns.items():
            if self._pressed.get(name, False):
                return f"'{name}' is pressed"
            if heard_ns is None:
                return f"'{name}' was never heard"
            if now_ns - heard_ns > self._silence_ns:
                return f"'{name}' is silent for {(now_ns - heard_ns) / NS_PER_S:.1f} s"
        return ""
