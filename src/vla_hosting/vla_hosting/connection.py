"""One connection to a policy server: openpi's conversation, with a deadline on every step."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect, unix_connect

import vla_core.errors
from vla_core.errors import InferenceError, NotReadyError, VlaError
from vla_hosting import wire
from vla_hosting.sockets import limit_sending

_OUR_ERROR = re.compile(r"^vla_core\.errors\.(\w+): ", re.MULTILINE)


class DeadlineError(InferenceError):
    """The server was there but did not answer in time."""


class LostError(InferenceError):
    """The connection broke before the answer came."""


@dataclass(frozen=True)
class Address:
    """Where a server listens: a ws:// or wss:// address, or a Unix socket of this machine."""

    url: str
    unix_path: str | None = None

    def __str__(self) -> str:
        return self.unix_path or self.url


@dataclass(frozen=True)
class ConnectionSettings:
    """Limits of a connection."""

    open_s: float = 5.0  # connecting, handshake, metadata
    max_message_bytes: int = 64 * 2**20  # of an answer
    api_key: str | None = None  # sent as openpi-client does


class Connection:
    """An open connection; after any error it is closed and of no more use."""

    def __init__(self, address: Address, settings: ConnectionSettings) -> None:
        """Connect and hear what the server says of itself.

        Raises:
            NotReadyError: nobody is there, or says nothing in time.
        """
        self._address = address
        self._stack = ExitStack()
        started_s = time.monotonic()
        try:
            self._socket = self._stack.enter_context(_open(address, settings))
            limit_sending(self._socket.socket, settings.open_s)
            left_s = max(0.0, settings.open_s - (time.monotonic() - started_s))
            self.metadata = _read(self._socket.recv(left_s))
        except (OSError, TimeoutError, WebSocketException, VlaError) as error:
            self._stack.close()
            raise NotReadyError(
                f"policy server {address}: no connection within {settings.open_s:g} s: "
                f"{_reason(error)}"
            ) from error

    def ask(self, message: dict[str, Any], deadline_s: float) -> Any:
        """Send a message and return its answer.

        Raises:
            DeadlineError: there was no answer in time.
            LostError: the connection was lost.
            VlaError: the answer is unreadable; or what the server raised, in its own type
                where that is one of ours.
        """
        ends_s = time.monotonic() + deadline_s
        try:
            limit_sending(self._socket.socket, deadline_s)
            self._socket.send(wire.pack(message))
            return _read(self._socket.recv(max(0.0, ends_s - time.monotonic())))
        except TimeoutError:
            self._abandon()
            raise DeadlineError(
                f"no reply from policy server {self._address} within {deadline_s:g} s"
            ) from None
        except (ConnectionClosed, OSError) as error:
            self._abandon()
            if time.monotonic() >= ends_s:  # a peer that does not even read
                raise DeadlineError(
                    f"policy server {self._address} read nothing within {deadline_s:g} s"
                ) from error
            raise LostError(
                f"policy server {self._address}: connection lost: {_reason(error)}"
            ) from error
        except VlaError:
            self._abandon()
            raise

    def _abandon(self) -> None:
        """Close without waiting for the other side: it may be stuck."""
        self._socket.close_timeout = 0.0
        self.close()

    def close(self) -> None:
        """Say goodbye; twice is as good as once."""
        self._stack.close()


def _open(address: Address, settings: ConnectionSettings) -> ClientConnection:
    key = settings.api_key
    limits: dict[str, Any] = {
        "compression": None,
        "open_timeout": settings.open_s,
        "ping_interval": None,  # each question has its deadline; a server may compile for long
        "close_timeout": 1.0,
        "max_size": settings.max_message_bytes,
        "additional_headers": {"Authorization": f"Api-Key {key}"} if key else None,
    }
    connection: ClientConnection
    if address.unix_path is not None:
        connection = unix_connect(address.unix_path, address.url, **limits)
        return connection
    # No proxy: a robot does not ask its policy through one that the web browser uses.
    connection = connect(address.url, proxy=None, **limits)
    return connection


def _read(data: str | bytes) -> Any:
    """Return a message; a text frame is an error of the server."""
    if isinstance(data, bytes):
        return wire.unpack(data)
    raise server_error(data)


def server_error(text: str) -> VlaError:
    """Return the server's traceback as an error of the same type, if it is one of ours."""
    named = list(_OUR_ERROR.finditer(text))
    if named:
        kind = getattr(vla_core.errors, named[-1][1], None)
        if isinstance(kind, type) and issubclass(kind, VlaError):
            return kind(text[named[-1].end() :].strip())
    lines = [line for line in text.splitlines() if line.strip()]
    return InferenceError(f"the policy server reports: {lines[-1] if lines else 'no reason'}")


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
