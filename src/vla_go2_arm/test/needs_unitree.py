"""Import this to skip a test module where Unitree's messages are absent."""

import pytest

for package in ("unitree_api", "unitree_go"):
    pytest.importorskip(
        f"{package}.msg",
        reason=f"{package} is not installed, nor its stand-in built: ./vla setup builds it",
    )
