from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import trimesh

from vla_scenes.meshes import FACES, cache_folder, robot_xml, simplified_meshes


def test_every_mesh_of_the_wheel_is_there_and_small() -> None:
    originals = sorted(p.name for p in (robot_xml().parent / "assets").glob("*.stl"))
    meshes = sorted(simplified_meshes().glob("*.stl"))
    assert [m.name for m in meshes] == originals
    # Binary STL: 84 bytes of header, 50 a face; quadric collapse removes two at a time.
    assert all((m.stat().st_size - 84) // 50 <= FACES + 2 for m in meshes)


def test_simplified_parts_keep_their_size_to_within_a_pixel_or_two() -> None:
    for name in ("upper_arm_so101_v1.stl", "moving_jaw_so101_v1.stl"):
        before = trimesh.load(robot_xml().parent / "assets" / name, force="mesh").extents
        after = trimesh.load(simplified_meshes() / name, force="mesh").extents
        assert after == pytest.approx(np.asarray(before), abs=5e-3)


def test_the_cache_is_where_it_is_told_even_relative_and_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VLA_CACHE", "cache")
    assert cache_folder() == tmp_path / "cache"
    folder = simplified_meshes(faces=400)
    assert folder.is_relative_to(tmp_path)
    stamps = {m: os.stat(m).st_mtime_ns for m in folder.iterdir()}
    simplified_meshes(faces=400)
    assert {m: os.stat(m).st_mtime_ns for m in folder.iterdir()} == stamps
