"""The command line: help, refusals, and that README and vla_bringup know the same commands."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tools import commands
from tools.paths import ROOT
from vla_bringup.cli import __main__ as bringup


def vla(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "vla"), *arguments], capture_output=True, text=True, timeout=30
    )


def test_help_has_one_line_per_command() -> None:
    answer = vla("--help")
    assert answer.returncode == 0
    listed = re.findall(r"^  (\w+) ", answer.stdout, re.MULTILINE)
    assert listed == [command.name for command in commands.COMMANDS]
    assert max(map(len, answer.stdout.splitlines())) <= 99


@pytest.mark.parametrize("name", [c.name for c in commands.COMMANDS if c.here])
def test_every_command_of_the_script_explains_itself(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = commands.main([name, "--help"])
    except SystemExit as leave:  # argparse
        code = leave.code
    assert code == 0
    assert f"usage: ./vla {name}" in capsys.readouterr().out


def test_an_unknown_command_lists_the_known_ones() -> None:
    answer = vla("dance")
    assert answer.returncode == 1
    assert answer.stderr.startswith("vla: no command 'dance'. There are: demo, up, task")


def test_the_script_works_from_another_folder_and_through_a_link(tmp_path: Path) -> None:
    link = tmp_path / "vla"
    link.symlink_to(ROOT / "vla")
    answer = subprocess.run([link, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert answer.stdout.startswith("usage: ./vla <command>")


def test_clean_leaves_nothing_but_the_sources(tmp_path: Path) -> None:
    shutil.copy(ROOT / "vla", tmp_path)
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    for folder in (".vla/venv/lib", ".vla/data", "src/vla_core/__pycache__"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "src" / "vla_core" / "plan.py").touch()
    answer = subprocess.run([tmp_path / "vla", "clean"], capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["src", "tools", "vla"]
    assert [path.name for path in (tmp_path / "src" / "vla_core").iterdir()] == ["plan.py"]
    assert not (tmp_path / "tools" / "__pycache__").exists()


def test_what_is_passed_on_is_what_vla_bringup_takes() -> None:
    passed_on = {command.name for command in commands.COMMANDS if not command.here}
    assert passed_on == {command.name for command in (*bringup.OWN, *bringup.FOREIGN)}


@pytest.mark.parametrize("command", bringup.FOREIGN, ids=lambda command: command.name)
def test_a_command_of_another_package_has_a_module(command: bringup.Command) -> None:
    assert importlib.util.find_spec(command.module) is not None


def test_the_readme_names_only_commands_that_exist() -> None:
    named = set(re.findall(r"\./vla (\w+)", (ROOT / "README.md").read_text()))
    assert named and named <= set(commands.BY_NAME)
