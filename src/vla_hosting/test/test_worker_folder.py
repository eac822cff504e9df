from __future__ import annotations

import os
from pathlib import Path

import pytest

from vla_hosting.worker_folder import PREFIX, WorkerFolder, remove_orphans


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def make_old(folder: Path) -> None:
    os.utime(folder, (0, 0))


def test_links_our_packages_and_others_apart() -> None:
    folder = WorkerFolder(["vla_core", "json", "no_such_module"])
    assert [path.name for path in folder.ours.iterdir()] == ["vla_core"]
    assert [path.name for path in folder.others.iterdir()] == ["json"]
    folder.remove()
    assert not folder.path.exists()


def test_removes_what_a_killed_owner_left(tmp_path: Path) -> None:
    left = tmp_path / f"{PREFIX}left"
    left.mkdir()
    make_old(left)
    remove_orphans()
    assert not left.exists()


def test_leaves_what_is_in_use_or_young_or_not_ours(tmp_path: Path) -> None:
    used = WorkerFolder([])
    make_old(used.path)
    young, strange = tmp_path / f"{PREFIX}young", tmp_path / "strange"
    for folder in (young, strange):
        folder.mkdir()
    make_old(strange)
    remove_orphans()
    assert used.path.exists()
    assert young.exists()
    assert strange.exists()
    used.remove()
