"""An emulated arm and its calibration, and a port without a terminal for pure tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from so101_rig import Rig


@pytest.fixture()
def rig() -> Iterator[Rig]:
    """An emulated arm on a pseudo-terminal, not connected yet."""
    with Rig() as it:
        yield it
