"""Instructions: one normal form, and encodings that are computed once per instruction."""

from __future__ import annotations

import unicodedata
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

CAPACITY = 256


def normalise(instruction: str) -> str:
    """Return the form in which two people's spellings of one instruction agree.

    Unicode NFKC, lower case, single spaces, no punctuation at the end.
    """
    text = unicodedata.normalize("NFKC", instruction).casefold()
    return " ".join(text.split()).rstrip(".!?… ")


class TextCache:
    """Keeps the newest encodings, by backbone and normalised instruction.

    Encoding is slow and an instruction rarely changes: it belongs where the instruction changes,
    never in the control path.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._known: OrderedDict[tuple[str, str], NDArray[np.float32]] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def encode(
        self, backbone: str, instruction: str, encoder: Callable[[str], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """Return the encoding of an instruction, from the cache if it is there; read-only."""
        key = backbone, normalise(instruction)
        if key in self._known:
            self.hits += 1
            self._known.move_to_end(key)
            return self._known[key]
        self.misses += 1
        features = np.array(encoder(key[1]), np.float32)
        features.flags.writeable = False
        self._known[key] = features
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return features
