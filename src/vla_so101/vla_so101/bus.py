"""Talks to the servos: requests, replies, retries, and counts of what went wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from vla_core.errors import NotReadyError
from vla_so101 import packet
from vla_so101.packet import STATUS_OVERHEAD, Status, StatusFinder
from vla_so101.port import Port
from vla_so101.registers import Register

BITS_PER_BYTE = 10  # 8N1
# A late reply must not be taken for the answer to the next request: silence of this length first.
QUIET_S = 0.002
RETURN_DELAY_S = 0.0005  # of a servo as it leaves the factory, before each reply


# Each read asks for another number of bytes too many, so that a reply that comes so late that the
# next request is out already is seen to belong to an older one.
SPARES = 4
# How often a servo is asked whether it is there, and how many silences mean that it is not.
SURVEYS, SILENT_SURVEYS = 6, 3


# From the ids that are asked and the number of bytes to a packet.
Request = Callable[[list[int], int], bytes]


class Presence(Enum):
    """What a survey of one id found."""

    THERE = "there"
    SILENT = "silent"
    COLLIDES = "collides"


class NoReplyError(NotReadyError):
    """A servo does not answer, though the port is there."""


@dataclass
class Counters:
    """What happened on the bus since it was opened."""

    requests: int = 0
    replies: int = 0
    lost: int = 0  # replies that did not come in time, or came damaged
    skipped_bytes: int = 0  # that belonged to no reply
    retries: int = 0
    failed: int = 0  # requests without an answer after all attempts

    def copy(self) -> Counters:
        """Return the present counts."""
        return Counters(**vars(self))


@dataclass
class Bus:
    """A half-duplex bus: one request at a time. Not thread-safe; `Arm` has the lock.

    Args:
        reply_timeout_s: beyond the time that the bytes need on the line [s].
        attempts: how often a request is sent before a servo counts as not answering.
    """

    port: Port
    reply_timeout_s: float = 0.15
    attempts: int = 5
    counters: Counters = field(default_factory=Counters)
    errors: dict[int, int] = field(default_factory=dict)  # newest error bits by servo id

    def ping(self, id_: int) -> bool:
        """Return whether a servo answers."""
        request = packet.instruction(id_, packet.PING)
        return bool(self._ask(lambda *_: request, [id_], 0))

    def read(self, id_: int, register: Register) -> int:
        """Return a register's value; raises NoReplyError."""
        return register.decode(self.read_block(id_, register.address, register.size))

    def read_block(self, id_: int, address: int, size: int) -> bytes:
        """Return a piece of a servo's memory; raises NoReplyError."""
        return self._answer(_read(id_, address), id_, size).data

    def write(self, id_: int, register: Register, value: int) -> None:
        """Write a register; returns when the servo has confirmed it. Raises NoReplyError."""
        parameters = bytes([register.address]) + register.encode(value)
        request = packet.instruction(id_, packet.WRITE, parameters)
        self._answer(lambda *_: request, id_, 0)

    def sync_read(self, ids: Sequence[int], address: int, size: int) -> dict[int, bytes]:
        """Return the same piece of memory of several servos; who did not answer is not in it."""

        def request(missing: list[int], count: int) -> bytes:
            return packet.sync_read(missing, address, count)

        return {id_: status.data for id_, status in self._ask(request, list(ids), size).items()}

    def sync_write(self, address: int, data: Mapping[int, bytes]) -> None:
        """Write to several servos at once; nobody confirms, read back what matters."""
        self.port.discard()
        self.port.send(packet.sync_write(address, dict(data)))
        self.counters.requests += 1

    def survey(self, id_: int, address: int, size: int) -> Presence:
        """Return whether a servo is there, once, judged by reading the same memory repeatedly.

        Two servos with one id answer at the same time and damage each other's replies.
        """
        damaged = silent = 0
        for attempt in range(SURVEYS):
            skipped = self.counters.skipped_bytes
            found = self._exchange(_read(id_, address), [id_], size)
            self._until_quiet()
            has_noise = self.counters.skipped_bytes > skipped
            damaged += has_noise
            silent += not found and not has_noise
            if silent == attempt + 1 == SILENT_SURVEYS:
                break
        if damaged > SURVEYS // 2:
            return Presence.COLLIDES
        return Presence.SILENT if silent >= SILENT_SURVEYS else Presence.THERE

    def _answer(self, request: Request, id_: int, size: int) -> Status:
        found = self._ask(request, [id_], size)
        if id_ not in found:
            raise NoReplyError(
                f"servo {id_} on {self.port.name} does not answer after {self.attempts} attempts"
            )
        return found[id_]

    def _ask(self, request: Request, ids: list[int], size: int) -> dict[int, Status]:
        found: dict[int, Status] = {}
        missing = ids
        for attempt in range(self.attempts):
            if attempt:
                self.counters.retries += 1
                self._until_quiet()
            found |= self._exchange(request, missing, size)
            missing = [id_ for id_ in ids if id_ not in found]
            if not missing:
                return found
        self.counters.failed += 1
        return found

    def _exchange(self, request: Request, ids: list[int], size: int) -> dict[int, Status]:
        count = size + self.counters.requests % SPARES if size else 0
        sent = request(ids, count)
        self.port.discard()
        self.port.send(sent)
        self.counters.requests += 1
        expected = len(ids) * (count + STATUS_OVERHEAD)
        line_s = (len(sent) + expected) * BITS_PER_BYTE / self.port.baud_rate
        until_s = time.monotonic() + line_s + len(ids) * RETURN_DELAY_S + self.reply_timeout_s
        finder, found = StatusFinder(count), dict[int, Status]()
        came = 0
        # All bytes there but not all replies: one is damaged, and waiting would not mend it.
        while len(found) < len(ids) and came < expected:
            data = self.port.receive(until_s)
            if not data:
                break
            came += len(data)
            for status in finder.feed(data):
                if status.id in ids:
                    found[status.id] = replace(status, data=status.data[:size])
                    self.errors[status.id] = status.error
        self.counters.replies += len(found)
        self.counters.lost += len(ids) - len(found)
        self.counters.skipped_bytes += finder.noise
        return found

    def _until_quiet(self) -> None:
        end_s = time.monotonic() + self.reply_timeout_s
        while time.monotonic() < end_s:
            data = self.port.receive(time.monotonic() + QUIET_S)
            if not data:
                return
            self.counters.skipped_bytes += len(data)


def _read(id_: int, address: int) -> Request:
    return lambda _, count: packet.instruction(id_, packet.READ, bytes([address, count]))
