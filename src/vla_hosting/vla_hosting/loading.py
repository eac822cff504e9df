"""From a policy file to a policy that fits the robot, warmed up and wrapped."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeAlias

from vla_core.contract import Contract, PolicyConfig, check
from vla_core.errors import ConfigurationError
from vla_core.ports import Policy
from vla_hosting.closest import ClosestPolicy
from vla_hosting.transforms import ConvertedPolicy, build_chain
from vla_hosting.wrappers import AlignedPolicy, CheckedPolicy, LatencyPolicy, TimedPolicy

log = logging.getLogger(__name__)

ENTRY_POINTS = "vla.policies"

# Opens one scheme of uris: (address after the first colon, policy file, contract, root that
# relative paths start from) -> a policy in its own words: own names of streams and columns, own
# units. Registered as an entry point of the group above; heavy imports happen inside.
Adapter: TypeAlias = Callable[[str, PolicyConfig, Contract, Path], Policy]

# The adapters of this repository, for a source checkout whose entry points are not installed.
BUILT_IN = {
    "nano": "vla_models.nano.adapter:open_policy",
    "replay": "vla_hosting.replay:open_policy",
    "scripted": "vla_hosting.scripted:open_policy",
    "worker": "vla_hosting.worker:open_policy",
    "ws": "vla_hosting.remote:open_policy",
    "wss": "vla_hosting.remote:open_policy",
}


def load_policy(config: PolicyConfig, contract: Contract, root: Path) -> Policy:
    """Return the policy of a file: opened, converted, checked against the robot, warmed up.

    Raises:
        ConfigurationError: unknown scheme, or mistakes in the policy file.
        MismatchError: robot and policy do not fit together.
        NotReadyError: a server or worker is not there.
        VlaError: the warm-up inference failed.
    """
    policy = open_raw(config, contract, root)
    try:
        hosted = wrap(policy, config, contract)
        check(contract, hosted.spec, config)
        warm_up(hosted)
    except BaseException:
        policy.close()
        raise
    return _delayed(hosted, config)


def open_raw(config: PolicyConfig, contract: Contract, root: Path) -> Policy:
    """Return what the uri names, in its own words: not converted, not checked."""
    scheme, _, address = config.uri.partition(":")
    return resolve(find_adapter(scheme, config.name))(address, config, contract, root)


def wrap(policy: Policy, config: PolicyConfig, contract: Contract) -> Policy:
    """Return the policy in the robot's words, timed and checked."""
    converted: Policy = ConvertedPolicy(policy, build_chain(config, contract, policy.spec))
    if config.execution.samples > 1:
        converted = ClosestPolicy(converted, config.execution.samples)
    return CheckedPolicy(TimedPolicy(AlignedPolicy(converted, contract)))


def find_adapter(scheme: str, policy: str) -> str:
    """Return ``module:function`` of the adapter for a scheme.

    Raises:
        ConfigurationError: nobody registered it; lists the known ones.
    """
    installed = {entry.name: entry.value for entry in entry_points(group=ENTRY_POINTS)}
    if scheme in installed:
        return installed[scheme]
    if scheme in BUILT_IN:
        log.info("adapter '%s' is not installed as an entry point; using the sources", scheme)
        return BUILT_IN[scheme]
    known = sorted({*installed, *BUILT_IN})
    raise ConfigurationError(
        f"policy '{policy}': unknown scheme '{scheme}:' in its uri; known are {known}"
    )


def resolve(target: str) -> Adapter:
    """Import ``module:function``.

    Raises:
        ConfigurationError: it cannot be imported.
    """
    module, _, name = target.partition(":")
    try:
        adapter: Adapter = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"policy adapter {target} cannot be loaded: {error}") from error
    return adapter


def warm_up(policy: Policy) -> None:
    """Ask a policy once for nothing: what it compiles or allocates is not the robot's to wait for.

    Raises:
        VlaError: it cannot answer its own example.
    """
    started_s = time.perf_counter()
    policy.infer(policy.spec.example())
    policy.reset()
    log.info("policy '%s' warmed up in %.2f s", policy.spec.name, time.perf_counter() - started_s)


def _delayed(policy: Policy, config: PolicyConfig) -> Policy:
    """Return the policy with the latency that the policy file injects, if any."""
    execution = config.execution
    if execution.latency_injected_s == 0.0:
        return policy
    return LatencyPolicy(policy, execution.latency_injected_s, execution.latency_spread)
