"""A policy behind a WebSocket: one of our servers, or any that speaks openpi's protocol."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vla_core.contract import Contract, PolicyConfig
from vla_core.errors import MismatchError, NotReadyError
from vla_core.ports import PolicySpec
from vla_core.types import ActionChunk, Observation, Prefix
from vla_hosting import messages, openpi, wire
from vla_hosting.backoff import Backoff
from vla_hosting.connection import Address, Connection, ConnectionSettings
from vla_hosting.messages import Hosted
from vla_hosting.options import read_options

API_KEY_VARIABLE = "VLA_API_KEY"


@dataclass(frozen=True)
class RemoteOptions:
    """What a policy file may say under ``options`` for ws:// and wss://."""

    deadline_s: float = 5.0  # of an answer
    first_deadline_s: float = 120.0  # of the first answer: a server may compile then
    open_s: float = 5.0  # of connecting
    retry_s: float = 0.5  # between two attempts to connect; doubles up to retry_most_s
    retry_most_s: float = 8.0


class RemotePolicy:
    """Asks a server; connects again after an error, never more often than its back-off allows."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        describe: Callable[[Connection], Hosted],
        options: RemoteOptions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect and learn what the server hosts.

        Args:
            connect: opens a connection.
            describe: says what is behind the first one.
            options: deadlines.
            clock: a clock that never goes back [s].

        Raises:
            NotReadyError: nobody is there.
            MismatchError: the server cannot be understood.
        """
        self._connect = connect
        self._options, self._clock = options or RemoteOptions(), clock
        self._requests = itertools.count(1)
        self._answered = False
        self._backoff = self._new_backoff()
        connection = connect()
        try:
            self._hosted = describe(connection)
        except BaseException:
            connection.close()
            raise
        self._metadata = wire.pack(connection.metadata)
        self._connection: Connection | None = connection

    @property
    def spec(self) -> PolicySpec:
        """What the server hosts, in its own words."""
        return self._hosted.spec

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Ask the server; see `Policy.infer`."""
        if prefix is not None and not self.spec.accepts_prefix:
            raise MismatchError(f"policy '{self.spec.name}' cannot continue a prefix")
        self.spec.validate(observation)
        request = next(self._requests)
        message = messages.request_to_wire(observation, self.spec, self._hosted.keys)
        if self._hosted.is_ours:
            message[messages.EXTRA] = messages.extras_to_wire(request, observation, prefix)
        started_ns = time.perf_counter_ns()
        answer = self._ask(message)
        spent_ns = time.perf_counter_ns() - started_ns
        chunk = messages.chunk_from_wire(answer, self.spec, observation, request)
        stages = dict(chunk.stages_ns)
        stages["wire"] = max(0, spent_ns - sum(stages.values()))
        return replace(chunk, stages_ns=stages)

    def reset(self) -> None:
        """Forget the episode; openpi's servers keep none."""
        if self._hosted.is_ours and self._connection is not None:
            self._ask({messages.EXTRA: {"reset": True, "request": next(self._requests)}})

    def close(self) -> None:
        """Leave the server."""
        self.disconnect()

    def _ask(self, message: dict[str, Any]) -> Any:
        deadline_s = self._options.deadline_s
        if not self._answered:
            deadline_s = max(deadline_s, self._options.first_deadline_s)
        try:
            answer = self._connected().ask(message, deadline_s)
        except BaseException:
            self.disconnect()  # an answer that comes later must not be taken for the next one
            raise
        self._answered = True
        return answer

    def _connected(self) -> Connection:
        if self._connection is None:
            self._backoff.check(self._clock())
            try:
                connection = self._connect()
            except NotReadyError as error:
                self._backoff.failed(self._clock(), str(error))
                raise
            self._check_same(connection)
            self._backoff = self._new_backoff()
            self._connection = connection
        return self._connection

    def _check_same(self, connection: Connection) -> None:
        """Refuse a server that was restarted with another policy: nothing was checked for it."""
        if wire.pack(connection.metadata) != self._metadata:
            connection.close()
            raise MismatchError(
                f"policy '{self.spec.name}': its server now describes itself differently than "
                "at the start. Load the policy again."
            )

    def _new_backoff(self) -> Backoff:
        return Backoff(self._options.retry_s, self._options.retry_most_s)

    def disconnect(self) -> None:
        """Leave the server until the next question."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def open_policy(
    address: str, config: PolicyConfig, contract: Contract, root: Path
) -> RemotePolicy:
    """Open ``ws:`` and ``wss:`` uris; see `vla_hosting.loading.Adapter`."""
    options = read_options(RemoteOptions, config.options, config.name)
    target = Address(f"{config.uri.partition(':')[0]}:{address}")
    settings = ConnectionSettings(options.open_s, api_key=os.environ.get(API_KEY_VARIABLE))

    def describe(connection: Connection) -> Hosted:
        known = messages.metadata_from_wire(connection.metadata)
        if known is None:
            return openpi.describe(connection, config, contract, options.first_deadline_s)
        return known

    return RemotePolicy(lambda: Connection(target, settings), describe, options)
