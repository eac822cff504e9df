"""What a dataset's columns are: numbers, vectors, images as PNG, images as video."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vla_core.errors import ConfigurationError, ShapeError

NUMBERS = {"bool": np.bool_, "int64": np.int64, "float32": np.float32, "float64": np.float64}


@dataclass(frozen=True)
class Feature:
    """One column: a number or vector per frame, or an image (PNG in the table, or video).

    Raises:
        ConfigurationError: unknown dtype, or a shape that it cannot have.
    """

    dtype: str  # a key of NUMBERS, "image" or "video"
    shape: tuple[int, ...]  # (entries,) or (height, width, 3)
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.dtype not in (*NUMBERS, "image", "video"):
            raise ConfigurationError(
                f"dataset: unknown dtype '{self.dtype}'; known: {[*NUMBERS, 'image', 'video']}"
            )
        axes = 3 if self.is_image else 1
        if len(self.shape) != axes or (self.is_image and self.shape[2] != 3):
            expected = "(height, width, 3)" if self.is_image else "(entries,)"
            raise ConfigurationError(f"dataset: expected a shape {expected}, got {self.shape}")
        if self.names is not None and len(self.names) != (3 if self.is_image else self.shape[0]):
            raise ConfigurationError(
                f"dataset: {len(self.names)} names {list(self.names)} for shape {self.shape}"
            )

    @property
    def is_image(self) -> bool:
        """True for both ways of storing images."""
        return self.dtype in ("image", "video")

    def check(self, name: str, value: object) -> NDArray[Any]:
        """Return one frame's value as an array of this feature's type.

        Raises:
            ShapeError: another shape, images that are not uint8, or a number that is not finite.
        """
        array = np.asarray(value)
        if array.ndim == 0 and self.shape == (1,):
            array = array.reshape(1)
        if array.shape != self.shape or (self.is_image and array.dtype != np.uint8):
            kind = " uint8" if self.is_image else ""
            raise ShapeError(
                f"dataset: '{name}' expected shape {self.shape}{kind}, "
                f"got {array.shape} {array.dtype}"
            )
        if self.is_image:
            return array
        if not np.isfinite(array).all():
            raise ShapeError(f"dataset: '{name}' holds NaN or infinity: {array}")
        return array.astype(NUMBERS[self.dtype])

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `meta/info.json`."""
        names = None if self.names is None else list(self.names)
        return {"dtype": self.dtype, "shape": list(self.shape), "names": names}

    @staticmethod
    def from_json(entry: Mapping[str, Any]) -> Feature:
        """Read an entry of `meta/info.json`, names in the nested form of older writers too."""
        names = entry.get("names")
        if isinstance(names, Mapping):
            names = [name for group in names.values() for name in group]
        shape = tuple(int(size) for size in entry["shape"])
        if names is not None and len(names) != (3 if len(shape) == 3 else shape[0]):
            names = None
        return Feature(entry["dtype"], shape, None if names is None else tuple(map(str, names)))


def number(dtype: str = "float32") -> Feature:
    """One number per frame."""
    return Feature(dtype, (1,))


def vector(names: Sequence[str], dtype: str = "float32") -> Feature:
    """One vector per frame, an entry per name."""
    return Feature(dtype, (len(names),), tuple(names))


def image(height: int, width: int) -> Feature:
    """An RGB image per frame, kept exactly (PNG)."""
    return Feature("image", (height, width, 3), ("height", "width", "channels"))


def video(height: int, width: int) -> Feature:
    """An RGB image per frame, kept as H.264 video: much smaller, not exact."""
    return Feature("video", (height, width, 3), ("height", "width", "channels"))


# Every dataset has these; the writer fills them in.
BOOKKEEPING = {
    "timestamp": number("float32"),
    "frame_index": number("int64"),
    "episode_index": number("int64"),
    "index": number("int64"),
    "task_index": number("int64"),
}


def table_schema(features: Mapping[str, Feature]) -> pa.Schema:
    """Return the schema of the data files, with the notes that `datasets` wants to find."""
    fields = []
    notes: dict[str, Any] = {}
    for name, feature in features.items():
        if feature.dtype == "video":
            continue
        if feature.dtype == "image":
            fields.append(
                pa.field(name, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
            )
            notes[name] = {"_type": "Image"}
            continue
        kind = _arrow_type(feature.dtype)
        note: dict[str, Any] = {"dtype": feature.dtype, "_type": "Value"}
        if feature.shape == (1,):
            fields.append(pa.field(name, kind))
            notes[name] = note
        else:
            fields.append(pa.field(name, pa.list_(kind, feature.shape[0])))
            notes[name] = {"feature": note, "length": feature.shape[0], "_type": "Sequence"}
    metadata = json.dumps({"info": {"features": notes}})
    return pa.schema(fields, metadata={"huggingface": metadata})


def to_arrow(feature: Feature, values: Sequence[Any]) -> pa.Array:
    """Return one episode's column: PNG bytes for images, arrays of the feature's shape else."""
    if feature.dtype == "image":
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        return pa.array([{"bytes": png, "path": None} for png in values], kind)
    flat = pa.array(np.concatenate(values), _arrow_type(feature.dtype))
    if feature.shape == (1,):
        return flat
    return pa.FixedSizeListArray.from_arrays(flat, feature.shape[0])


def _arrow_type(dtype: str) -> pa.DataType:
    return pa.bool_() if dtype == "bool" else pa.type_for_alias(dtype)
