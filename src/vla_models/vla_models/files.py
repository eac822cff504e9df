"""Where models and their data lie: relative to the checkout, wherever a command is called."""

from __future__ import annotations

import os
from pathlib import Path


def root() -> Path:
    """Return the checkout: ``VLA_ROOT``, else the folder above that has one, else this folder."""
    named = os.environ.get("VLA_ROOT")
    if named:
        return Path(named)
    above = Path(__file__).resolve().parents
    return next((p for p in above if (p / "config" / "robots").is_dir()), Path.cwd())


def in_root(path: Path) -> Path:
    """Return a path as given if it exists or is absolute, else taken from the root."""
    return path if path.is_absolute() or path.exists() else root() / path
