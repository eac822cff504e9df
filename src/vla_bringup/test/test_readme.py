"""The README names every parameter of the supervisor, every command and every module."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from vla_bringup.cli.__main__ import FOREIGN, OWN

PACKAGE = Path(__file__).resolve().parents[1]
TEXT = (PACKAGE / "README.md").read_text()


def test_every_parameter_is_in_the_readme() -> None:
    pytest.importorskip("rclpy")
    from vla_bringup.supervisor import SupervisorParams

    missing = [f.name for f in dataclasses.fields(SupervisorParams) if f"`{f.name}`" not in TEXT]
    assert not missing


def test_every_command_is_in_the_readme() -> None:
    assert not [c.name for c in (*OWN, *FOREIGN) if f"`{c.name}`" not in TEXT]


def test_every_module_is_in_the_readme() -> None:
    modules = {path.stem for path in (PACKAGE / "vla_bringup").glob("*.py")}
    # `paths` is about files alone.
    assert not [name for name in modules - {"__init__", "paths"} if f"`{name}`" not in TEXT]
