"""What is remembered of a set-up, and who may change it."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from tools import stamps


def test_a_step_is_done_only_for_its_own_key(tmp_path: Path) -> None:
    stamps.mark_done("packages", "old", tmp_path)
    assert stamps.is_done("packages", "old", tmp_path)
    assert not stamps.is_done("packages", "new", tmp_path)


def test_a_step_that_never_ran_is_not_done(tmp_path: Path) -> None:
    assert not stamps.is_done("packages", "key", tmp_path / "nowhere")


def test_a_step_begun_again_is_not_done_until_it_ends(tmp_path: Path) -> None:
    stamps.mark_done("packages", "key", tmp_path)
    stamps.forget("packages", tmp_path)
    assert not stamps.is_done("packages", "key", tmp_path)


def test_marking_leaves_nothing_unfinished(tmp_path: Path) -> None:
    stamps.mark_done("packages", "key", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["packages"]


def test_keys_differ_where_parts_are_cut_differently() -> None:
    assert stamps.key_of(["ab", "c"]) != stamps.key_of(["a", "bc"])


def test_only_one_process_at_a_time_sets_up(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with stamps.exclusive(path), path.open("a") as second, pytest.raises(BlockingIOError):
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with path.open("a") as third:
        fcntl.flock(third, fcntl.LOCK_EX | fcntl.LOCK_NB)
