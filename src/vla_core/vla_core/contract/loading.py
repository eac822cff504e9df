"""Reading contracts and policy files: every mistake in one error, with its place in the file."""

from __future__ import annotations

import typing
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from vla_core.contract.checks import contract_mistakes
from vla_core.contract.model import Contract
from vla_core.contract.policy_config import PolicyConfig
from vla_core.errors import ConfigurationError

Model = TypeVar("Model", bound=BaseModel)


def load_contract(paths: Iterable[str | Path]) -> Contract:
    """Return the contract of one robot: the first file, the others laid over it in order.

    Mappings are merged key by key; lists and values are replaced.

    Raises:
        ConfigurationError: lists every mistake with its key, expected and found.
    """
    files = [Path(path) for path in paths]
    if not files:
        raise ConfigurationError("contract: expected at least one file, found none")
    raw: Any = {}
    for file in files:
        raw = _overlay(raw, _read(file))
    return parse_contract(raw, " + ".join(str(file) for file in files))


def parse_contract(raw: Any, source: str = "contract") -> Contract:
    """Return the contract in ``raw`` (parsed YAML); see `load_contract`."""
    return _parse(Contract, raw, source, contract_mistakes(raw))


def load_policy_config(path: str | Path) -> PolicyConfig:
    """Return the configuration of one policy.

    Raises:
        ConfigurationError: lists every mistake with its key, expected and found.
    """
    return parse_policy_config(_read(Path(path)), str(path))


def parse_policy_config(raw: Any, source: str = "policy") -> PolicyConfig:
    """Return the policy configuration in ``raw`` (parsed YAML)."""
    return _parse(PolicyConfig, raw, source, [])


def _parse(model: type[Model], raw: Any, source: str, mistakes: Sequence[str]) -> Model:
    try:
        parsed = model.model_validate(raw)
    except ValidationError as error:
        found = [_sentence(model, dict(item)) for item in error.errors()]
        raise _refusal(source, [*found, *mistakes]) from None
    if mistakes:
        raise _refusal(source, mistakes)
    return parsed


def _refusal(source: str, mistakes: Sequence[str]) -> ConfigurationError:
    lines = "".join(f"\n  - {mistake}" for mistake in mistakes)
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return ConfigurationError(f"{source}: {count}{lines}")


def _sentence(model: type[BaseModel], error: Mapping[str, Any]) -> str:
    """Turn one error of pydantic into our form: key, expected, found."""
    location = tuple(error["loc"])
    path = _path(location)
    if error["type"] == "missing":
        return f"{path}: expected a value, found nothing"
    if error["type"] == "extra_forbidden":
        return f"{path}: unknown key; known are {_known_keys(model, location[:-1])}"
    expected = str(error["msg"])
    for prefix in ("Input should be ", "Value error, "):
        expected = expected.removeprefix(prefix)
    return f"{path}: expected {expected}, found {error['input']!r}"


def _path(location: Sequence[int | str]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path or "(whole file)"


def _known_keys(model: Any, location: Sequence[int | str]) -> list[str]:
    """Follow a location through the models' annotations to the keys that are allowed there."""
    for part in location:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[str(part)].annotation
        else:
            # Mapping[str, X], tuple[X, ...], X | None: the one model among the arguments.
            model = _inner_model(model)
        if isinstance(part, str) and _is_optional(model):
            model = _inner_model(model)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        model = _inner_model(model)
    return list(model.model_fields)


def _is_optional(annotation: Any) -> bool:
    return type(None) in typing.get_args(annotation)


def _inner_model(annotation: Any) -> Any:
    for argument in typing.get_args(annotation):
        if isinstance(argument, type) and issubclass(argument, BaseModel):
            return argument
    return annotation


def _overlay(base: Any, over: Any) -> Any:
    if not isinstance(base, Mapping) or not isinstance(over, Mapping):
        return over
    merged = {key: _overlay(base[key], over[key]) for key in base if key in over}
    return {**base, **over, **merged}


def _read(file: Path) -> Any:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read ({error.strerror})") from None
    try:
        return yaml.load(text, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{file}: not valid YAML: {error}") from None


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key written twice, of which YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key '{key.value}' is written twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)
