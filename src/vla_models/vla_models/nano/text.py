"""Instructions to vectors: learned words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

PAD = 0  # index of no word; words start at 1


class Vocabulary:
    """The words that a network has learned. What it never saw is dropped, not guessed."""

    def __init__(self, words: Sequence[str], max_words: int) -> None:
        self._index = {word: i for i, word in enumerate(words, start=1)}
        self._max_words = max_words

    def indices(self, instruction: str) -> list[int]:
        """Return the indices of the known words (max_words,), padded with ``PAD``."""
        known = [self._index[w] for w in split(instruction) if w in self._index]
        known = known[: self._max_words]
        return known + [PAD] * (self._max_words - len(known))


def split(instruction: str) -> list[str]:
    """Return the lower-case words of an instruction."""
    return re.findall(r"[a-z0-9]+", instruction.lower())


def collect(instructions: Sequence[str]) -> tuple[str, ...]:
    """Return every word of some instructions, sorted: the vocabulary to learn."""
    return tuple(sorted({word for text in instructions for word in split(text)}))


class WordEncoder(nn.Module):
    """Word vectors, one look at their neighbours, mean over the words."""

    def __init__(self, words: int, max_words: int, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(words + 1, width, padding_idx=PAD)
        self.place = nn.Parameter(torch.zeros(max_words, width))
        self.mix = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width))

    def forward(self, words: Tensor) -> Tensor:
        """(B, L) indices -> (B, width). Without a known word: a constant of its own."""
        known = (words != PAD).unsqueeze(-1).to(self.place.dtype)
        x = self.embed(words) + self.place[: words.shape[1]]
        x = (x + self.mix(x)) * known
        pooled: Tensor = self.out(x.sum(1) / known.sum(1).clamp(min=1.0))
        return pooled
