"""The README names every parameter of the node."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"


def test_every_parameter_is_in_the_readme() -> None:
    pytest.importorskip("rclpy")
    from vla_sim.sim_node import SimParams

    text = README.read_text()
    missing = [f.name for f in dataclasses.fields(SimParams) if f"`{f.name}`" not in text]
    assert not missing
