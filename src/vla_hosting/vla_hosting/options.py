"""Reads the `options` of a policy file into an adapter's own dataclass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from vla_core.errors import ConfigurationError

T = TypeVar("T")


def read_options(
    kind: type[T], options: Mapping[str, Any], policy: str, key: str = "options"
) -> T:
    """Return ``kind`` filled from ``options``.

    Raises:
        ConfigurationError: unknown names, or values of another type; all of them at once.
    """
    defaults = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]
    mistakes = [
        f"{key}.{name}: unknown; known are {sorted(defaults)}"
        for name in options
        if name not in defaults
    ]
    mistakes += [
        f"{key}.{name}: expected {type(defaults[name]).__name__}, got {value!r}"
        for name, value in options.items()
        if name in defaults and not _fits(value, defaults[name])
    ]
    if mistakes:
        raise ConfigurationError(f"policy '{policy}': " + "; ".join(mistakes))
    return kind(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in options.items()
        }
    )


def _fits(value: object, default: object) -> bool:
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, float | int) and not isinstance(value, bool) and value >= 0
    if isinstance(default, tuple):
        return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    return default is None or isinstance(value, type(default))
