from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import yaml

from vla_core.errors import ConfigurationError
from vla_record.cli import contracts_of, ros_arguments


def asked(**changes: object) -> argparse.Namespace:
    values: dict[str, object] = {
        "robot": "so101",
        "contract": None,
        "policy": [],
        "no_images": False,
        "notes": "",
    }
    return argparse.Namespace(**{**values, **changes})


def parameters(arguments: list[str]) -> dict[str, object]:
    pairs = [text.split(":=", 1) for text in arguments if ":=" in text]
    return {name: yaml.safe_load(value) for name, value in pairs if not name.startswith("__")}


def test_a_robots_contract_is_found_in_the_checkout() -> None:
    found = parameters(ros_arguments(asked(), Path("here")))
    assert str(found["contract_files"][0]).endswith("config/robots/so101/contract.yaml")
    assert found["directory"] == "here"
    assert found["images"] is True


def test_any_text_survives_the_way_to_the_node() -> None:
    notes = "it's 5 o'clock: [yes], #no"
    assert parameters(ros_arguments(asked(notes=notes), Path("a b")))["notes"] == notes


def test_an_unknown_robot_is_a_refusal() -> None:
    with pytest.raises(ConfigurationError, match="robot 'r2d2' has no config"):
        contracts_of("r2d2")
