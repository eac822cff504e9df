"""Instructions: which words count, and that reading happens once."""

from __future__ import annotations

import torch

from vla_models.nano.text import TextCache, Vocabulary, collect, split


def test_words_are_lower_case_without_punctuation() -> None:
    assert split("Put the RED cube, on pad-2!") == ["put", "the", "red", "cube", "on", "pad", "2"]


def test_unknown_words_are_dropped_and_the_rest_padded() -> None:
    vocabulary = Vocabulary(("cube", "red"), max_words=4)
    assert vocabulary.indices("the red shiny cube") == [2, 1, 0, 0]
    assert vocabulary.indices("nothing known here") == [0, 0, 0, 0]


def test_long_instructions_are_cut() -> None:
    assert Vocabulary(("a",), max_words=3).indices("a a a a a") == [1, 1, 1]


def test_the_vocabulary_does_not_depend_on_the_order_of_instructions() -> None:
    assert collect(["b a", "c a"]) == collect(["c a", "b a"]) == ("a", "b", "c")


def test_an_instruction_is_encoded_once_however_it_is_typed() -> None:
    calls: list[str] = []

    def encode(instruction: str) -> torch.Tensor:
        calls.append(instruction)
        return torch.zeros(1)

    cache = TextCache(encode)
    for text in ("Put it there", "put it there!", "put  it there"):
        cache(text)
    assert len(calls) == 1


def test_the_cache_forgets_what_was_used_least_recently() -> None:
    calls: list[str] = []

    def encode(instruction: str) -> torch.Tensor:
        calls.append(instruction)
        return torch.zeros(1)

    cache = TextCache(encode, size=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        cache(text)
    assert calls == ["a", "b", "c", "b"]
