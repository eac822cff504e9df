"""A plan means the same to a policy wherever it runs."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vla_core.contract import Contract
from vla_core.ports import Policy
from vla_core.types import Prefix
from vla_hosting.loading import load_policy, open_raw

FLOW = "scripted:vla_testing.flow_policy:FlowPolicy"
NOW = 1_700_000_000_000_000_000
STEP_NS = 50_000_000
# The whole way in is needed: order and unit of the columns, deltas from the measured state.
CONVERSIONS = [
    {"units": {"pan": "deg"}},
    {"relative_to_state": {"stream": "joints", "columns": ["lift"]}},
]


def continued(policy: Policy) -> NDArray[np.float64]:
    """Return the chunk for one plan, whose knots lie between the policy's rows."""
    state = {"joints": np.array([0.1, -0.2, 0.3])}
    observation = replace(policy.spec.example(), as_of_ns=NOW, state=state)
    due = 0.05 * np.arange(9)
    knots = np.stack([0.1 + 0.2 * due, -0.2 + 0.1 * np.sin(due), 0.3 + 0 * due], axis=1)
    plan = Prefix(knots, NOW - 70_000_000, STEP_NS, NOW + 120_000_000)
    policy.reset()
    chunk = policy.infer(observation, plan)
    assert chunk.prefix_rows == 3  # rows at 0, 50 and 100 ms are executed whatever comes
    return chunk.values


@pytest.mark.parametrize("method", ["jacobian", "identity", "trained"])
def test_in_process_worker_and_server_continue_alike(
    contract: Contract, configure: Any, serve: Any, root: Path, method: str
) -> None:
    keys = {"options": {"method": method}, "conversions": CONVERSIONS}
    config = configure(FLOW, **keys)
    worker = configure(f"worker:{sys.executable}:{FLOW}", **keys)
    converted_there = serve(load_policy(config, contract, root))
    converted_here = serve(open_raw(config, contract, root))
    policies = {
        "in process": load_policy(config, contract, root),
        "worker": load_policy(worker, contract, root),
        "server": load_policy(configure(converted_there), contract, root),
        "raw server": load_policy(
            configure(converted_here, conversions=CONVERSIONS), contract, root
        ),
    }
    chunks = {name: continued(policy) for name, policy in policies.items()}
    for policy in policies.values():
        policy.close()
    for name in policies:
        np.testing.assert_array_equal(chunks[name], chunks["in process"], err_msg=name)


def test_the_plan_arrives_in_the_units_and_deltas_of_the_network(
    contract: Contract, configure: Any, root: Path
) -> None:
    """With a trained prefix the kept rows show exactly what came out of the way in and out."""
    config = configure(FLOW, options={"method": "trained"}, conversions=CONVERSIONS)
    rows = continued(load_policy(config, contract, root))
    due = np.array([0.07, 0.12, 0.17])
    np.testing.assert_allclose(rows[:3, 0], 0.1 + 0.2 * due, atol=1e-12)
    np.testing.assert_allclose(rows[:3, 1], -0.2 + 0.1 * np.sin(due), atol=1e-5)
