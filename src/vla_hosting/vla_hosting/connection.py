"""One connection to a policy server: openpi's conversation, with a deadline on every step."""

from __future__ import annotations

import re
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.uri import WebSocketURI, parse_uri

import vla_core.errors
from vla_core.errors import ConfigurationError, InferenceError, NotReadyError, VlaError
from vla_hosting import wire
from vla_hosting.channel import Channel, ClosedError

GOODBYE_S = 1.0  # for the server to say it too
_OUR_ERROR = re.compile(r"^vla_core\.errors\.(\w+): ", re.MULTILINE)


class DeadlineError(InferenceError):
    """The server was there but did not answer in time."""


class LostError(InferenceError):
    """The connection broke before the answer came."""


@dataclass(frozen=True)
class Address:
    """Where a server listens: a ws:// or wss:// address, or a Unix socket of this machine.

    Raises:
        ConfigurationError: it is no such address.
    """

    url: str
    unix_path: str | None = None

    def __post_init__(self) -> None:
        try:
            parse_uri(self.url)
        except (WebSocketException, ValueError) as error:
            raise ConfigurationError(
                f"policy server '{self.url}': expected ws://host:port or wss://host:port"
            ) from error

    @property
    def uri(self) -> WebSocketURI:
        """The address in its parts."""
        return parse_uri(self.url)

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
        self._encoder = wire.Encoder()
        self._is_asking = False
        ends_s = time.monotonic() + settings.open_s
        try:
            self._channel = _open(address, settings, ends_s)
            self.metadata = _read(self._channel.receive(ends_s))
        except (OSError, ClosedError, WebSocketException, VlaError) as error:
            self._abandon()
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
        self._is_asking = True
        try:
            self._channel.send(self._encoder.encode(message), ends_s)
            return _read(self._channel.receive(ends_s))
        except TimeoutError:
            self._abandon()
            raise DeadlineError(
                f"no reply from policy server {self._address} within {deadline_s:g} s"
            ) from None
        except ClosedError as error:
            self._abandon()
            raise LostError(f"policy server {self._address}: connection lost: {error}") from error
        except VlaError:
            self._abandon()
            raise
        finally:
            self._is_asking = False

    def _abandon(self) -> None:
        """Close without waiting for the other side: it may be stuck."""
        if hasattr(self, "_channel"):
            self._channel.abandon()

    def close(self) -> None:
        """Say goodbye; break off what another thread still asks. May be repeated."""
        if self._is_asking:
            self._channel.abandon()
        else:
            self._channel.close(GOODBYE_S)


def _reason(error: Exception) -> str:
    """Return what happened; of a server that turned us away, what it said."""
    if isinstance(error, InvalidStatus):
        said = (error.response.body or b"").decode(errors="replace").strip()[:200]
        return f"turned away with {error.response.status_code}: {said or 'no reason'}"
    return str(error) or type(error).__name__


def _open(address: Address, settings: ConnectionSettings, ends_s: float) -> Channel:
    protocol = ClientProtocol(address.uri, max_size=settings.max_message_bytes)
    channel = Channel(_connect(address, settings.open_s), protocol)
    try:
        request = protocol.connect()
        if settings.api_key:
            request.headers["Authorization"] = f"Api-Key {settings.api_key}"
        protocol.send_request(request)
        channel.flush(ends_s)
        while channel.handshake is None:
            try:
                channel.read(ends_s)
            except ClosedError:
                if channel.handshake is None:  # else it was turned away, and was told why
                    raise
        if protocol.handshake_exc is not None:
            raise protocol.handshake_exc
    except BaseException:
        channel.abandon()
        raise
    return channel


def _connect(address: Address, within_s: float) -> socket.socket:
    if address.unix_path is not None:
        local = socket.socket(socket.AF_UNIX)
        # Room for an observation: else both sides wake each other for each part of it.
        local.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * 2**20)
        local.settimeout(within_s)
        try:
            local.connect(address.unix_path)
        except OSError:
            local.close()
            raise
        return local
    uri = address.uri
    sock = socket.create_connection((uri.host, uri.port), within_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not uri.secure:
        return sock
    return ssl.create_default_context().wrap_socket(sock, server_hostname=uri.host)


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
