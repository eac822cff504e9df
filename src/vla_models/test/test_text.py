"""Instructions: which words count, and that reading happens once."""

from __future__ import annotations

from vla_models.nano.text import Vocabulary, collect, split


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
