"""Bytes of openpi's wire: msgpack, in which numpy arrays are maps. The only place that knows it.

An array is the map ``{b"__ndarray__": True, b"data", b"dtype", b"shape"}`` with the data in C
order, a numpy scalar ``{b"__npgeneric__": True, b"data", b"dtype"}``. Whatever could run code
when it is read (object arrays) has no encoding.

Source: openpi-client 0.1.2, `openpi_client/msgpack_numpy.py`.
"""

from __future__ import annotations

import math
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from vla_core.errors import VlaError

# Booleans, integers, floats and strings: all that observations and actions are made of.
KINDS = frozenset("biufSU")
# Above this size a copy costs more than a view.
_VIEW_FROM_BYTES = 65536


class WireError(VlaError):
    """Bytes that are not a message of this protocol."""


class Encoder:
    """Encodes messages of dicts, lists, numbers, strings and numpy arrays, in memory it keeps."""

    def __init__(self) -> None:
        self._packer: Any = msgpack.Packer(default=_encode, autoreset=False)

    def encode(self, message: object) -> memoryview:
        """Return the bytes of a message, valid until the next one.

        Raises:
            WireError: it holds something that has no encoding, with the type's name.
        """
        self._packer.reset()
        try:
            self._packer.pack(message)
        except (TypeError, ValueError, OverflowError) as error:
            raise WireError(f"cannot be sent: {error}") from error
        return memoryview(self._packer.getbuffer())


def pack(message: object) -> bytes:
    """Encode one message; see `Encoder.encode`."""
    return bytes(Encoder().encode(message))


def unpack(data: bytes) -> Any:
    """Decode a message. Arrays are read-only views of ``data``.

    Raises:
        WireError: the bytes are cut short, malformed, or hold an array that does not add up.
    """
    try:
        return msgpack.unpackb(data, object_hook=_decode)
    except WireError:
        raise
    except (ValueError, TypeError, RecursionError) as error:  # msgpack's own are ValueErrors
        raise WireError(
            f"{len(data)} bytes are not a msgpack message: {type(error).__name__}: {error}"
        ) from error


def _encode(value: object) -> object:
    if isinstance(value, np.ndarray):
        _check_kind(value.dtype)
        return {
            b"__ndarray__": True,
            b"data": _data(value),
            b"dtype": value.dtype.str,
            b"shape": value.shape,
        }
    if isinstance(value, np.generic):
        _check_kind(value.dtype)
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}
    raise TypeError(f"{type(value).__name__} has no encoding; send numbers, strings and arrays")


def _data(array: NDArray[Any]) -> bytes | memoryview:
    if array.nbytes < _VIEW_FROM_BYTES:
        return array.tobytes()
    return np.ascontiguousarray(array).data.cast("B")


def _decode(value: dict[Any, Any]) -> Any:
    if b"__ndarray__" in value:
        return _array(value)
    if b"__npgeneric__" in value:
        return _dtype(value).type(value.get(b"data"))
    return value


def _array(value: dict[Any, Any]) -> NDArray[Any]:
    dtype, data, shape = _dtype(value), value.get(b"data"), value.get(b"shape")
    if not isinstance(data, bytes) or not isinstance(shape, list | tuple):
        raise WireError("an array without data or shape")
    if not all(isinstance(size, int) and size >= 0 for size in shape):
        raise WireError(f"an array of shape {list(shape)}; expected integers from 0")
    expected = math.prod(shape) * dtype.itemsize
    if expected != len(data):
        raise WireError(
            f"an array of shape {tuple(shape)} {dtype} expected {expected} bytes, got {len(data)}"
        )
    array: NDArray[Any] = np.ndarray(buffer=data, dtype=dtype, shape=tuple(shape))
    return array


def _dtype(value: dict[Any, Any]) -> np.dtype[Any]:
    name = value.get(b"dtype")
    if not isinstance(name, str) or len(name) > 16:
        raise WireError(f"an array with dtype {str(name)[:40]!r}; expected text such as '<f4'")
    try:
        dtype = np.dtype(name)
    except (TypeError, ValueError, SyntaxError) as error:
        raise WireError(f"an array with dtype {name!r}: {error}") from error
    _check_kind(dtype)
    return dtype


def _check_kind(dtype: np.dtype[Any]) -> None:
    if dtype.kind not in KINDS:
        raise WireError(
            f"an array of {dtype} has no encoding; send booleans, integers, floats or strings"
        )
