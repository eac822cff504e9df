"""A camera's calibration: ROS's camera_info YAML, and what it is for a cut and resized picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from vla_core.errors import ConfigurationError

Matrix = NDArray[np.float64]
# distortion model -> numbers of coefficients (sensor_msgs/CameraInfo; distortion_models.hpp)
MODELS = {"plumb_bob": (4, 5), "rational_polynomial": (8,), "equidistant": (4,)}
SHAPES = {"camera_matrix": (3, 3), "rectification_matrix": (3, 3), "projection_matrix": (3, 4)}


@dataclass(frozen=True, eq=False)
class Calibration:
    """What sensor_msgs/CameraInfo carries."""

    height_px: int
    width_px: int
    model: str
    d: tuple[float, ...]
    k: Matrix  # (3, 3)
    r: Matrix  # (3, 3)
    p: Matrix  # (3, 4)

    def cut(self, top: int, left: int, rows: int, columns: int) -> Calibration:
        """Return the calibration of a part of the picture."""
        k, p = self.k.copy(), self.p.copy()
        for matrix in (k, p):
            matrix[0, 2] -= left
            matrix[1, 2] -= top
        return replace(self, height_px=rows, width_px=columns, k=k, p=p)

    def resized(self, height: int, width: int) -> Calibration:
        """Return the calibration of the resized picture; pixel centres are at whole numbers."""
        x, y = width / self.width_px, height / self.height_px
        k, p = self.k.copy(), self.p.copy()
        for matrix in (k, p):
            matrix[0] *= x
            matrix[1] *= y
            matrix[0, 2] += (x - 1) / 2
            matrix[1, 2] += (y - 1) / 2
        return replace(self, height_px=height, width_px=width, k=k, p=p)


def read(path: Path) -> Calibration:
    """Read a file of ROS's camera_calibration.

    Raises:
        ConfigurationError: every mistake at once.

    Source: ros-perception/image_common:camera_calibration_parsers (YAML).
    """
    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"calibration {path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"calibration {path}: expected keys and values")
    mistakes: list[str] = []
    size = [_whole(found, key, mistakes) for key in ("image_height", "image_width")]
    model = str(found.get("distortion_model"))
    d = _data(found, "distortion_coefficients", None, mistakes)
    if model not in MODELS:
        mistakes.append(f"'distortion_model': expected one of {sorted(MODELS)}, got '{model}'")
    elif len(d) not in MODELS[model]:
        mistakes.append(
            f"'distortion_coefficients': '{model}' has {MODELS[model]} of them, got {len(d)}"
        )
    matrices = [_data(found, key, shape, mistakes) for key, shape in SHAPES.items()]
    if mistakes:
        raise ConfigurationError(f"calibration {path}:\n" + "\n".join(mistakes))
    return Calibration(size[0], size[1], model, tuple(d.tolist()), *matrices)


def _whole(found: dict[str, Any], key: str, mistakes: list[str]) -> int:
    value = found.get(key)
    if isinstance(value, int) and value > 0:
        return value
    mistakes.append(f"'{key}': expected a positive whole number, got {value!r}")
    return 1


def _data(
    found: dict[str, Any], key: str, shape: tuple[int, int] | None, mistakes: list[str]
) -> Matrix:
    section = found.get(key)
    data = section.get("data") if isinstance(section, dict) else None
    try:
        values = np.array(data, np.float64)
    except (TypeError, ValueError):
        values = np.array(np.nan)
    wanted = int(np.prod(shape)) if shape else values.size
    if values.ndim == 1 and values.size == wanted and np.isfinite(values).all():
        return values.reshape(shape) if shape else values
    mistakes.append(f"'{key}': expected 'data' with {wanted or 'some'} numbers, got {data!r}")
    return np.zeros(shape or (0,))
