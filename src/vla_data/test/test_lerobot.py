from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from vla_core.errors import ConfigurationError, MismatchError, ShapeError
from vla_data.lerobot import Dataset, DatasetWriter, Feature, image, number, vector, video
from vla_data.lerobot import stats as statistics

JOINTS = ("pan", "lift")
FPS = 20


def picture(value: int) -> np.ndarray:
    """An image that changes from frame to frame, plain enough to survive H.264."""
    return np.full((32, 48, 3), value, np.uint8)


def write(root: Path, lengths: tuple[int, ...] = (3, 4), **options: int) -> Path:
    features = {
        "observation.state": vector(JOINTS),
        "observation.images.front": image(32, 48),
        "observation.images.wrist": video(32, 48),
        "kicked": number("bool"),
        "action": vector(JOINTS, "float64"),
    }
    with DatasetWriter(root, FPS, features, robot="so101", **options) as dataset:
        for episode, length in enumerate(lengths):
            for i in range(length):
                level = 40 * episode + 10 * i
                frame = {
                    "observation.state": [episode, i],
                    "observation.images.front": picture(level),
                    "observation.images.wrist": picture(level + 5),
                    "kicked": i == 1,
                    "action": [episode + 0.1, i + 0.1],
                }
                dataset.add_frame(frame, task=f"task {episode % 2}")
            dataset.end_episode()
    return root


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    dataset = Dataset(write(tmp_path))
    assert len(dataset) == 7
    assert dataset.tasks == ("task 0", "task 1")
    assert [e.rows for e in dataset.episodes] == [slice(0, 3), slice(3, 7)]
    assert dataset.episodes[1].tasks == ("task 1",)
    assert dataset.column("action")[4].tolist() == [1.1, 1.1]
    assert dataset.column("kicked").tolist() == [False, True, False, False, True, False, False]
    assert dataset.column("timestamp") == pytest.approx([0, 0.05, 0.1, 0, 0.05, 0.1, 0.15])
    assert dataset.column("index").tolist() == list(range(7))


def test_png_images_come_back_exactly(tmp_path: Path) -> None:
    images = Dataset(write(tmp_path)).images("observation.images.front")
    assert images.shape == (7, 32, 48, 3)
    assert images[:, 3, 3, 1].tolist() == [0, 10, 20, 40, 50, 60, 70]


def test_video_frames_come_back_in_order_and_by_episode(tmp_path: Path) -> None:
    dataset = Dataset(write(tmp_path, (3, 4, 5)))
    images = dataset.images("observation.images.wrist", [1, 0])
    expected = [45, 55, 65, 75, 5, 15, 25]
    assert images[:, 16, 24, 1].astype(int) == pytest.approx(expected, abs=3)


def test_full_files_are_followed_by_new_ones(tmp_path: Path) -> None:
    root = write(tmp_path, (2, 2, 2), data_file_mb=0, video_file_mb=0)
    assert len(list((root / "data/chunk-000").iterdir())) == 3
    dataset = Dataset(root)
    assert dataset.images("observation.images.front", [2])[:, 0, 0, 0].tolist() == [80, 90]
    wrist = dataset.images("observation.images.wrist", [2])
    assert wrist[:, 16, 24, 0].astype(int) == pytest.approx([85, 95], abs=3)


def test_the_begun_episode_is_dropped_and_whole_ones_survive_an_exception(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError),
        DatasetWriter(tmp_path, FPS, {"action": vector(JOINTS)}) as dataset,
    ):
        dataset.add_frame({"action": [1, 2]}, "a")
        dataset.end_episode()
        dataset.add_frame({"action": [3, 4]}, "a")
        raise RuntimeError("expert fell over")
    assert Dataset(tmp_path).column("action").tolist() == [[1, 2]]


def test_statistics_are_those_of_all_frames(tmp_path: Path) -> None:
    dataset = Dataset(write(tmp_path, (3, 4, 5)))
    actions = dataset.column("action")
    stats = dataset.stats["action"]
    assert stats["mean"] == pytest.approx(actions.mean(axis=0))
    assert stats["std"] == pytest.approx(actions.std(axis=0))
    assert stats["max"] == pytest.approx(actions.max(axis=0))
    assert stats["count"].tolist() == [12]
    images = dataset.images("observation.images.front") / 255.0
    assert dataset.stats["observation.images.front"]["mean"].shape == (3, 1, 1)
    assert dataset.stats["observation.images.front"]["mean"].ravel() == pytest.approx(
        images.mean(axis=(0, 1, 2))
    )


def test_image_statistics_are_those_of_numpy() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 9, 9, 3)).astype(np.uint8)
    stats = statistics.of_images(list(pixels))
    assert stats["std"].ravel() == pytest.approx((pixels / 255.0).std(axis=(0, 1, 2)))
    expected = np.quantile(pixels / 255.0, 0.9, axis=(0, 1, 2), method="inverted_cdf")
    assert stats["q90"].ravel() == pytest.approx(expected)


def test_metadata_has_what_lerobot_reads(tmp_path: Path) -> None:
    root = write(tmp_path)
    info = json.loads((root / "meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert info["splits"] == {"train": "0:2"}
    assert info["features"]["observation.images.wrist"]["info"]["video.codec"] == "h264"
    tasks = pq.read_schema(root / "meta/tasks.parquet").pandas_metadata
    assert tasks["index_columns"] == ["__index_level_0__"]
    episodes = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert episodes[1]["videos/observation.images.wrist/from_timestamp"] == pytest.approx(0.15)
    assert episodes[1]["stats/action/max"] == [1.1, 3.1]
    notes = json.loads(
        pq.read_schema(root / "data/chunk-000/file-000.parquet").metadata[b"huggingface"]
    )
    assert notes["info"]["features"]["observation.images.front"] == {"_type": "Image"}


def test_a_missing_or_wrong_value_is_refused_by_name(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path, FPS, {"action": vector(JOINTS)}) as dataset:
        with pytest.raises(MismatchError, match="action"):
            dataset.add_frame({}, "a")
        with pytest.raises(ShapeError, match=r"'action' expected shape \(2,\), got \(3,\)"):
            dataset.add_frame({"action": [1, 2, 3]}, "a")
        with pytest.raises(ShapeError, match="NaN"):
            dataset.add_frame({"action": [1, np.nan]}, "a")


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="not empty"):
        DatasetWriter(tmp_path, FPS, {"action": vector(JOINTS)})


def test_a_folder_without_a_dataset_or_of_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds no dataset"):
        Dataset(tmp_path)
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/info.json").write_text('{"codebase_version": "v2.1"}')
    with pytest.raises(ConfigurationError, match=r"version v2\.1, expected v3\.0"):
        Dataset(tmp_path)


def test_an_unknown_column_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    dataset = Dataset(write(tmp_path))
    with pytest.raises(ConfigurationError, match=r"no numbers 'actoin'.*'action'"):
        dataset.column("actoin")
    with pytest.raises(ConfigurationError, match="no images 'action'"):
        dataset.images("action")


@pytest.mark.parametrize(
    ("dtype", "shape", "names"),
    [("complex", (1,), None), ("image", (3, 4), None), ("float32", (2,), ("one",))],
)
def test_a_feature_that_cannot_be_is_refused(
    dtype: str, shape: tuple[int, ...], names: tuple[str, ...] | None
) -> None:
    with pytest.raises(ConfigurationError):
        Feature(dtype, shape, names)
