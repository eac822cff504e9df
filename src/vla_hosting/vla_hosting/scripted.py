"""``scripted:<module>:<Class>``: a policy written as a Python class, called with its files."""

from __future__ import annotations

import importlib
from pathlib import Path

from vla_core.contract import Contract, PolicyConfig
from vla_core.errors import ConfigurationError
from vla_core.ports import Policy


def open_policy(address: str, config: PolicyConfig, contract: Contract, root: Path) -> Policy:
    """Return ``Class(config, contract)``.

    Raises:
        ConfigurationError: no such module or class, or it is no policy.
    """
    module_name, separator, class_name = address.partition(":")
    if not (module_name and separator and class_name):
        raise ConfigurationError(
            f"policy '{config.name}': expected scripted:<module>:<Class>, got '{config.uri}'"
        )
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigurationError(
            f"policy '{config.name}': cannot import '{module_name}': {error}"
        ) from error
    kind = getattr(module, class_name, None)
    if not callable(kind):
        known = sorted(name for name, value in vars(module).items() if isinstance(value, type))
        raise ConfigurationError(
            f"policy '{config.name}': module '{module_name}' has no '{class_name}'; "
            f"its classes are {known}"
        )
    policy = kind(config, contract)
    if not isinstance(policy, Policy):
        raise ConfigurationError(
            f"policy '{config.name}': {address} is no policy; it needs spec, infer, reset, close"
        )
    return policy
