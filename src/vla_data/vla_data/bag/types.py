"""Message definitions: the common ones from rosbags, others from their .msg files. No ROS."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from vla_core.errors import ConfigurationError

SOURCE_TREE = Path(__file__).resolve().parents[3]  # src/ when run from the checkout


class TypeStore:
    """Serializes and deserializes messages by the name of their type.

    A type is looked up on first use: in rosbags' own Humble definitions, then among the .msg files
    of installed packages (AMENT_PREFIX_PATH) and of the source tree.
    """

    def __init__(self) -> None:
        self.store: Any = get_typestore(Stores.ROS2_HUMBLE)

    def need(self, msgtype: str) -> None:
        """Make sure a type is known.

        Raises:
            ConfigurationError: its definition is nowhere to be found.
        """
        if msgtype not in self.store.fielddefs:
            self._register_package(msgtype.split("/")[0])
        if msgtype not in self.store.fielddefs:
            raise ConfigurationError(
                f"message type '{msgtype}': no definition found. Is its package installed, and "
                "its setup.bash sourced (AMENT_PREFIX_PATH)?"
            )

    def add(self, msgtype: str, definition: str) -> None:
        """Learn a type from its text, as a bag carries it, with the types it is made of."""
        if msgtype not in self.store.fielddefs:
            new = get_types_from_msg(definition, msgtype)
            self.store.register(
                {name: fields for name, fields in new.items() if name not in self.store.fielddefs}
            )

    def decode(self, data: bytes | memoryview, msgtype: str) -> Any:
        """Return the message of raw CDR bytes."""
        self.need(msgtype)
        return self.store.deserialize_cdr(data, msgtype)

    def encode(self, message: Any) -> bytes:
        """Return the raw CDR bytes of a message made by `make`."""
        return bytes(self.store.serialize_cdr(message, message.__msgtype__))

    def make(self, msgtype: str, **fields: Any) -> Any:
        """Return a message; fields that are not given are zero or empty."""
        self.need(msgtype)
        kind = self.store.types[msgtype]
        _, definitions = self.store.fielddefs[msgtype]
        defaults = {name: self._default(kind) for name, kind in definitions if name not in fields}
        # The serializer takes arrays as they lie in memory.
        given = {
            name: np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value
            for name, value in fields.items()
        }
        return kind(**given, **defaults)

    def _default(self, field: Any) -> Any:
        """Return zero for a field as rosbags describes it: (node type, details)."""
        node, detail = int(field[0]), field[1]
        if node == 1:
            return "" if detail[0] == "string" else (False if detail[0] == "bool" else 0)
        if node == 2:
            return self.make(detail)
        inner, length = detail
        if int(inner[0]) == 1 and inner[1][0] != "string":
            name = inner[1][0]
            return np.zeros(length or 0, "uint8" if name in ("octet", "char", "byte") else name)
        return [self._default(inner) for _ in range(length or 0)]

    def _register_package(self, package: str) -> None:
        definitions = {path.stem: path.read_text() for path in _definition_files(package)}
        types: dict[str, Any] = {}
        for name, text in definitions.items():
            types |= get_types_from_msg(text, f"{package}/msg/{name}")
        known = self.store.fielddefs
        self.store.register({name: f for name, f in types.items() if name not in known})
        for name in _used_types(types):
            if name not in self.store.fielddefs and name.split("/")[0] != package:
                self._register_package(name.split("/")[0])


def _definition_files(package: str) -> list[Path]:
    prefixes = [Path(p) / "share" for p in os.environ.get("AMENT_PREFIX_PATH", "").split(":") if p]
    for folder in (*prefixes, SOURCE_TREE):
        found = sorted((folder / package / "msg").glob("*.msg"))
        if found:
            return found
    return []


def _used_types(types: Mapping[str, Any]) -> Iterator[str]:
    for _, fields in types.values():
        for _, (node, detail) in fields:
            while int(node) > 2:  # array or sequence: look at what it is of
                node, detail = detail[0]
            if int(node) == 2:
                yield detail
