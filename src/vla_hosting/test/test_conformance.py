"""Every adapter keeps the promises of the port."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from vla_core.contract import Contract, parse_policy_config
from vla_core.ports import Policy
from vla_hosting.loading import load_policy
from vla_hosting.recording import RecordedPolicy
from vla_testing.policies import HoldPolicy
from vla_testing.policy_conformance import PolicyConformance, PrefixConformance

HOLD = "scripted:vla_testing.policies:HoldPolicy"
FLOW = "scripted:vla_testing.flow_policy:FlowPolicy"
WORKER = {"name": "tested", "robot": "mini", "uri": f"worker:{sys.executable}:{HOLD}"}


class _Adapter(PolicyConformance):
    uri = HOLD
    keys: dict[str, Any] = {}  # noqa: RUF012 (overridden, never changed)

    @pytest.fixture(autouse=True)
    def _files(self, contract: Contract, configure: Any, tmp_path: Path, serve: Any) -> None:
        self.contract, self.configure = contract, configure
        self.tmp_path, self.serve = tmp_path, serve

    def make_policy(self) -> Policy:
        return load_policy(self.configure(self.uri, **self.keys), self.contract, self.tmp_path)


class TestScripted(_Adapter):
    pass


class TestScriptedWithPrefix(_Adapter):
    keys = {"options": {"prefix": True}}  # noqa: RUF012


@pytest.mark.skipif(find_spec("cv2") is None, reason="no OpenCV: nothing can be resized")
class TestConverted(_Adapter):
    keys = {"conversions": [{"resize": {"height_px": 8, "width_px": 8}}]}  # noqa: RUF012


class TestDelayed(_Adapter):
    keys = {"execution": {"latency_injected_s": 1e-4, "latency_spread": 0.1}}  # noqa: RUF012


class TestReplay(_Adapter):
    def make_policy(self) -> Policy:
        folder = self.tmp_path / "recording"
        policy = RecordedPolicy(HoldPolicy(self.configure(HOLD), self.contract), folder)
        policy.infer(policy.spec.example())
        policy.close()
        return load_policy(self.configure(f"replay:{folder}"), self.contract, self.tmp_path)


class TestRemote(_Adapter):
    def make_policy(self) -> Policy:
        config = self.configure(HOLD, **self.keys)
        address = self.serve(load_policy(config, self.contract, self.tmp_path))
        return load_policy(self.configure(address), self.contract, self.tmp_path)


class TestRemoteWithPrefix(TestRemote):
    keys = {"options": {"prefix": True}}  # noqa: RUF012


@pytest.fixture(scope="module")
def worker(contract: Contract, root: Path) -> Iterator[Policy]:
    policy = load_policy(parse_policy_config(WORKER), contract, root)
    yield policy
    policy.close()


class TestWorker(_Adapter):
    """One worker for all tests but the one that closes it: each takes a second to start."""

    uri = WORKER["uri"]

    @pytest.fixture
    def policy(self, worker: Policy, request: pytest.FixtureRequest) -> Iterator[Policy]:
        if "closed" not in request.function.__name__:
            yield worker
            return
        policy = self.make_policy()
        yield policy
        policy.close()


class _Continuing(_Adapter, PrefixConformance):
    uri = FLOW


class TestGuidedByTheJacobian(_Continuing):
    keys = {"options": {"method": "jacobian"}}  # noqa: RUF012


class TestGuidedByTheIdentity(_Continuing):
    keys = {"options": {"method": "identity"}}  # noqa: RUF012


class TestTrainedPrefix(_Continuing):
    tolerance = 1e-9
    keys = {"options": {"method": "trained"}}  # noqa: RUF012


class TestConvertedPrefix(_Continuing):
    """In degrees, relative to the state, in another order: what it continues is the same."""

    keys = {  # noqa: RUF012
        "conversions": [
            {"relative_to_state": {"stream": "joints", "columns": ["lift"]}},
            {"units": {"pan": "deg"}},
        ]
    }


class TestRemotePrefix(_Continuing, TestRemote):
    uri = FLOW

    def make_policy(self) -> Policy:
        config = self.configure(FLOW, **self.keys)
        address = self.serve(load_policy(config, self.contract, self.tmp_path))
        return load_policy(self.configure(address), self.contract, self.tmp_path)
