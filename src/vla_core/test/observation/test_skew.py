"""How far apart streams are."""

from __future__ import annotations

from vla_core.observation.skew import furthest


def test_the_farthest_other_stream_counts_on_either_side() -> None:
    newest = {"front": 100, "wrist": 70, "joints": 120}
    assert furthest("front", newest) == (30, "wrist")
    assert furthest("wrist", newest) == (50, "joints")


def test_a_stream_that_is_alone_or_unheard_has_no_skew() -> None:
    assert furthest("front", {"front": 100}) is None
    assert furthest("front", {"wrist": 100}) is None
