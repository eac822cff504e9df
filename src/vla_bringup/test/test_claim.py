"""A robot is held by one graph at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from vla_bringup.claim import claim
from vla_core.errors import VlaError


def test_a_second_graph_for_the_same_robot_is_refused(tmp_path: Path) -> None:
    with (
        claim("so101", tmp_path),
        pytest.raises(VlaError, match=r"'so101' runs already.*process \d+"),
        claim("so101", tmp_path),
    ):
        pass


def test_a_robot_is_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with claim("so101", tmp_path):
            pass


def test_other_robots_and_other_domains_are_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "98")
    with claim("so101", tmp_path), claim("hsr", tmp_path):
        monkeypatch.setenv("ROS_DOMAIN_ID", "99")
        with claim("so101", tmp_path):
            pass
