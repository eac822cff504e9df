"""The serial port: bytes out, bytes in, each with a deadline, and the loss of the device."""

from __future__ import annotations

import contextlib
import os
import select
import time
from pathlib import Path
from typing import Protocol

import serial
from serial.tools import list_ports

from vla_core.errors import NotReadyError

WRITE_WITHIN_S = 0.1


class PortLostError(NotReadyError):
    """The device is gone: unplugged, or its driver ended."""


class Port(Protocol):
    """What the bus needs of a serial port."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    @property
    def baud_rate(self) -> int:
        """Bits per second."""
        ...

    def send(self, data: bytes) -> None:
        """Write all bytes; raises PortLostError."""
        ...

    def receive(self, until_s: float) -> bytes:
        """Return what has come, b"" after ``until_s`` (`time.monotonic`); PortLostError."""
        ...

    def discard(self) -> None:
        """Forget what has come and was not read."""
        ...

    def close(self) -> None:
        """Let go; also twice."""
        ...


class SerialPort:
    """A port of this machine, ours alone.

    Raises:
        NotReadyError: there is no such port, or it is not ours to open.
    """

    def __init__(self, path: str, baud_rate: int) -> None:
        self.name, self.baud_rate = path, baud_rate
        try:
            # Not read through pyserial: changing its time-out reconfigures the port each time.
            self._serial = serial.Serial(
                path, baud_rate, timeout=0, write_timeout=WRITE_WITHIN_S, exclusive=True
            )
        except (OSError, ValueError) as error:
            raise NotReadyError(_why_not(path, error)) from error
        self._descriptor = self._serial.fileno()

    def send(self, data: bytes) -> None:
        try:
            self._serial.write(data)
        except (OSError, TypeError) as error:  # TypeError: closed meanwhile
            raise PortLostError(f"serial port {self.name}: {error}. Is it unplugged?") from error

    def receive(self, until_s: float) -> bytes:
        try:
            wait_s = max(0.0, until_s - time.monotonic())
            if not select.select([self._descriptor], [], [], wait_s)[0]:
                return b""
            data = os.read(self._descriptor, 4096)
        except (OSError, ValueError) as error:
            raise PortLostError(f"serial port {self.name}: {error}. Is it unplugged?") from error
        if not data:
            raise PortLostError(f"serial port {self.name} is gone. Is it unplugged?")
        return data

    def discard(self) -> None:
        while self.receive(0.0):
            pass

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._serial.close()


def _why_not(path: str, error: Exception) -> str:
    if not Path(path).exists():
        known = sorted(port.device for port in list_ports.comports())
        return f"no serial port {path}; ports of this machine: {known or 'none'}"
    if isinstance(error, serial.SerialException) and "lock" in str(error).lower():
        return f"serial port {path} is in use by another program: {error}"
    if "ermission" in str(error):
        return f"serial port {path}: {error}. Add yourself to the group that owns it (dialout)."
    return f"serial port {path}: {error}"
