"""What every test run shares: a ROS domain of its own, and slow tests only on demand."""

from __future__ import annotations

import importlib.util
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

# Two runs on one machine, or a robot on the network, must not hear each other.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
if os.environ.get("ROS_DISTRO") == "humble":  # knows this name only, and then no profile of ours
    os.environ["ROS_LOCALHOST_ONLY"] = "1"
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("OMP_NUM_THREADS", "1")

HOW_TO_RUN = {"slow": "--all", "gpu": "-m gpu", "robot": "-m robot"}
_left_out: Counter[str] = Counter()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="also run the tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked slow, gpu or robot, unless -m or --all asks for it."""
    kept, dropped = [], []
    for item in items:
        reason = _reason_to_leave_out(config, item)
        if reason is None:
            kept.append(item)
        else:
            _left_out[reason] += 1
            dropped.append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


def _reason_to_leave_out(config: pytest.Config, item: pytest.Item) -> str | None:
    asked = config.getoption("-m") or ""
    for marker in HOW_TO_RUN:
        wanted = marker in asked or (marker == "slow" and config.getoption("--all"))
        if item.get_closest_marker(marker) and not wanted:
            return marker
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    # Not `launch`: launch_pytest takes that marker for its own, our top-level folder that module.
    if item.get_closest_marker("ros_launch") and importlib.util.find_spec("launch_ros") is None:
        pytest.skip("no `launch` here: it comes with a ROS installation, not from PyPI")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a process of pytest-xdist: tell the one that reports what was left out."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["left_out"] = dict(_left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Run tests of one module in one process, but for the shards of a long one."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if "[shard" in nodeid else super()._split_scope(nodeid)

    return Scheduling(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear it there; each process collects, and leaves out, everything."""
    for marker, count in getattr(node, "workeroutput", {}).get("left_out", {}).items():
        _left_out[marker] = max(count, _left_out[marker])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out, and leave the counts where ./vla test adds them up."""
    for marker, count in _left_out.items():
        terminalreporter.write_line(
            f"left out: {count} marked {marker} (run them with {HOW_TO_RUN[marker]})"
        )
    if path := os.environ.get("VLA_TEST_COUNTS"):
        stats = terminalreporter.stats
        counts = {
            "passed": len(stats.get("passed", [])),
            "failed": len(stats.get("failed", [])) + len(stats.get("error", [])),
            "skipped": len(stats.get("skipped", [])),
            "left_out": dict(_left_out),
        }
        Path(path).write_text(json.dumps(counts))
