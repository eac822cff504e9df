"""Policy files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vla_core.contract import load_policy_config, parse_policy_config
from vla_core.errors import ConfigurationError

FILES = sorted((Path(__file__).parents[4] / "config/policies").glob("*.yaml"))
RAW: dict[str, Any] = {"name": "p", "robot": "tiny", "uri": "scripted:a:B"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_shipped_files_are_right(file: Path) -> None:
    assert load_policy_config(file).name == file.stem


def test_the_shortest_file_is_enough() -> None:
    config = parse_policy_config(RAW)
    assert config.execution.mode == "async" and config.execution.join == "blend"


def test_mistakes_are_named_together() -> None:
    raw = {**RAW, "uri": "", "execution": {"mode": "fast", "threshold": 1.5, "horizon_rows": 0}}
    with pytest.raises(ConfigurationError) as caught:
        parse_policy_config(raw)
    text = str(caught.value)
    assert text.startswith("policy: 4 mistakes")
    assert "execution.mode: expected 'async' or 'sync', found 'fast'" in text
    assert "execution.threshold: expected less than 1, found 1.5" in text


def test_unknown_keys_list_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"execution.horizon: unknown key; known are \['"):
        parse_policy_config({**RAW, "execution": {"horizon": 3}})


def test_a_configuration_survives_json() -> None:
    config = parse_policy_config({**RAW, "conversions": [{"units": {"lift": "deg"}}]})
    assert type(config).model_validate(config.model_dump(mode="json")) == config
