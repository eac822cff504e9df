"""The shipped demo policy, opened as the stack opens it, keeps every promise of the port."""

from __future__ import annotations

from vla_core.contract import load_contract, load_policy_config
from vla_core.ports import Policy
from vla_hosting.loading import load_policy
from vla_models.files import root
from vla_testing.policy_conformance import PolicyConformance

CONFIG = root() / "config"
LARGEST_BYTES = 8_000_000


class TestShippedPolicy(PolicyConformance):
    """`config/policies/demo.yaml` with the weights in `models/demo`."""

    def make_policy(self) -> Policy:
        config = load_policy_config(CONFIG / "policies" / "demo.yaml")
        contract = load_contract([CONFIG / "robots" / config.robot / "contract.yaml"])
        return load_policy(config, contract, root())

    def test_sees_pixels_joints_and_text_only(self, policy: Policy) -> None:
        assert set(policy.spec.images) == {"front", "wrist"}
        assert set(policy.spec.state) == {"joints"}


def test_the_weights_are_small_enough_to_live_in_the_repository() -> None:
    assert (root() / "models" / "demo" / "model.safetensors").stat().st_size <= LARGEST_BYTES
