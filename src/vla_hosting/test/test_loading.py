from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vla_core.contract import Contract
from vla_core.errors import ConfigurationError, MismatchError, NonFiniteError
from vla_core.types import ActionChunk, Observation, Prefix
from vla_hosting.loading import BUILT_IN, find_adapter, load_policy
from vla_testing.policies import HoldPolicy

HOLD = "scripted:vla_testing.policies:HoldPolicy"
HERE = Path(__file__).resolve()


class BrokenPolicy(HoldPolicy):
    """Answers its example with NaN."""

    closed = 0

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        chunk = super().infer(observation, prefix)
        return ActionChunk(
            np.full_like(chunk.values, np.nan), chunk.start_ns, chunk.step_ns, chunk.columns
        )

    def close(self) -> None:
        type(self).closed += 1


def load(uri: str, contract: Contract, configure: Any, **keys: Any) -> Any:
    return load_policy(configure(uri, **keys), contract, HERE.parent)


def test_loads_a_scripted_policy(contract: Contract, configure: Any) -> None:
    policy = load(HOLD, contract, configure)
    assert policy.spec.name == "tested"
    # The warm-up was forgotten: HoldPolicy counts its answers.
    assert policy.infer(policy.spec.example()).values.max() == 0.0


def test_an_unknown_scheme_lists_the_known_ones(contract: Contract, configure: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load("pickle:weights.pt", contract, configure)
    assert "unknown scheme 'pickle:'" in str(caught.value)
    assert all(f"'{scheme}'" in str(caught.value) for scheme in BUILT_IN)


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("scripted:vla_testing.policies", "expected scripted:<module>:<Class>"),
        ("scripted:no.such.module:X", "cannot import 'no.such.module'"),
        ("scripted:vla_testing.policies:Hodl", r"has no 'Hodl'; its classes are .*HoldPolicy"),
        ("scripted:vla_testing.policies:ROWS", "has no 'ROWS'"),
        ("worker:python3", "expected worker:<python>:<uri>"),
        ("worker:no-such-python:scripted:a:B", "no Python interpreter 'no-such-python'"),
        ("replay:no/such/bag", "no bag or recording"),
    ],
)
def test_a_wrong_address_says_what_is_wrong(
    contract: Contract, configure: Any, uri: str, sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        load(uri, contract, configure)


def test_a_policy_for_another_robot_is_refused(contract: Contract, configure: Any) -> None:
    with pytest.raises(MismatchError, match="its file is for 'hsr', this is 'mini'"):
        load(HOLD, contract, configure, robot="hsr")


def test_what_fails_to_warm_up_is_closed_again(
    contract: Contract, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import vla_testing.policies

    monkeypatch.setattr(vla_testing.policies, "BrokenPolicy", BrokenPolicy, raising=False)
    with pytest.raises(NonFiniteError):
        load("scripted:vla_testing.policies:BrokenPolicy", contract, configure)
    assert BrokenPolicy.closed == 1


def test_latency_is_injected_into_answers(contract: Contract, configure: Any) -> None:
    policy = load(HOLD, contract, configure, execution={"latency_injected_s": 1e-3})
    assert policy.infer(policy.spec.example()).stages_ns["injected"] == 1_000_000


def test_says_when_it_takes_an_adapter_from_the_sources(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("vla_hosting.loading.entry_points", lambda group: ())
    with caplog.at_level(logging.INFO):
        assert find_adapter("scripted", "x") == BUILT_IN["scripted"]
    assert "not installed as an entry point" in caplog.text


@pytest.mark.parametrize("package", ["vla_hosting", "vla_models"])
def test_the_table_of_the_sources_is_what_is_registered(package: str) -> None:
    setup = (HERE.parents[2] / package / "setup.py").read_text()
    registered = dict(re.findall(r'"(\w+) = ([\w.]+:\w+)"', setup))
    ours = {scheme: target for scheme, target in BUILT_IN.items() if target.startswith(package)}
    assert ours.items() <= registered.items()
    assert ours
