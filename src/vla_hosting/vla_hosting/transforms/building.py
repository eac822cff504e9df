"""From the words of a policy file to its chain of transforms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from vla_core.contract import Contract, PolicyConfig
from vla_core.errors import ConfigurationError
from vla_core.ports import ImageSpec, PolicySpec
from vla_hosting.transforms.chain import Transform
from vla_hosting.transforms.deltas import Accumulated, RelativeToState
from vla_hosting.transforms.inputs import Instruction, Resize, Select
from vla_hosting.transforms.names import Identity, Rename, Reorder
from vla_hosting.transforms.units import Affine, Unit, parse_unit

Delta = TypeVar("Delta", RelativeToState, Accumulated)


def build_chain(
    config: PolicyConfig, contract: Contract, spec: PolicySpec
) -> tuple[Transform, ...]:
    """Return the way in: order of the columns, ``conversions`` as written, names of streams.

    Args:
        config: the policy file: ``conversions``, ``streams`` and ``columns``.
        contract: names and units outside.
        spec: the policy itself, in its own words.

    Raises:
        ConfigurationError: a mistake in the file, with its key.
        MismatchError: the policy itself says it has another unit.
    """
    _check_streams(config, spec)
    chain: list[Transform] = [Rename(dict(config.streams))]
    spec = chain[0].outside(spec)
    for number, conversion in reversed(list(enumerate(config.conversions))):
        step = _conversion(conversion, f"conversions[{number}]", _Place(config, contract, spec))
        spec = step.outside(spec)
        chain.insert(0, step)
    if config.columns is not None:
        chain.insert(0, _declared_order(config.columns, _Place(config, contract, spec)))
    return Identity(config.name, _si(contract)), *chain


@dataclass(frozen=True)
class _Place:
    """Where a conversion stands: the policy as seen from there."""

    config: PolicyConfig
    contract: Contract
    spec: PolicySpec


def _check_streams(config: PolicyConfig, spec: PolicySpec) -> None:
    taken = [*spec.images, *spec.state]
    if not config.streams:
        return
    mistakes = [
        f"streams: expected '{name}', which the policy takes, found {sorted(config.streams)}"
        for name in taken
        if name not in config.streams
    ]
    mistakes += [
        f"streams.{name}: the policy takes no such input, it takes {taken}"
        for name in config.streams
        if name not in taken
    ]
    if mistakes:
        raise ConfigurationError(
            f"policy '{config.name}':" + "".join(f"\n  - {mistake}" for mistake in mistakes)
        )


def _declared_order(columns: tuple[str, ...], place: _Place) -> Transform:
    if columns != place.spec.columns:
        raise _mistake(
            place,
            f"columns: expected the policy's {list(place.spec.columns)}, got {list(columns)}",
        )
    return _reorder(place, {})


def _si(contract: Contract) -> dict[str, str]:
    return dict(zip(contract.columns, contract.units, strict=True))


def _conversion(conversion: Mapping[str, Any], key: str, place: _Place) -> Transform:
    if len(conversion) != 1:
        raise _mistake(place, f"{key}: expected one name with its arguments, got {conversion!r}")
    ((name, arguments),) = conversion.items()
    if name not in BUILDERS:
        raise _mistake(place, f"{key}: unknown conversion '{name}'; known are {sorted(BUILDERS)}")
    builder, expected = BUILDERS[name]
    arguments = {} if arguments is None else arguments
    if not isinstance(arguments, Mapping):
        raise _mistake(place, f"{key}.{name}: expected a dict, got {arguments!r}")
    unknown = sorted(set(arguments) - expected) if expected is not None else []
    if unknown:
        raise _mistake(
            place, f"{key}.{name}: unknown {unknown}; known are {sorted(expected or ())}"
        )
    try:
        return builder(place, dict(arguments))
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise _mistake(place, f"{key}.{name}: {reason}") from error


def _resize(place: _Place, arguments: dict[str, Any]) -> Transform:
    size = ImageSpec(_whole(arguments, "height_px"), _whole(arguments, "width_px"))
    chosen = _known(arguments.get("images", list(place.spec.images)), place.spec.images)
    return Resize(dict.fromkeys(chosen, size))


def _select(place: _Place, arguments: dict[str, Any]) -> Transform:
    (stream,) = _known([arguments["stream"]], place.contract.observation.state)
    entries = place.contract.observation.state[stream].entries
    return Select(stream, entries, _known(arguments["entries"], entries))


def _instruction(place: _Place, arguments: dict[str, Any]) -> Transform:
    template = arguments.get("template", "{instruction}")
    if "{instruction}" not in template:
        raise ValueError(f"template: expected '{{instruction}}' in it, got {template!r}")
    return Instruction(template, bool(arguments.get("normalised", True)))


def _reorder(place: _Place, arguments: dict[str, Any]) -> Transform:
    inside = place.spec.columns
    order = tuple(name for name in place.contract.columns if name in inside)
    if len(order) != len(inside):
        raise ConfigurationError(
            f"policy '{place.config.name}': columns: expected some of "
            f"{list(place.contract.columns)}, the policy gives {list(inside)}"
        )
    return Reorder(order, inside)


def _rename(place: _Place, arguments: dict[str, Any]) -> Transform:
    entries = [entry for names in place.spec.state.values() for entry in names]
    _known(list(arguments), [*place.spec.columns, *entries])
    return Rename(columns={str(theirs): str(ours) for theirs, ours in arguments.items()})


def _units(place: _Place, arguments: dict[str, Any]) -> Transform:
    spec, si = place.spec, _si(place.contract)
    entries = {name: tuple(names) for name, names in spec.state.items()}
    _known(
        list(arguments), [*spec.columns, *(name for names in entries.values() for name in names)]
    )
    return Affine(
        units={name: _unit(name, value) for name, value in arguments.items()},
        columns=spec.columns,
        si=tuple(si.get(name, "") for name in spec.columns),
        entries=entries,
    )


def _unit(name: str, value: Any) -> Unit:
    try:
        return parse_unit(value)
    except ConfigurationError as error:
        raise ValueError(f"{name}: {error}") from error


def _delta(kind: type[Delta]) -> Callable[[_Place, dict[str, Any]], Transform]:
    def build(place: _Place, arguments: dict[str, Any]) -> Transform:
        (stream,) = _known([arguments["stream"]], place.spec.state)
        columns = _known(arguments["columns"], place.spec.columns)
        anchors = {**{name: name for name in columns}, **arguments.get("anchors", {})}
        entries = _known([anchors[name] for name in columns], place.spec.state[stream])
        return kind(
            stream,
            tuple(place.spec.columns.index(name) for name in columns),
            tuple(place.spec.state[stream].index(name) for name in entries),
        )

    return build


_DELTA_ARGUMENTS = {"stream", "columns", "anchors"}
# Name -> how it is built, and which arguments it takes; None: names of columns and entries.
BUILDERS: dict[str, tuple[Callable[[_Place, dict[str, Any]], Transform], set[str] | None]] = {
    "units": (_units, None),
    "rename": (_rename, None),
    "resize": (_resize, {"images", "height_px", "width_px"}),
    "select": (_select, {"stream", "entries"}),
    "instruction": (_instruction, {"template", "normalised"}),
    "reorder": (_reorder, set()),
    "relative_to_state": (_delta(RelativeToState), _DELTA_ARGUMENTS),
    "accumulated": (_delta(Accumulated), _DELTA_ARGUMENTS),
}


def _known(names: Sequence[str], known: Any) -> tuple[str, ...]:
    unknown = [name for name in names if name not in known]
    if unknown or isinstance(names, str):
        raise ValueError(f"unknown {unknown or names!r}; known are {list(known)}")
    return tuple(names)


def _whole(arguments: Mapping[str, Any], key: str) -> int:
    value = arguments[key]
    if not isinstance(value, int) or value <= 0:
        raise ValueError(f"{key}: expected a whole number above 0, got {value!r}")
    return value


def _mistake(place: _Place, sentence: str) -> ConfigurationError:
    return ConfigurationError(f"policy '{place.config.name}': {sentence}")
