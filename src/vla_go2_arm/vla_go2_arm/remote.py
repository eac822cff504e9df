"""Whether the operator has taken the remote control into use."""

from __future__ import annotations

from collections.abc import Mapping

# Sticks at rest are near zero, but not exactly.
DEAD_ZONE = 0.08
# Bit of each key in WirelessController.keys. Source: unitree_sdk2 `joystick.hpp`.
KEYS = ("R1", "L1", "start", "select", "R2", "L2", "F1", "F2",
        "A", "B", "X", "Y", "up", "right", "down", "left")  # fmt: skip


def takeover(sticks: Mapping[str, float], keys: int) -> str | None:
    """Return what the operator does, None while the remote lies still.

    Any key counts: the robot's firmware acts on combinations of them, and a hand on the remote is
    reason enough. A NaN stick counts, too.
    """
    pressed = [name for bit, name in enumerate(KEYS) if keys & 1 << bit]
    moved = [f"{name} {value:.2f}" for name, value in sticks.items() if not abs(value) < DEAD_ZONE]
    done = [*(f"stick {text}" for text in moved), *(f"key {name}" for name in pressed)]
    return ", ".join(done) if done else None


def sticks_moved(sticks: Mapping[str, float]) -> bool:
    """Return whether the operator drives."""
    return any(not abs(value) < DEAD_ZONE for value in sticks.values())
