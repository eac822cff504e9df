from __future__ import annotations

import io
import json
import re
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from synthetic import NS, Run, record

from vla_core.errors import ConfigurationError
from vla_data.recording import Recording
from vla_data.report import Episode, compute, make_report, table
from vla_data.report.gif import make_gif
from vla_data.report.svg import ticks

EPISODE = Episode("task-1", "wave", seed=7, success=True, ended="completed", duration_s=3.1)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("report") / "bag", Run(images=True, disagreement=0.02))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    make_report(record(folder / "bag", Run(images=True, duration_s=1.0)), folder, [EPISODE])
    return folder


def test_metrics_have_what_a_judge_asks_for(bag: Path) -> None:
    found = compute(Recording(bag), [EPISODE]).to_json()
    assert found["success_rate"] == 1.0
    assert found["starved_ticks"] == 0
    assert found["limit_violations"] == 0
    assert found["observation_age_p95_s"] == pytest.approx(0.46, abs=0.02)
    assert found["inference_p50_s"] == pytest.approx(0.098)
    assert found["answer_p50_s"] == pytest.approx(0.1)
    assert found["overhead_p50_s"] == pytest.approx(0.002)
    assert 0.02 <= found["seam_gap_p95"] < 0.06
    assert found["real_time_factor"] == pytest.approx(1.0)
    assert found["task_time_s"] == pytest.approx(3.0)
    assert found["per_episode"][0]["seed"] == 7
    json.dumps(found, allow_nan=False)


def test_what_is_not_known_is_null_and_never_a_number(bag: Path) -> None:
    found = compute(Recording(bag)).to_json()
    assert found["success_rate"] is None
    assert found["per_episode"][0]["success"] is None


def test_a_slow_simulation_is_told_by_the_clock(tmp_path: Path) -> None:
    metrics = compute(Recording(record(tmp_path / "bag", Run(speed=0.5))))
    assert metrics.total.real_time_factor == pytest.approx(0.5, rel=0.01)


def test_violations_are_counted_and_named(tmp_path: Path) -> None:
    def jump(tick: object) -> object:
        if tick.stamp_ns == 101 * NS:
            tick.positions = tick.positions + 0.1
        return tick

    metrics = compute(Recording(record(tmp_path / "bag", Run(spoil=jump))))
    assert metrics.total.limit_violations > 0
    assert "jerk" in metrics.to_json()["violations_by_kind"]


def test_episodes_without_an_id_are_taken_in_order(bag: Path) -> None:
    metrics = compute(Recording(bag), [Episode("", "wave", success=False)])
    assert metrics.success_rate == 0.0


def test_the_table_fits_a_terminal(bag: Path) -> None:
    out = io.StringIO()
    Console(file=out, width=100).print(table(compute(Recording(bag), [EPISODE])))
    text = out.getvalue()
    assert "1 of 1" in text
    assert "wave" in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 100


def test_the_report_is_one_page_that_needs_no_network(report: Path) -> None:
    page = (report / "report.html").read_text()
    assert not re.search(r'(src|href)="(?!video\.mp4")', page)
    assert "http" not in page
    assert page.count('<svg class="chart timed"') == 2, "one chart per column"
    assert "wave" in page
    assert json.loads((report / "metrics.json").read_text())["success_rate"] == 1.0


def test_the_film_shows_every_instant_of_each_episode(report: Path) -> None:
    with av.open(str(report / "video.mp4")) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) == 20 + 12, "1 s at 20 Hz and the last picture"
    assert frames[0].shape == (720, 1280, 3)
    front = [int(frame[300, 320].mean()) for frame in (frames[4], frames[16])]
    assert front == pytest.approx([8, 32], abs=4), "the picture of that instant"
    plans = [frames[i][540:].astype(int) for i in (4, 16)]
    assert (np.abs(plans[1] - plans[0]).max(axis=2) > 60).sum() > 100, "the plan moves on"


def test_a_small_moving_picture_fits_or_is_refused(report: Path, tmp_path: Path) -> None:
    make_gif(report / "video.mp4", tmp_path / "film.gif", 1.0)
    with Image.open(tmp_path / "film.gif") as picture:
        assert picture.size == (560, 315)
        assert getattr(picture, "n_frames") == 6  # noqa: B009  (only some formats have it)
    with pytest.raises(ConfigurationError, match="show less of it"):
        make_gif(report / "video.mp4", tmp_path / "none.gif", 1.0, largest=100)
    assert not (tmp_path / "none.gif").exists()


def test_without_pictures_there_is_a_page_and_no_film(tmp_path: Path) -> None:
    make_report(record(tmp_path / "bag"), tmp_path / "out")
    assert (tmp_path / "out/report.html").is_file()
    assert not (tmp_path / "out/video.mp4").exists()
    assert "<video" not in (tmp_path / "out/report.html").read_text()


def test_words_of_others_are_escaped_in_the_page(bag: Path, tmp_path: Path) -> None:
    recording = Recording(bag)
    recording.texts["notes"] = ["<script>alert(1)</script>"]
    from vla_data.report.page import make_page

    assert "<script>alert" not in make_page(recording, compute(recording))


def test_ticks_are_round() -> None:
    assert ticks(0.03, 0.97, 5) == [0.2, 0.4, 0.6, 0.8]
    assert ticks(-1.0, 1.0, 4) == [-1.0, -0.5, 0.0, 0.5, 1.0]
