"""The table of modes is complete, and the README shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vla_core.execution import TABLE, Condition, Mode, modes_table
from vla_core.execution.modes import Output

README = Path(__file__).parents[2] / "README.md"
MESSAGE = Path(__file__).parents[3] / "vla_interfaces/msg/ExecutorState.msg"


def test_every_condition_has_a_row() -> None:
    assert set(TABLE) == set(Condition)


def test_every_mode_occurs() -> None:
    assert {row.mode for row in TABLE.values()} == set(Mode)


def test_a_stop_never_resumes_by_itself_and_never_holds_on() -> None:
    for row in TABLE.values():
        assert row.resumes.startswith("no:") == (row.mode is Mode.STOPPED)
        if row.mode is Mode.STOPPED:
            assert row.output in (Output.NOTHING, Output.SILENCE)


def test_only_running_and_degraded_play_the_plan() -> None:
    for row in TABLE.values():
        assert (row.output is Output.PLAN) == (row.mode in (Mode.RUNNING, Mode.DEGRADED))


def test_the_readme_shows_the_table() -> None:
    assert modes_table() in README.read_text(), "put the output of modes_table() into README.md"


@pytest.mark.parametrize("mode", Mode)
def test_the_message_has_the_same_values(mode: Mode) -> None:
    assert f"uint8 MODE_{mode.name}={mode.value}\n" in MESSAGE.read_text()
