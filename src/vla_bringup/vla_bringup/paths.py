"""Where configuration and weights lie: the checkout, or the share folder of an installation."""

from __future__ import annotations

import os
from pathlib import Path

from vla_core.errors import ConfigurationError


def root() -> Path:
    """Return the folder that relative paths of configuration and policies start from.

    ``VLA_ROOT`` if set; else the checkout that this file belongs to; else the share folder of the
    installed package, which holds the same ``config/`` and ``models/``.

    Raises:
        ConfigurationError: there is no ``config/robots`` in any of them.
    """
    candidates = [*_named(), *Path(__file__).resolve().parents, *_installed()]
    for folder in candidates:
        if (folder / "config" / "robots").is_dir():
            return folder
    raise ConfigurationError(
        f"no folder 'config/robots' in {[str(c) for c in (*_named(), *_installed())]} or above "
        f"{__file__}. Set VLA_ROOT to the checkout."
    )


def runs() -> Path:
    """Return where runs of this machine leave logs and recordings."""
    base = root()
    inside = os.access(base, os.W_OK) and (base / "vla").exists()
    return (base / ".vla" if inside else Path.home() / ".vla") / "runs"


def _named() -> list[Path]:
    named = os.environ.get("VLA_ROOT")
    return [Path(named)] if named else []


def _installed() -> list[Path]:
    try:
        from ament_index_python.packages import get_package_share_directory

        return [Path(get_package_share_directory("vla_bringup"))]
    except (ImportError, LookupError):
        return []
