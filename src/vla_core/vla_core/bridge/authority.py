"""Whose commands a bridge listens to: one selected source, and nobody after a stop."""

from __future__ import annotations

from collections.abc import Sequence

from vla_core.errors import ConfigurationError, NotReadyError

NONE = "none"


class Authority:
    """Selects one source of commands; a stop is latched until it is reset."""

    def __init__(self, sources: Sequence[str], selected: str = NONE) -> None:
        self._sources = tuple(sources)
        self._selected = NONE
        self._reason = ""
        self._is_stopped = False
        self.select(selected)

    @property
    def selected(self) -> str:
        """Name of the source that commands; "none": nobody."""
        return self._selected

    @property
    def is_stopped(self) -> bool:
        """Whether a stop is latched."""
        return self._is_stopped

    @property
    def reason(self) -> str:
        """Who stopped, and why; empty when not stopped."""
        return self._reason

    def select(self, source: str) -> None:
        """Listen to another source.

        Raises:
            ConfigurationError: there is no such source; lists the known ones.
            NotReadyError: a stop is latched.
        """
        if source != NONE and source not in self._sources:
            raise ConfigurationError(
                f"source: expected one of {[NONE, *self._sources]}, found '{source}'"
            )
        if self._is_stopped:
            raise NotReadyError(f"the bridge is stopped ({self._reason}): reset it first")
        self._selected = source

    def accepts(self, source: str) -> bool:
        """Whether commands of a source are taken."""
        return not self._is_stopped and source != NONE and source == self._selected

    def stop(self, source: str, reason: str) -> None:
        """Take no command until reset; the first reason stays."""
        if not self._is_stopped:
            self._is_stopped = True
            self._reason = f"{source}: {reason}"

    def reset(self) -> None:
        """Clear the stop; the selected source commands again."""
        self._is_stopped = False
        self._reason = ""
