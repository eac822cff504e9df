"""The private folder of a worker: its socket, and links to what it may import of ours."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

PREFIX = "vla-worker-"
# A folder that is just being made is not locked yet.
YOUNG_S = 60.0


class WorkerFolder:
    """Exists until `remove`; one whose owner was killed is removed when the next one is made."""

    def __init__(self, modules: Iterable[str]) -> None:
        remove_orphans()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)  # the kernel lets go of it when we die
        link_sources(self.path, modules)

    @property
    def ours(self) -> Path:
        """Our own packages: first on the worker's module path."""
        return self.path / "vla"

    @property
    def others(self) -> Path:
        """Other modules: last, so that the worker's own environment wins."""
        return self.path / "modules"

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def remove_orphans() -> None:
    """Remove folders whose owner has died without doing so."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # in use, somebody else's, or just removed
            if time.time() - folder.stat().st_mtime > YOUNG_S:
                _remove_unless_locked(folder)


def _remove_unless_locked(folder: Path) -> None:
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def link_sources(folder: Path, modules: Iterable[str]) -> None:
    """Link what a worker may import of this installation, and nothing beside it.

    Our own packages come first on its module path. Others (a scripted policy's module) come last,
    so that its own environment wins.
    """
    ours, others = folder / "vla", folder / "modules"
    ours.mkdir()
    others.mkdir()
    for name in modules:
        spec = importlib.util.find_spec(name)
        if spec is None:
            continue  # it may be in the worker's own environment
        places = list(spec.submodule_search_locations or [])
        source = Path(places[0]) if places else Path(spec.origin or "")
        target = ours if name.startswith("vla_") else others
        if source.is_dir() or source.suffix == ".py":
            (target / source.name).symlink_to(source.absolute())
