"""What a run of task success says of itself, and that it refuses a page before it plays."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vla_core.errors import ConfigurationError
from vla_data.checker import Violation

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import task_success as benchmark  # noqa: E402  (its folder is no package)


def asked(**changes: Any) -> argparse.Namespace:
    """Return what a person asked for."""
    usual = {"robot": "hsr", "policy": "", "latency": None, "variant": "plain", "table": None}
    return argparse.Namespace(**{**usual, **changes})


def test_each_condition_has_a_table_of_its_own() -> None:
    assert benchmark.maker(asked()) == "benchmarks/task_success.py --robot hsr"
    words = benchmark.maker(asked(policy="demo", latency=0.4, variant="swap"))
    assert words.endswith("--robot hsr --policy demo --latency 0.4 --variant swap")


def test_a_page_without_a_place_is_refused_before_the_run(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing here\n")
    with pytest.raises(ConfigurationError, match=r"add a line '<!-- made by .*--robot hsr -->'"):
        benchmark.check_page(asked(table=page))


def test_the_docs_have_a_place_for_each_robot() -> None:
    page = ROOT / "docs" / "task_success.md"
    benchmark.check_page(asked(table=page))
    benchmark.check_page(asked(table=page, robot="go2_arm"))
    benchmark.check_page(asked(table=page, robot="so101", policy="expert"))


def test_a_task_counts_its_own_episodes() -> None:
    def episode(name: str, success: bool, seconds: float) -> SimpleNamespace:
        return SimpleNamespace(
            instruction=name,
            success=success,
            task_time_s=seconds,
            ticks=100,
            starved_ticks=1,
            start_ns=0,
            end_ns=10,
            real_time_factor=0.99,
        )

    episodes = [
        episode("fetch", True, 6.0),
        episode("open", True, 9.0),
        episode("open", False, 11.0),
    ]
    total = SimpleNamespace(
        policy="expert",
        ticks=300,
        chunks=12,
        limit_interventions=7,
        observation_age_p50_s=0.1,
        observation_age_p95_s=0.2,
        observation_age_max_s=0.3,
        answer_p50_s=0.05,
        answer_p95_s=0.06,
    )
    violations = [Violation("gap", 5, "arm", 0.3, 0.2, "tick")]
    metrics = SimpleNamespace(episodes=episodes, total=total, violations=violations)
    text = "\n".join(benchmark.summary(metrics))
    assert "| fetch | 1/1 (0.21 to 1.00) | 6.0 (6.0) s | 1 of 100 | 1 | 0.990 |" in text
    assert "| open | 1/2 (0.09 to 0.91) | 10.0 (11.0) s |" in text
    assert "| all | 2/3 " in text
    assert "judged at the receivers: 1 of kind gap." in text
