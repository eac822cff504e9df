from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vla_hosting.text import TextCache, normalise


@pytest.mark.parametrize(
    "spelling",
    [
        "Pick up the red cube.",
        "  pick  up the\tred cube",
        "PICK UP THE RED CUBE!",
        "pick up the red ｃube",
    ],
)
def test_two_spellings_of_one_instruction_agree(spelling: str) -> None:
    assert normalise(spelling) == "pick up the red cube"


def test_other_instructions_stay_apart() -> None:
    assert normalise("pick up the red cube") != normalise("pick up the blue cube")
    assert normalise("...") == ""


class Encoder:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, text: str) -> NDArray[np.float32]:
        self.asked.append(text)
        return np.full(4, len(self.asked), np.float32)


def test_encodes_an_instruction_once() -> None:
    cache, encoder = TextCache(), Encoder()
    first = cache.encode("bert", "Pick it up.", encoder)
    assert cache.encode("bert", "pick it up", encoder) is first
    assert encoder.asked == ["pick it up"]
    assert (cache.hits, cache.misses) == (1, 1)


def test_keeps_the_encodings_of_two_backbones_apart() -> None:
    cache, encoder = TextCache(), Encoder()
    assert cache.encode("a", "x", encoder)[0] != cache.encode("b", "x", encoder)[0]


def test_forgets_what_was_used_longest_ago() -> None:
    cache, encoder = TextCache(capacity=2), Encoder()
    for text in ("a", "b", "a", "c", "a", "b"):
        cache.encode("", text, encoder)
    assert encoder.asked == ["a", "b", "c", "b"]


def test_an_encoding_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        TextCache().encode("", "x", Encoder())[0] = 1.0
