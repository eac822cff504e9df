from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from live import record_live
from synthetic import CONTRACT, MS, Run, record

from vla_core.contract import parse_contract
from vla_core.errors import ConfigurationError
from vla_data.checker import check
from vla_data.replay import replay


def test_every_recorded_command_comes_out_again_to_the_last_bit(tmp_path: Path) -> None:
    result = replay(record_live(tmp_path / "bag"))
    assert result.is_exact
    assert result.compared == result.recorded > 100
    assert result.moved == 0


def test_what_the_executor_did_passes_the_checker(tmp_path: Path) -> None:
    verdict = check(record_live(tmp_path / "bag"))
    assert [str(v) for v in verdict.violations] == []
    assert verdict.passed


def test_a_replay_of_a_replay_is_the_same(tmp_path: Path) -> None:
    bag = record_live(tmp_path / "bag")
    first, second = replay(bag), replay(bag)
    assert len(first.commands) == len(second.commands)
    for one, other in zip(first.commands, second.commands, strict=True):
        assert one.positions.tobytes() == other.positions.tobytes()


def test_a_chunk_that_the_recorder_heard_a_tick_early_is_put_in_its_place(tmp_path: Path) -> None:
    result = replay(record_live(tmp_path / "bag", early_ns=25 * MS))
    assert result.is_exact
    assert result.moved > 0


def test_a_missed_tick_is_missed_again(tmp_path: Path) -> None:
    result = replay(record_live(tmp_path / "bag", missed=60))
    assert result.is_exact


def test_another_contract_shows_where_it_changes_the_commands(tmp_path: Path) -> None:
    slower = yaml.safe_load(CONTRACT)
    slower["action"]["columns"][0]["velocity"] = 0.4
    result = replay(record_live(tmp_path / "bag"), parse_contract(slower))
    assert not result.is_exact
    assert result.difference is not None
    assert "differ" in str(result.difference)


def test_what_another_machine_rounded_otherwise_is_the_same_within_a_tolerance(
    tmp_path: Path,
) -> None:
    rounded = yaml.safe_load(CONTRACT)
    rounded["action"]["columns"][0]["velocity"] *= 1.0 + 1e-13
    bag, contract = record_live(tmp_path / "bag"), parse_contract(rounded)
    assert replay(bag, contract, tolerance=1e-9).is_exact
    slower = yaml.safe_load(CONTRACT)
    slower["action"]["columns"][0]["velocity"] = 0.4
    assert not replay(bag, parse_contract(slower), tolerance=1e-9).is_exact


def test_commands_of_somebody_else_are_told_from_the_executors(tmp_path: Path) -> None:
    bag = record(tmp_path / "bag", Run())
    with pytest.raises(ConfigurationError, match="policy 'demo'"):
        replay(bag)
