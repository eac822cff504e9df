"""Where everything lies: the checkout, and below .vla/ all that the script creates."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".vla"
VENV = HOME / "venv"
ENVS = HOME / "envs"  # one folder per environment beside the main one
BUILD = HOME / "build"
INSTALL = HOME / "install"
LOG = HOME / "log"
CACHE = HOME / "cache"
STAMPS = HOME / "stamps"
LOCK = HOME / "lock"
REQUIREMENTS = ROOT / "tools" / "requirements"
