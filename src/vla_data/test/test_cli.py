from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from live import record_live
from synthetic import CONTRACT, NS, Run, make, record

from vla_core.errors import ConfigurationError
from vla_data import check_cli, convert_cli, replay_cli, report_cli
from vla_data.bag import BagWriter


def test_check_says_yes_and_no(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_cli.main([str(record(tmp_path / "good"))]) == 0
    assert "violations  0" in capsys.readouterr().out

    def jump(tick: object) -> object:
        if tick.stamp_ns == 101 * NS:
            tick.positions = tick.positions + 0.1
        return tick

    assert check_cli.main([str(record(tmp_path / "bad", Run(spoil=jump)))]) == 1
    assert "jerk of 'pan'" in capsys.readouterr().out


def test_check_refuses_a_bag_in_which_nothing_was_commanded(tmp_path: Path) -> None:
    contract = tmp_path / "contract.yaml"
    contract.write_text(CONTRACT)
    joints = make("sensor_msgs/msg/JointState", name=["pan"], position=np.zeros(1))
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_message("/joint_states", joints, NS)
    with pytest.raises(ConfigurationError, match=r"no command of robot 'test'.*'/joint_states'"):
        check_cli.main([str(tmp_path / "bag"), "--contract", str(contract)])


def test_report_writes_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report_cli.main([str(record(tmp_path / "bag")), "--no-video"]) == 0
    assert (tmp_path / "bag_report/report.html").is_file()
    assert "starved ticks" in capsys.readouterr().out


def test_replay_says_whether_it_is_exact(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay_cli.main([str(record_live(tmp_path / "bag", seconds=1.0))]) == 0
    assert "recorded commands came out again" in capsys.readouterr().out


def test_convert_makes_a_dataset(tmp_path: Path) -> None:
    bag = record(tmp_path / "bag", Run(images=True, duration_s=1.0))
    assert convert_cli.main([str(bag), "--output", str(tmp_path / "dataset")]) == 0
    assert (tmp_path / "dataset/meta/info.json").is_file()


def test_no_bag_is_a_refusal_with_a_sentence(tmp_path: Path) -> None:
    for command in (check_cli, report_cli, replay_cli):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            command.main([str(tmp_path / "none")])
