"""The command that tunes: what it accepts, what it refuses, what it leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vla_bringup.cli.__main__ import main


def test_a_small_sweep_leaves_a_picture_and_the_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = tmp_path / "scores.json"
    arguments = ["--latency", "constant:0.1", "--rows", "20", "--rate", "20", "--seconds", "2.5"]
    arguments += ["--horizons", "10", "--thresholds", "auto", "--joins", "blend", "--seeds", "1"]
    assert main(["tune", *arguments, "--output", str(tmp_path), "--json", str(scores)]) == 0
    found = json.loads(scores.read_text())
    assert found["proposal"]["horizon_rows"] == 10
    assert found["proposal"]["safe"]
    assert len(found["candidates"]) == 2  # and the synchronous one to compare with
    assert (tmp_path / "tune.png").exists()
    assert "horizon_rows: 10" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--latency", "soon"], "expected constant:0.2"),
        (["--rows", "2"], "--rows of at least 4"),
        (["--joins", "glue"], "found 'glue'"),
        (["--joins", "rtc"], "continues a prefix"),
        (["--horizons", "80"], "1 to 50 rows"),
        (["--thresholds", "1.5"], "between 0 and 1"),
        (["--robot", "nobody"], "nobody"),
        (["--bag", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tune", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("vla: ") and reason in said and "Traceback" not in said
