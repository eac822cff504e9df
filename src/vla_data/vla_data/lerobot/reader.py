"""Reads a LeRobot v3.0 dataset, whoever wrote it: numbers as arrays, images decoded on demand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vla_core.errors import ConfigurationError
from vla_data.lerobot.features import Feature
from vla_data.lerobot.images import Image, decode, read_video


@dataclass(frozen=True)
class Episode:
    """One episode: rows ``start`` to ``stop`` (not included) of the dataset."""

    index: int
    tasks: tuple[str, ...]
    start: int
    stop: int

    @property
    def rows(self) -> slice:
        """The episode's rows, to index a column with."""
        return slice(self.start, self.stop)


class Dataset:
    """A dataset on disk. Rows run over all episodes, in order.

    Raises:
        ConfigurationError: the folder holds no dataset of version 3.0.
    """

    def __init__(self, root: Path) -> None:
        path = root / "meta/info.json"
        if not path.is_file():
            raise ConfigurationError(f"{root} holds no dataset: {path} is missing")
        self.root = root
        self.info: dict[str, Any] = json.loads(path.read_text())
        version = self.info.get("codebase_version")
        if version != "v3.0":
            raise ConfigurationError(
                f"dataset {root} has version {version}, expected v3.0. "
                "Convert it with lerobot's own script."
            )
        self.fps = float(self.info["fps"])
        self.features = {
            name: Feature.from_json(entry) for name, entry in self.info["features"].items()
        }

    def __len__(self) -> int:
        return int(self.info["total_frames"])

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """Every task's text, by task index."""
        table = pq.read_table(self.root / "meta/tasks.parquet")
        text = next(name for name in table.column_names if name != "task_index")
        pairs = zip(table["task_index"].to_pylist(), table[text].to_pylist(), strict=True)
        return tuple(task for _, task in sorted(pairs))

    @cached_property
    def stats(self) -> dict[str, dict[str, NDArray[np.float64]]]:
        """Statistics of each feature over the whole dataset."""
        stored = json.loads((self.root / "meta/stats.json").read_text())
        return {key: {n: np.asarray(v) for n, v in value.items()} for key, value in stored.items()}

    @cached_property
    def episodes(self) -> tuple[Episode, ...]:
        """Every episode, in order."""
        return tuple(
            Episode(
                row["episode_index"],
                tuple(row["tasks"]),
                row["dataset_from_index"],
                row["dataset_to_index"],
            )
            for row in self._episode_rows
        )

    def column(self, name: str) -> NDArray[Any]:
        """Return a number feature of all frames: (T,) for one entry, else (T, entries).

        Raises:
            ConfigurationError: no such feature, or it is an image.
        """
        feature = self._feature(name, image=False)
        flat = pa.chunked_array(
            [chunk for path in self._data_files for chunk in _column_chunks(path, name)]
        ).combine_chunks()
        if feature.shape == (1,):
            return np.asarray(flat.to_numpy(zero_copy_only=False))
        return np.asarray(flat.flatten().to_numpy(zero_copy_only=False)).reshape(
            -1, *feature.shape
        )

    def images(self, name: str, episodes: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """Return the images of some episodes (default: of all), (T, H, W, 3) RGB.

        Raises:
            ConfigurationError: no such feature, or it is not an image.
        """
        feature = self._feature(name, image=True)
        chosen = range(len(self.episodes)) if episodes is None else episodes
        total = sum(self.episodes[i].stop - self.episodes[i].start for i in chosen)
        images = np.empty((total, *feature.shape), np.uint8)
        for row, image in enumerate(self.iterate_images(name, chosen)):
            images[row] = image
        return images

    def iterate_images(self, name: str, episodes: Sequence[int]) -> Iterator[Image]:
        """Yield the images of some episodes one by one, in the order asked for."""
        is_video = self._feature(name, image=True).dtype == "video"
        for index in episodes:
            yield from self._video_frames(name, index) if is_video else self._stills(name, index)

    @cached_property
    def _episode_rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for path in sorted((self.root / "meta/episodes").glob("*/*.parquet")):
            names = [n for n in pq.read_schema(path).names if not n.startswith("stats/")]
            rows += pq.read_table(path, columns=names).to_pylist()
        return sorted(rows, key=lambda row: int(row["episode_index"]))

    @cached_property
    def _data_files(self) -> list[Path]:
        return sorted((self.root / "data").glob("*/*.parquet"))

    @cached_property
    def _groups(self) -> list[tuple[Path, int, int, int]]:
        """File, row group, first row and end row of each piece of the data."""
        groups, first = [], 0
        for path in self._data_files:
            metadata = pq.read_metadata(path)
            for group in range(metadata.num_row_groups):
                end = first + metadata.row_group(group).num_rows
                groups.append((path, group, first, end))
                first = end
        return groups

    def _stills(self, name: str, episode: int) -> Iterator[Image]:
        wanted = self.episodes[episode]
        for path, group, first, end in self._groups:
            start, stop = max(first, wanted.start), min(end, wanted.stop)
            if start >= stop:
                continue
            with pq.ParquetFile(path, memory_map=True) as file:
                cells = file.read_row_group(group, columns=[f"{name}.bytes"])[name]
            for cell in cells.slice(start - first, stop - start):
                yield decode(cell["bytes"].as_py())

    def _video_frames(self, name: str, episode: int) -> Iterator[Image]:
        row, wanted = self._episode_rows[episode], self.episodes[episode]
        path = self.root / self.info["video_path"].format(
            video_key=name,
            chunk_index=row[f"videos/{name}/chunk_index"],
            file_index=row[f"videos/{name}/file_index"],
        )
        first = round(row[f"videos/{name}/from_timestamp"] * self.fps)
        return read_video(path, first, wanted.stop - wanted.start, self.fps)

    def _feature(self, name: str, *, image: bool) -> Feature:
        feature = self.features.get(name)
        if feature is None or feature.is_image is not image:
            known = [n for n, f in self.features.items() if f.is_image is image]
            kind = "images" if image else "numbers"
            raise ConfigurationError(f"dataset {self.root} has no {kind} '{name}'; it has {known}")
        return feature


def _column_chunks(path: Path, name: str) -> list[pa.Array]:
    return list(pq.read_table(path, columns=[name])[name].chunks)
