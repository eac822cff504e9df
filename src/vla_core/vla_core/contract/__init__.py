"""The robot's contract and the policy's file: typed, checked at start, matched to each other."""

from vla_core.contract.loading import (
    load_contract,
    load_policy_config,
    parse_contract,
    parse_policy_config,
)
from vla_core.contract.matching import ACTION_MAX, ACTION_MIN, check
from vla_core.contract.model import Column, Contract, ImageStream, Output, StateStream
from vla_core.contract.policy_config import ExecutionConfig, OpenpiConfig, PolicyConfig

__all__ = [
    "ACTION_MAX",
    "ACTION_MIN",
    "Column",
    "Contract",
    "ExecutionConfig",
    "ImageStream",
    "OpenpiConfig",
    "Output",
    "PolicyConfig",
    "StateStream",
    "check",
    "load_contract",
    "load_policy_config",
    "parse_contract",
    "parse_policy_config",
]
