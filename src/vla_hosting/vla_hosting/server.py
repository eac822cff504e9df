"""Serves one policy over openpi's WebSocket protocol: metadata first, then answers.

One thread does it all, the one that called `PolicyServer.serve`: it is the policy's thread, so
observations are answered one after another. As with openpi, an error is a text frame with the
traceback, after which the connection is closed. The command line is in `serve.py`.
"""

from __future__ import annotations

import contextlib
import hmac
import http
import logging
import selectors
import socket
import time
import traceback
from dataclasses import dataclass
from typing import Any

from websockets.http11 import Request
from websockets.server import ServerProtocol

from vla_core.errors import VlaError
from vla_core.ports import Policy
from vla_hosting import messages, wire
from vla_hosting.channel import Channel, ClosedError
from vla_hosting.keys import ObservationKeys
from vla_hosting.sockets import watch_over

log = logging.getLogger(__name__)

# A signal that arrives just before the wait does not end it: so long it may go unnoticed.
LOOK_AROUND_S = 0.5
HEALTH_PATH = "/healthz"
GOODBYE_S = 0.2  # for a client to say it too when the server is stopped
GOING_AWAY = 1001  # RFC 6455, 7.4.1
INTERNAL_ERROR = 1011
CLOSE_REASON = "Internal server error. Traceback included in previous frame."


@dataclass(frozen=True)
class ServerSettings:
    """Limits of the server."""

    max_message_bytes: int = 64 * 2**20  # of an observation; above it the connection is closed
    max_connections: int = 16
    open_s: float = 5.0  # for the handshake
    send_s: float = 5.0  # for a client that does not take its answer
    api_key: str | None = None  # that clients must send, as openpi-client does; None: anybody


class _Client:
    """One connection: its channel, and what was said on it."""

    def __init__(self, sock: socket.socket, name: str, settings: ServerSettings) -> None:
        # A web page must not reach a policy on its visitor's machine: no origin but none.
        self.protocol = ServerProtocol(origins=[None], max_size=settings.max_message_bytes)
        self.channel = Channel(sock, self.protocol)
        self.name = name
        # When its patience ends that has not shaken hands, or not left after an error.
        self.until_s: float | None = time.monotonic() + settings.open_s
        self.previous_s: float | None = None  # how long the answer before took

    @property
    def is_late(self) -> bool:
        """Whether it neither comes in nor goes."""
        return self.until_s is not None and time.monotonic() > self.until_s


class PolicyServer:
    """Speaks with the clients of a listening socket; closing socket and policy is the caller's."""

    def __init__(
        self,
        policy: Policy,
        listener: socket.socket,
        keys: ObservationKeys | None = None,
        settings: ServerSettings | None = None,
    ) -> None:
        self._policy, self._listener = policy, listener
        self._keys = keys or ObservationKeys.of(policy.spec)
        self._keys.check(policy.spec)
        self._settings = settings or ServerSettings()
        self._metadata = wire.pack(messages.metadata_to_wire(policy.spec, self._keys))
        self._encoder = wire.Encoder()
        self._clients: set[_Client] = set()
        self._speaking_with: _Client | None = None
        self._is_stopping = False
        self._selector = selectors.DefaultSelector()
        self._alarm, self._wake = socket.socketpair()

    def serve(self) -> None:
        """Answer until `stop`; an interrupt ends it in the same way and is passed on."""
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        try:
            while not self._is_stopping:
                self._wait()
        finally:
            for client in tuple(self._clients):
                client.channel.close(GOODBYE_S, GOING_AWAY, "the server is being stopped")
            self._selector.close()
            self._alarm.close()
            self._wake.close()

    def stop(self) -> None:
        """End `serve` after the inference in progress. From any thread, or a signal's handler."""
        self._is_stopping = True
        with contextlib.suppress(OSError):  # it has ended already
            self._alarm.send(b"!")

    def _wait(self) -> None:
        for key, _ in self._selector.select(LOOK_AROUND_S):
            if key.fileobj is self._listener:
                self._accept()
            elif isinstance(key.data, _Client):
                self._attend(key.data)
        for client in [client for client in self._clients if client.is_late]:
            self._dismiss(client, "neither came in nor left")

    def _accept(self) -> None:
        try:
            sock, address = self._listener.accept()
        except OSError as error:  # it has gone already
            log.debug("nobody to accept: %s", error)
            return
        watch_over(sock)
        client = _Client(sock, str(address or "on this machine"), self._settings)
        self._clients.add(client)
        self._selector.register(client.channel, selectors.EVENT_READ, client)

    def _dismiss(self, client: _Client, why: str) -> None:
        log.info("client %s: %s", client.name, why)
        self._clients.discard(client)
        self._selector.unregister(client.channel)
        client.channel.abandon()

    def _attend(self, client: _Client) -> None:
        """Take in what a client sent, and answer what is complete."""
        was_open = client.channel.is_open
        try:
            client.channel.read(self._patience())
            if not was_open and isinstance(client.channel.handshake, Request):
                self._shake_hands(client, client.channel.handshake)
            while client.channel.is_open and (message := client.channel.pop()) is not None:
                self._answer(client, message)
        except (ClosedError, TimeoutError) as error:
            self._dismiss(client, str(error))

    def _shake_hands(self, client: _Client, request: Request) -> None:
        if request.path == HEALTH_PATH:
            response = client.protocol.reject(http.HTTPStatus.OK, "OK\n")
        elif not self._may_enter(request):
            response = client.protocol.reject(
                http.HTTPStatus.UNAUTHORIZED,
                "expected the header 'Authorization: Api-Key <key>' with the server's key\n",
            )
        elif len(self._clients) > self._settings.max_connections:
            response = client.protocol.reject(
                http.HTTPStatus.SERVICE_UNAVAILABLE,
                f"{self._settings.max_connections} clients are connected already\n",
            )
        else:
            response = client.protocol.accept(request)
        client.protocol.send_response(response)
        client.channel.flush(self._patience())
        if not client.channel.is_open:
            raise ClosedError(f"turned away with {response.status_code}")
        log.info("client %s: connected", client.name)
        client.until_s = None
        client.channel.send(self._metadata, self._patience())

    def _may_enter(self, request: Request) -> bool:
        if self._settings.api_key is None:
            return True
        given = request.headers.get_all("Authorization")
        expected = f"Api-Key {self._settings.api_key}".encode()
        # Compared in constant time: how long a refusal takes must not tell how much was right.
        return len(given) == 1 and hmac.compare_digest(given[0].encode(), expected)

    def _answer(self, client: _Client, data: bytes | str) -> None:
        started_s = time.perf_counter()
        try:
            answer = self._respond(client, _message(data))
            if client.previous_s is not None:
                answer["server_timing"]["prev_total_ms"] = client.previous_s * 1e3
            client.channel.send(self._encoder.encode(answer), self._patience())
        except (ClosedError, TimeoutError):
            raise
        except Exception as error:
            log.warning("client %s: %s", client.name, error, exc_info=not _is_ours(error))
            # Asked for by the protocol: who debugs the client may not see this machine.
            client.until_s = self._patience()
            client.channel.send(traceback.format_exc(), client.until_s)
            client.channel.say_goodbye(client.until_s, INTERNAL_ERROR, CLOSE_REASON)
        client.previous_s = time.perf_counter() - started_s

    def _respond(self, client: _Client, message: dict[str, Any]) -> dict[str, Any]:
        if self._speaking_with is not client:  # an episode never runs on for somebody else
            self._policy.reset()
            self._speaking_with = client
        extra = message.get(messages.EXTRA)
        request = extra.get("request") if isinstance(extra, dict) else None
        if isinstance(extra, dict) and extra.get("reset"):
            self._policy.reset()
            return {messages.EXTRA: {"request": request, "reset": True}, "server_timing": {}}
        spec = self._policy.spec
        observation = messages.observation_from_wire(message, spec, self._keys, time.time_ns())
        prefix = messages.prefix_from_wire(message, spec)
        started_s = time.perf_counter()
        chunk = self._policy.infer(observation, prefix)
        spent_s = time.perf_counter() - started_s
        return {
            **messages.answer_to_wire(chunk, request),
            "server_timing": {"infer_ms": spent_s * 1e3},
        }

    def _patience(self) -> float:
        return time.monotonic() + self._settings.send_s


def _message(data: bytes | str) -> dict[str, Any]:
    if isinstance(data, str):
        raise wire.WireError("expected a binary frame with an observation, got a text frame")
    message = wire.unpack(data)
    if not isinstance(message, dict):
        raise wire.WireError(f"expected a dict with an observation, got {type(message).__name__}")
    return message


def _is_ours(error: Exception) -> bool:
    return isinstance(error, VlaError)
