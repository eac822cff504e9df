"""The bytes of openpi's wire, against frames that the real openpi-client wrote."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from vla_hosting import wire
from vla_hosting.wire import WireError

GOLDEN = Path(__file__).parent / "golden"


def golden_messages() -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("golden_make", GOLDEN / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    messages: dict[str, Any] = module.MESSAGES
    return messages


MESSAGES = golden_messages()


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    else:
        assert found == expected


@pytest.mark.parametrize("name", MESSAGES)
def test_packs_the_same_bytes_as_openpi(name: str) -> None:
    assert wire.pack(MESSAGES[name]) == (GOLDEN / f"{name}.msgpack").read_bytes()


@pytest.mark.parametrize("name", MESSAGES)
def test_reads_the_bytes_of_openpi(name: str) -> None:
    assert_same(wire.unpack((GOLDEN / f"{name}.msgpack").read_bytes()), MESSAGES[name])


def test_does_not_copy_what_it_reads() -> None:
    image = wire.unpack(wire.pack({"image": np.zeros((480, 640, 3), np.uint8)}))["image"]
    assert not image.flags.owndata
    assert not image.flags.writeable


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (np.array([object()]), "object"),
        (np.array([1j]), "complex"),
        (np.zeros(1, [("a", "i4")]), "i4"),
        (np.array(["2020-01-01"], "datetime64[D]"), "datetime"),
        (object(), "object"),
        ({1, 2}, "set"),
        (2**70, "int"),
    ],
)
def test_refuses_to_send_what_has_no_encoding(value: object, what: str) -> None:
    with pytest.raises(WireError, match="no encoding") as caught:
        wire.pack({"field": value})
    assert what in str(caught.value)


def raw(**changes: Any) -> bytes:
    fields = {"__ndarray__": True, "data": b"\0" * 24, "dtype": "<f8", "shape": [3], **changes}
    encoded = {key.encode(): value for key, value in fields.items() if value is not None}
    packed: bytes = msgpack.packb({"field": encoded})
    return packed


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"dtype": "|O"}, "object"),
        ({"dtype": "O"}, "object"),
        ({"dtype": "i4,f8"}, "i4"),
        ({"dtype": "no such"}, "no such"),
        ({"dtype": 7}, "dtype"),
        ({"dtype": "x" * 1000}, "dtype"),
        ({"shape": [4]}, "expected 32 bytes, got 24"),
        ({"shape": [-1, -3]}, "shape"),
        ({"shape": [2**62, 4]}, "bytes"),
        ({"shape": "abc"}, "shape"),
        ({"data": "text"}, "without data"),
        ({"data": None}, "without data"),
    ],
)
def test_refuses_an_array_that_does_not_add_up(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(WireError, match=what):
        wire.unpack(raw(**changes))


@pytest.mark.parametrize("cut", [0, 1, 10, -1])
def test_refuses_bytes_that_are_cut_short(cut: int) -> None:
    with pytest.raises(WireError, match="not a msgpack message"):
        wire.unpack(wire.pack(MESSAGES["observation"])[:cut])


def test_refuses_bytes_that_are_too_many() -> None:
    with pytest.raises(WireError, match="not a msgpack message"):
        wire.unpack(wire.pack(1) + b"more")


def test_refuses_nesting_without_end() -> None:
    with pytest.raises(WireError):
        wire.unpack(b"\x91" * 100_000)


def test_never_runs_a_pickle() -> None:
    packed = msgpack.packb({b"__ndarray__": True, b"pickle": b"cos\nsystem\n(S'false'\ntR."})
    with pytest.raises(WireError):
        wire.unpack(packed)
