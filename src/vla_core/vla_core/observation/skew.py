"""How far apart in time the streams of a robot are."""

from __future__ import annotations

from collections.abc import Mapping


def furthest(stream: str, newest_ns: Mapping[str, int]) -> tuple[int, str] | None:
    """Return the largest distance of a stream's newest stamp to another's [ns], and which other.

    None: the stream, or every other one, has not been heard of.
    """
    if stream not in newest_ns:
        return None
    own = newest_ns[stream]
    return max(
        ((abs(own - at), name) for name, at in newest_ns.items() if name != stream), default=None
    )
