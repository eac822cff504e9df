"""What is behind an openpi server, which describes itself by nothing but its answers.

The policy file says which key holds which stream and how fast the rows follow each other; the
robot's contract gives the names; one question to the server gives the length of a chunk.
"""

from __future__ import annotations

from dataclasses import replace

from vla_core.contract import Contract, PolicyConfig
from vla_core.errors import ConfigurationError
from vla_core.ports import ImageSpec, PolicySpec
from vla_core.types import NS_PER_S
from vla_hosting import messages
from vla_hosting.connection import Connection
from vla_hosting.keys import ObservationKeys
from vla_hosting.messages import Hosted


def describe(
    connection: Connection, config: PolicyConfig, contract: Contract, deadline_s: float
) -> Hosted:
    """Return what the server hosts, having asked it once.

    Raises:
        ConfigurationError: the policy file lacks what the server cannot say.
        VlaError: the server does not answer the example.
    """
    keys = _keys(config, contract)
    spec = _spec(config, contract, keys)
    example = spec.example()
    answer = connection.ask(messages.request_to_wire(example, spec, keys), deadline_s)
    chunk = messages.chunk_from_wire(answer, spec, example, request=0)
    return Hosted(replace(spec, horizon=chunk.horizon), keys, is_ours=False)


def _keys(config: PolicyConfig, contract: Contract) -> ObservationKeys:
    if config.openpi is None:
        raise ConfigurationError(
            f"policy '{config.name}': {config.uri} does not say what it takes. Add to the policy "
            "file: openpi: {images: {<stream>: <key>}, state: <key>, prompt: prompt}"
        )
    given = config.openpi.state
    if not isinstance(given, str):
        return ObservationKeys(config.openpi.images, given, config.openpi.prompt)
    names = config.streams or contract.observation.state
    streams = [
        name for name in names if _contract_name(config, name) in contract.observation.state
    ]
    return ObservationKeys(
        config.openpi.images, dict.fromkeys(streams, given), config.openpi.prompt
    )


def _spec(config: PolicyConfig, contract: Contract, keys: ObservationKeys) -> PolicySpec:
    if config.rate_hz is None:
        raise ConfigurationError(
            f"policy '{config.name}': {config.uri} does not say how fast its rows follow each "
            "other. Add rate_hz to the policy file."
        )
    columns = tuple(config.columns or contract.columns)
    return PolicySpec(
        name=config.name,
        images={name: ImageSpec(0, 0) for name in keys.images},
        state={name: _entries(config, contract, name) for name in keys.state},
        columns=columns,
        units=("",) * len(columns),  # unknown; conversions say what they are
        horizon=1,
        step_ns=round(NS_PER_S / config.rate_hz),
        robot=config.robot,
    )


def _entries(config: PolicyConfig, contract: Contract, name: str) -> tuple[str, ...]:
    stream = contract.observation.state.get(_contract_name(config, name))
    if stream is None:
        raise ConfigurationError(
            f"policy '{config.name}': openpi.state names '{name}', which is no state stream of "
            f"robot '{contract.robot}'; it has {sorted(contract.observation.state)}"
        )
    return tuple(stream.entries)


def _contract_name(config: PolicyConfig, name: str) -> str:
    return config.streams.get(name, name)
