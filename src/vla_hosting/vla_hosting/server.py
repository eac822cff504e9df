"""Serves one policy over openpi's WebSocket protocol: metadata first, then answers.

Each connection has a thread that speaks; the policy is asked by one thread alone, the one that
called `PolicyServer.serve`, one observation after another. As with openpi, an error is a text
frame with the traceback, after which the connection is closed. What `vla serve` does with its
arguments is in `serve.py`.
"""

from __future__ import annotations

import contextlib
import http
import logging
import queue
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from functools import partial
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve, unix_serve

from vla_core.errors import InferenceError, VlaError
from vla_core.ports import Policy
from vla_hosting import messages, wire
from vla_hosting.keys import ObservationKeys
from vla_hosting.sockets import limit_sending

log = logging.getLogger(__name__)

HEALTH_PATH = "/healthz"
CLOSE_GOING_AWAY = 1001  # RFC 6455
CLOSE_INTERNAL_ERROR = 1011  # as openpi's server
CLOSE_REASON = "Internal server error. Traceback included in previous frame."


@dataclass(frozen=True)
class ServerSettings:
    """Limits of the server. Every wait has one."""

    max_message_bytes: int = 64 * 2**20  # of an observation; above it the connection is closed
    max_connections: int = 16
    infer_deadline_s: float = 120.0  # waiting for its turn included; a first call may compile
    send_deadline_s: float = 10.0  # a client that does not read its answer
    ping_s: float = 20.0  # an idle client that does not answer for two of them is gone


@dataclass(frozen=True)
class _Job:
    """One observation on its way to the policy's thread and its answer back."""

    call: Callable[[], dict[str, Any]]
    answer: Future[dict[str, Any]]


class PolicyServer:
    """Owns a listening socket and asks the policy; closing the policy is the caller's.

    `serve` runs in the policy's thread until `stop`, which any thread may call.
    """

    def __init__(
        self,
        policy: Policy,
        listener: socket.socket,
        keys: ObservationKeys | None = None,
        settings: ServerSettings | None = None,
    ) -> None:
        self._policy = policy
        self._keys = keys or ObservationKeys.of(policy.spec)
        self._keys.check(policy.spec)
        self._settings = settings or ServerSettings()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._metadata = wire.pack(messages.metadata_to_wire(policy.spec, self._keys))
        self._stopping = threading.Event()
        self._clients: set[ServerConnection] = set()  # under the lock
        self._lock = threading.Lock()
        self._speaking_with: ServerConnection | None = None
        self._server = self._websocket_server(listener)

    def _websocket_server(self, listener: socket.socket) -> Server:
        start = unix_serve if listener.family == socket.AF_UNIX else serve
        return start(
            self._converse,
            sock=listener,
            compression=None,  # as openpi; images do not compress
            max_size=self._settings.max_message_bytes,
            ping_interval=self._settings.ping_s,
            ping_timeout=2 * self._settings.ping_s,
            close_timeout=1.0,
            origins=[None],  # a web page must not reach a policy on its visitor's machine
            process_request=self._before_the_handshake,
        )

    def serve(self) -> None:
        """Answer until `stop`; an interrupt ends it in the same way and is passed on."""
        accepting = threading.Thread(target=self._server.serve_forever, name="vla-serve-accept")
        accepting.start()
        try:
            while (job := self._jobs.get()) is not None:
                self._answer(job)
        finally:
            self._stopping.set()
            self._drop_waiting()
            self._server.shutdown()
            self._send_home()
            accepting.join()

    def stop(self) -> None:
        """End `serve` after the inference in progress."""
        self._stopping.set()
        self._jobs.put(None)

    def _answer(self, job: _Job) -> None:
        if not job.answer.set_running_or_notify_cancel():
            return  # its client has given up
        try:
            job.answer.set_result(job.call())
        except Exception as error:
            job.answer.set_exception(error)
        except BaseException:  # an interrupt: the client hears of it, the caller too
            job.answer.set_exception(InferenceError("policy server: is being stopped"))
            raise

    def _drop_waiting(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            if job is not None:
                job.answer.cancel()

    def _before_the_handshake(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        if request.path == HEALTH_PATH:
            return connection.respond(http.HTTPStatus.OK, "OK\n")
        if len(self._clients) >= self._settings.max_connections:
            return connection.respond(
                http.HTTPStatus.SERVICE_UNAVAILABLE,
                f"{self._settings.max_connections} clients are connected already\n",
            )
        return None

    def _converse(self, connection: ServerConnection) -> None:
        """Speak with one client until it leaves; runs in the connection's thread."""
        limit_sending(connection.socket, self._settings.send_deadline_s)
        client = connection.remote_address
        log.info("client %s connected", client)
        with self._known(connection):
            try:
                connection.send(self._metadata)
                self._answer_all(connection)
            except ConnectionClosed:
                log.info("client %s left", client)
            except Exception as error:
                # Asked for by the protocol: who debugs the client may not see this machine.
                is_ours = isinstance(error, VlaError)
                log.warning("client %s: %s", client, error, exc_info=not is_ours)
                _close_with_traceback(connection)

    @contextlib.contextmanager
    def _known(self, connection: ServerConnection) -> Iterator[None]:
        with self._lock:
            self._clients.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._clients.discard(connection)

    def _send_home(self) -> None:
        """Close what is still connected: websockets before 17 leaves it open."""
        with self._lock:
            clients = list(self._clients)
        for connection in clients:
            connection.close(CLOSE_GOING_AWAY, "the server is being stopped")

    def _answer_all(self, connection: ServerConnection) -> None:
        previous_s: float | None = None
        while True:
            data = connection.recv()  # as long as the client lives: pings watch over it
            started_s = time.perf_counter()
            message = self._message(data)
            answer = self._ask(partial(self._respond, connection, message))
            if previous_s is not None:
                answer["server_timing"]["prev_total_ms"] = previous_s * 1e3
            connection.send(wire.pack(answer))
            previous_s = time.perf_counter() - started_s

    def _message(self, data: str | bytes) -> dict[str, Any]:
        if isinstance(data, str):
            raise wire.WireError("expected a binary frame with an observation, got a text frame")
        message = wire.unpack(data)
        if not isinstance(message, dict):
            raise wire.WireError(
                f"expected a dict with an observation, got {type(message).__name__}"
            )
        return message

    def _ask(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Have the policy's thread call something, within the deadline."""
        if self._stopping.is_set():
            raise InferenceError("policy server: is being stopped")
        job = _Job(call, Future())
        self._jobs.put(job)
        if self._stopping.is_set():  # since the check above: nobody may be left to answer
            job.answer.cancel()
        try:
            return job.answer.result(self._settings.infer_deadline_s)
        except FutureTimeoutError:
            job.answer.cancel()
            raise InferenceError(
                f"policy '{self._policy.spec.name}': no answer within "
                f"{self._settings.infer_deadline_s:g} s"
            ) from None
        except CancelledError:
            raise InferenceError("policy server: is being stopped") from None

    def _respond(self, client: ServerConnection, message: dict[str, Any]) -> dict[str, Any]:
        """Answer one message; runs in the policy's thread."""
        if self._speaking_with is not client:  # an episode never runs on for somebody else
            self._policy.reset()
            self._speaking_with = client
        extra = message.get(messages.EXTRA)
        request = extra.get("request") if isinstance(extra, dict) else None
        if isinstance(extra, dict) and extra.get("reset"):
            return self._reset(request)
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

    def _reset(self, request: object) -> dict[str, Any]:
        self._policy.reset()
        return {messages.EXTRA: {"request": request, "reset": True}, "server_timing": {}}


def _close_with_traceback(connection: ServerConnection) -> None:
    try:
        connection.send(traceback.format_exc())
        connection.close(CLOSE_INTERNAL_ERROR, CLOSE_REASON)
    except ConnectionClosed:
        log.debug("the client left before it could hear of the error")
