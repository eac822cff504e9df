"""Whether a base has to be told to stand, because who moved it says nothing more. Pure."""

from __future__ import annotations

# Zeros are sent for so long, against a message that gets lost.
ZEROS_FOR_S = 0.5


class Guard:
    """Times of a steady clock [s]."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._is_moving = False
        self._heard_s = 0.0
        self._zeros_until_s = -1.0

    def hear(self, is_zero: bool, now_s: float) -> None:
        """Take in a velocity command, also one of our own zeros."""
        if not is_zero:
            self._zeros_until_s = -1.0  # somebody commands again
        self._is_moving, self._heard_s = not is_zero, now_s

    def needs_zero(self, now_s: float) -> bool:
        """Return whether to send zero now."""
        if self._is_moving and now_s - self._heard_s > self._deadline_s:
            self._is_moving, self._zeros_until_s = False, now_s + ZEROS_FOR_S
        return now_s < self._zeros_until_s
