from __future__ import annotations

import pytest

from vla_scenes.tasks import TASKS, InstructionError, Task, parse


def test_there_are_six_tasks_and_each_is_said_in_several_ways() -> None:
    assert len(set(TASKS)) == 6
    assert all(len(set(task.wordings())) >= 6 for task in TASKS)


@pytest.mark.parametrize("task", TASKS, ids=lambda t: f"{t.cube}-{t.pad}")
def test_every_wording_is_read_as_its_own_task(task: Task) -> None:
    assert {parse(wording) for wording in task.wordings()} == {task}


def test_capitals_and_punctuation_do_not_matter() -> None:
    assert parse("Put the RED cube, please, on the Yellow pad!") == Task("red", "yellow")


@pytest.mark.parametrize(
    "instruction",
    ["", "do something", "put the red cube away", "the yellow pad", "put red or blue on yellow",
     "put the reddish cube on the yellowish pad"],
)  # fmt: skip
def test_an_instruction_that_names_no_single_cube_and_pad_is_refused(instruction: str) -> None:
    with pytest.raises(InstructionError, match="must name one cube"):
        parse(instruction)
