"""Writes a LeRobot v3.0 dataset, frame by frame, in one pass and with bounded memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vla_core.errors import ConfigurationError, MismatchError
from vla_data.lerobot import stats
from vla_data.lerobot.features import BOOKKEEPING, Feature, table_schema, to_arrow
from vla_data.lerobot.images import VideoWriter, encode_png

MB = 1024 * 1024
CHUNK_FILES = 1000  # files per folder
PLACE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
DATA_PATH = f"data/{PLACE}.parquet"
VIDEO_PATH = f"videos/{{video_key}}/{PLACE}.mp4"
EPISODES_PATH = f"meta/episodes/{PLACE}.parquet"
SAMPLED_IMAGES = 16  # per episode, for the image statistics


class DatasetWriter:
    """Collects frames into episodes; an episode is stored when it ends, the dataset at close.

    Use it as a context manager: whole episodes survive an exception, the begun one is dropped.

        with DatasetWriter(root, fps=20, features={"action": vector(names)}) as dataset:
            dataset.add_frame({"action": action}, task="put the red cube on the yellow pad")
            dataset.end_episode()

    Raises:
        ConfigurationError: the folder holds something already, or a feature's name is not valid.
    """

    def __init__(
        self,
        root: Path,
        fps: int,
        features: Mapping[str, Feature],
        robot: str = "",
        data_file_mb: int = 100,
        video_file_mb: int = 200,
    ) -> None:
        if root.exists() and any(root.iterdir()):
            raise ConfigurationError(
                f"dataset folder {root} is not empty. Remove it or choose another."
            )
        for name in features:
            if "/" in name or name in BOOKKEEPING:
                raise ConfigurationError(f"dataset: '{name}' is not a name a feature may have")
        self.root, self.fps, self.robot = root, fps, robot
        self.features = {**features, **BOOKKEEPING}
        self.tasks: dict[str, int] = {}
        self.frames = 0  # in stored episodes
        self._sizes_mb = {"data": data_file_mb, "video": video_file_mb}
        self._schema = table_schema(self.features)
        self._frame_list: list[dict[str, NDArray[Any]]] = []
        self._task_list: list[str] = []
        self._episodes: list[dict[str, Any]] = []
        self._stats: list[dict[str, stats.Stats]] = []
        self._table: pq.ParquetWriter | None = None
        self._videos: dict[str, VideoWriter] = {}
        self._file = {"data": 0} | dict.fromkeys(self._names("video"), 0)
        root.mkdir(parents=True, exist_ok=True)

    @property
    def episodes(self) -> int:
        """Number of stored episodes."""
        return len(self._episodes)

    def add_frame(self, frame: Mapping[str, object], task: str) -> None:
        """Add one frame to the running episode; images are (H, W, 3) RGB uint8.

        Raises:
            MismatchError: a feature is missing or unknown.
            ShapeError: a value does not fit its feature.
        """
        expected = set(self.features) - set(BOOKKEEPING)
        if set(frame) != expected:
            raise MismatchError(
                f"dataset: expected the features {sorted(expected)}, got {sorted(frame)}"
            )
        values = {name: self.features[name].check(name, value) for name, value in frame.items()}
        self._frame_list.append(values)
        self._task_list.append(task)

    def drop_episode(self) -> None:
        """Forget the frames of the running episode."""
        self._frame_list, self._task_list = [], []

    def end_episode(self) -> None:
        """Store the running episode; without frames, do nothing."""
        if not self._frame_list:
            return
        length = len(self._frame_list)
        tasks = list(dict.fromkeys(self._task_list))
        for task in tasks:
            self.tasks.setdefault(task, len(self.tasks))
        columns = self._columns()
        row: dict[str, Any] = {
            "episode_index": self.episodes,
            "tasks": tasks,
            "length": length,
            "dataset_from_index": self.frames,
            "dataset_to_index": self.frames + length,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }
        row |= self._store_table(columns)
        for name in self._names("video"):
            row |= self._store_video(name)
        self._stats.append(self._episode_stats(columns))
        self._episodes.append(row)
        self.frames += length
        self.drop_episode()

    def close(self) -> None:
        """Finish the files and write what describes them."""
        if self._table is not None:
            self._table.close()
            self._table = None
        for writer in self._videos.values():
            writer.close()
        self._videos = {}
        self.drop_episode()
        self._write_meta()

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _names(self, dtype: str) -> list[str]:
        return [name for name, feature in self.features.items() if feature.dtype == dtype]

    def _columns(self) -> dict[str, list[NDArray[Any]]]:
        """Return the running episode by column, bookkeeping included."""
        length = len(self._frame_list)
        index = np.arange(length)
        filled: dict[str, NDArray[Any]] = {
            "timestamp": index / self.fps,
            "frame_index": index,
            "episode_index": np.full(length, self.episodes),
            "index": index + self.frames,
            "task_index": np.array([self.tasks[task] for task in self._task_list]),
        }
        columns = {
            name: [frame[name] for frame in self._frame_list]
            for name in self.features
            if name not in BOOKKEEPING
        }
        for name, values in filled.items():
            columns[name] = list(values.reshape(-1, 1))
        return columns

    def _store_table(self, columns: Mapping[str, list[NDArray[Any]]]) -> dict[str, int]:
        """Append the episode to the data file as one row group; return where it went."""
        if self._table is not None and self._is_full("data", self._path("data").stat().st_size):
            self._table.close()
            self._table = None
            self._file["data"] += 1
        if self._table is None:
            path = self._path("data")
            path.parent.mkdir(parents=True, exist_ok=True)
            # No column for which it would pay: PNG does not shrink any further, numbers hardly do.
            self._table = pq.ParquetWriter(
                path, self._schema, compression="none", use_dictionary=["episode_index"]
            )
        arrays = []
        for name in self._schema.names:
            values: list[Any] = columns[name]
            if self.features[name].dtype == "image":
                values = [encode_png(value) for value in values]
            arrays.append(to_arrow(self.features[name], values))
        self._table.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        return {"data/chunk_index": self._chunk("data"), "data/file_index": self._number("data")}

    def _store_video(self, name: str) -> dict[str, Any]:
        """Append the episode's frames to the video file; return where they went."""
        writer = self._videos.get(name)
        if writer is not None and self._is_full("video", writer.size):
            writer.close()
            writer = None
            self._file[name] += 1
        if writer is None:
            height, width, _ = self.features[name].shape
            writer = VideoWriter(self._path(name), self.fps, height, width)
            self._videos[name] = writer
        first = writer.frames
        for frame in self._frame_list:
            writer.append(frame[name])
        return {
            f"videos/{name}/chunk_index": self._chunk(name),
            f"videos/{name}/file_index": self._number(name),
            f"videos/{name}/from_timestamp": first / self.fps,
            f"videos/{name}/to_timestamp": writer.frames / self.fps,
        }

    def _episode_stats(self, columns: Mapping[str, list[NDArray[Any]]]) -> dict[str, stats.Stats]:
        every = max(1, len(self._frame_list) // SAMPLED_IMAGES)
        return {
            name: stats.of_images(columns[name][::every])
            if feature.is_image
            else stats.of_vectors(np.stack(columns[name]))
            for name, feature in self.features.items()
        }

    def _chunk(self, kind: str) -> int:
        return self._file[kind] // CHUNK_FILES

    def _number(self, kind: str) -> int:
        return self._file[kind] % CHUNK_FILES

    def _path(self, kind: str) -> Path:
        pattern = DATA_PATH if kind == "data" else VIDEO_PATH
        return self.root / pattern.format(
            video_key=kind, chunk_index=self._chunk(kind), file_index=self._number(kind)
        )

    def _is_full(self, kind: str, size: int) -> bool:
        return size >= self._sizes_mb[kind] * MB

    def _write_meta(self) -> None:
        meta = self.root / "meta"
        meta.mkdir(exist_ok=True)
        (meta / "info.json").write_text(json.dumps(self._info(), indent=4))
        pq.write_table(_tasks_table(self.tasks), meta / "tasks.parquet")
        if not self._episodes:
            return
        total = {name: stats.join([s[name] for s in self._stats]) for name in self.features}
        (meta / "stats.json").write_text(json.dumps(stats.to_json(total), indent=4))
        rows = [
            row
            | {f"stats/{k}/{n}": v for k, s in stats.to_json(each).items() for n, v in s.items()}
            for row, each in zip(self._episodes, self._stats, strict=True)
        ]
        path = self.root / EPISODES_PATH.format(chunk_index=0, file_index=0)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), path)

    def _info(self) -> dict[str, Any]:
        features = {name: feature.to_json() for name, feature in self.features.items()}
        for name in self._names("video"):
            height, width, channels = self.features[name].shape
            features[name]["info"] = {
                "video.height": height,
                "video.width": width,
                "video.codec": "h264",
                "video.pix_fmt": "yuv420p",
                "video.is_depth_map": False,
                "video.fps": self.fps,
                "video.channels": channels,
                "has_audio": False,
            }
        return {
            "codebase_version": "v3.0",
            "robot_type": self.robot or None,
            "total_episodes": self.episodes,
            "total_frames": self.frames,
            "total_tasks": len(self.tasks),
            "chunks_size": CHUNK_FILES,
            "data_files_size_in_mb": self._sizes_mb["data"],
            "video_files_size_in_mb": self._sizes_mb["video"],
            "fps": self.fps,
            "splits": {"train": f"0:{self.episodes}"},
            "data_path": DATA_PATH,
            "video_path": VIDEO_PATH if self._names("video") else None,
            "features": features,
        }


def _tasks_table(tasks: Mapping[str, int]) -> pa.Table:
    """Return the table of tasks as pandas would store it: the text is the index."""
    index = "__index_level_0__"
    table = pa.table({"task_index": pa.array(tasks.values(), pa.int64()), index: list(tasks)})
    text = {"name": None, "pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    column = {"name": "task_index", "pandas_type": "int64", "numpy_type": "int64"}
    notes = {
        "index_columns": [index],
        "column_indexes": [{**text, "metadata": {"encoding": "UTF-8"}}],
        "columns": [
            {**column, "field_name": "task_index", "metadata": None},
            {**text, "field_name": index},
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    return table.replace_schema_metadata({"pandas": json.dumps(notes)})
