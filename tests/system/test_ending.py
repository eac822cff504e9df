"""Ctrl-C, SIGTERM and kill -9 at any time leave no process behind."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

import pytest
from commands import Family, command

_domains = itertools.count()
UP = ("up", "robot:=so101", "backend:=sim", "policy:=expert")


def domain() -> int:
    """Return a domain that no other test of this run uses."""
    return (os.getpid() + 61 + next(_domains)) % 100 + 1


def is_active(family: Family) -> bool:
    return "all nodes active" in family.said()


def test_ctrl_c_before_the_first_node_is_there(tmp_path: Path) -> None:
    with command(*UP, "--output", str(tmp_path), domain=domain()) as family:
        family.until(lambda: "starting so101" in family.said(), 20.0, "it did not start")
        family.end(signal.SIGINT)


def test_ctrl_c_while_the_nodes_are_coming_up(tmp_path: Path) -> None:
    with command(*UP, "--output", str(tmp_path), domain=domain()) as family:
        family.until(lambda: "configure" in family.said(), 40.0, "the supervisor did not begin")
        family.end(signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_any_end_of_a_running_graph(tmp_path: Path, number: signal.Signals) -> None:
    with command(*UP, "--output", str(tmp_path), domain=domain()) as family:
        family.until(lambda: is_active(family), 60.0, "not all nodes became active")
        assert len(family.members()) == 6
        code = family.end(number)
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    for log in (tmp_path / "log").iterdir():
        text = log.read_text()
        assert "Traceback" not in text, f"{log.name}:\n{text}"
        assert "FATAL" not in text, f"{log.name}:\n{text}"


def test_ctrl_c_in_the_middle_of_the_demo(tmp_path: Path) -> None:
    arguments = ("demo", "--policy", "expert", "--no-video", "--output", str(tmp_path))
    with command(*arguments, domain=domain()) as family:
        family.until(lambda: "running" in family.said(), 60.0, "the first task did not run")
        assert family.end(signal.SIGINT) == 130, family.said()
