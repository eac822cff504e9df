"""The command line without ROS: spellings, refusals, and what it imports."""

from __future__ import annotations

import importlib.util

import pytest

from vla_bringup.cli.__main__ import FOREIGN, OWN, main, plain


def test_launch_style_and_options_are_the_same() -> None:
    assert plain(["up", "robot:=so101", "--policy", "demo"]) == [
        "up", "--robot=so101", "--policy", "demo",
    ]  # fmt: skip


def test_an_instruction_with_a_colon_stays_as_it_is() -> None:
    assert plain(["task", "note: put := here"]) == ["task", "note: put := here"]


@pytest.mark.parametrize("command", OWN, ids=lambda command: command.name)
def test_every_command_has_help(command, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("rclpy")
    with pytest.raises(SystemExit) as ended:
        main([command.name, "--help"])
    assert ended.value.code == 0
    assert command.help.split("`")[0][:20] in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("command", FOREIGN, ids=lambda command: command.name)
def test_commands_of_other_packages_have_a_main(command) -> None:  # type: ignore[no-untyped-def]
    module = importlib.util.find_spec(command.module)
    assert module is not None


def test_a_refusal_is_one_sentence_and_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rclpy")
    assert main(["up", "robot:=nobody"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("vla: unknown robot 'nobody'")
    assert "Traceback" not in said


def test_an_unknown_command_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fly"])
    assert "doctor" in capsys.readouterr().err
