"""Remembers which steps are done: an interrupted set-up resumes, a second start is fast.

A stamp is written, atomically, after its step; its key names all that the step depended on.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.paths import LOCK, STAMPS


def key_of(parts: Iterable[str]) -> str:
    """Return one short key for all that a step depends on."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def is_done(step: str, key: str, folder: Path = STAMPS) -> bool:
    """Tell whether ``step`` was finished with this ``key``."""
    try:
        return (folder / step).read_text() == key
    except OSError:
        return False


def mark_done(step: str, key: str, folder: Path = STAMPS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{step}.{os.getpid()}"
    unfinished.write_text(key)
    unfinished.replace(folder / step)


def forget(step: str, folder: Path = STAMPS) -> None:
    """Take a stamp back before its step begins to change what it stood for."""
    path = folder / step
    if path.exists():
        path.unlink()


@contextmanager
def exclusive(path: Path = LOCK) -> Iterator[None]:
    """Let one process at a time change the environment; the others wait and say for whom."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            print(f"vla: process {file.read()} is setting this checkout up; waiting for it.",
                  file=sys.stderr, flush=True)  # fmt: skip
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield
