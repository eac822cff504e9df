"""The one family of errors. Each type is a situation a caller can act on."""

from __future__ import annotations


class VlaError(Exception):
    """Anything this stack refuses, with a sentence for the person holding the robot."""


class ConfigurationError(VlaError):
    """A contract, a policy file or a parameter is wrong; lists every mistake at once."""


class MismatchError(VlaError):
    """Robot and policy do not fit together (names, order, units, images, rate)."""


class ObservationError(VlaError):
    """A stream is missing, too old, frozen or skewed: there is no observation."""


class ChunkError(VlaError):
    """A chunk is malformed, stale, or meant for another epoch, request or policy."""


class ShapeError(ChunkError):
    """An array has the wrong shape."""


class NonFiniteError(ChunkError):
    """An array holds NaN or infinity."""


class InferenceError(VlaError):
    """A policy failed to answer, or answered too late."""


class NotReadyError(VlaError):
    """A policy, worker or server is not there (yet, or any more)."""


class LimitError(VlaError):
    """A command would leave its limits and no admissible one was found."""
