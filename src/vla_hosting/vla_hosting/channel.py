"""A WebSocket on a socket, driven by the thread that uses it; every wait has its end.

The protocol is websockets' own, without its input and output: that reads in a thread of its own,
and on a busy machine handing a message from thread to thread costs more than all the rest.
Times are those of `time.monotonic` [s].
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections import deque

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

# Large blocks of memory are given back and taken anew for each message, which costs more than
# copying; blocks of this size (less than malloc's 128 KiB) are used again.
FRAGMENT_BYTES = 96 * 1024
RECEIVE_BYTES = 256 * 1024
NORMAL_CLOSURE = 1000  # RFC 6455, 7.4.1


class ClosedError(Exception):
    """The other side has gone, or broke the protocol."""


class Channel:
    """Sends and receives whole messages. Handshakes are the matter of client and server."""

    def __init__(self, sock: socket.socket, protocol: ClientProtocol | ServerProtocol) -> None:
        self.socket, self._protocol = sock, protocol
        self._parts: list[bytes] = []  # of a message that is not complete yet
        self._is_text = False
        self._buffer = memoryview(bytearray(RECEIVE_BYTES))
        self._messages: deque[bytes | str] = deque()
        self.handshake: Request | Response | None = None  # the other side's, once it is there

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._protocol.state is OPEN

    def fileno(self) -> int:
        """Return the socket's, so that a selector can watch the channel."""
        return self.socket.fileno()

    def pop(self) -> bytes | str | None:
        """Return the oldest message that has arrived, None if there is none."""
        return self._messages.popleft() if self._messages else None

    def receive(self, ends_s: float) -> bytes | str:
        """Return the next message.

        Raises:
            TimeoutError: none came in time.
            ClosedError: the other side has gone.
        """
        while (message := self.pop()) is None:
            try:
                self.read(ends_s)
            except ClosedError:
                # Its last words, a traceback for instance, may have come together with its leave.
                if (message := self.pop()) is None:
                    raise
                return message
        return message

    def send(self, message: bytes | memoryview | str, ends_s: float) -> None:
        """Send a message.

        Raises:
            TimeoutError: the other side did not take it in time.
            ClosedError: the other side has gone.
        """
        if not self.is_open:
            raise ClosedError(self._why_closed())
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
            self.flush(ends_s)
        else:
            self._send_fragments(memoryview(message), ends_s)

    def _send_fragments(self, message: memoryview, ends_s: float) -> None:
        starts = range(0, max(1, len(message)), FRAGMENT_BYTES)
        for start in starts:
            part, is_last = message[start : start + FRAGMENT_BYTES], start == starts[-1]
            if start == 0:
                self._protocol.send_binary(part, fin=is_last)
            else:
                self._protocol.send_continuation(part, fin=is_last)
            self.flush(ends_s)

    def read(self, ends_s: float) -> None:
        """Take in what has arrived; wait for it if nothing has.

        Raises:
            TimeoutError: nothing came in time.
            ClosedError: the other side has gone; messages that came before can still be popped.
        """
        try:
            self._limit(ends_s)
            data = self._buffer[: self.socket.recv_into(self._buffer)]
        except TimeoutError:
            raise
        except OSError as error:
            raise ClosedError(str(error)) from error
        if data:
            self._protocol.receive_data(data)  # type: ignore[arg-type] # it copies; any bytes do
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            self._take(event)
        self.flush(ends_s)
        if not data or self._protocol.close_expected():
            raise ClosedError(self._why_closed())

    def flush(self, ends_s: float) -> None:
        """Send what the protocol has to say.

        Raises:
            TimeoutError: the other side did not take it in time.
            ClosedError: the other side has gone.
        """
        try:
            for data in self._protocol.data_to_send():
                if data:
                    self._limit(ends_s)
                    self.socket.sendall(data)
        except TimeoutError:
            raise
        except OSError as error:
            raise ClosedError(str(error)) from error

    def say_goodbye(self, ends_s: float, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Begin to close; the other side's goodbye ends a later `read`.

        Raises:
            TimeoutError: the other side did not take it in time.
            ClosedError: the other side has gone.
        """
        if self.is_open:
            self._protocol.send_close(code, reason)
            self.flush(ends_s)

    def close(self, within_s: float, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Say goodbye, wait a little for the answer, and close the socket; may be repeated."""
        ends_s = time.monotonic() + within_s
        with contextlib.suppress(ClosedError, TimeoutError):
            self.say_goodbye(ends_s, code, reason)
            while True:
                self.read(ends_s)
        self.abandon()

    def abandon(self) -> None:
        """Close the socket without a word: the other side may be stuck. From any thread."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits for it
        self.socket.close()

    def _take(self, event: object) -> None:
        if isinstance(event, Request | Response):
            self.handshake = event
        elif isinstance(event, Frame) and event.opcode in _MESSAGES:
            if event.opcode is not Opcode.CONT:
                self._is_text = event.opcode is Opcode.TEXT
            self._parts.append(bytes(event.data))
            if event.fin:
                whole = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
                self._parts = []
                self._messages.append(whole.decode(errors="replace") if self._is_text else whole)

    def _limit(self, ends_s: float) -> None:
        left_s = ends_s - time.monotonic()
        if left_s <= 0.0:
            raise TimeoutError("timed out")
        self.socket.settimeout(left_s)

    def _why_closed(self) -> str:
        code = self._protocol.close_code
        if code is None or code == 1006:
            return "the other side has gone"
        return f"closed with code {code} {self._protocol.close_reason or ''}".strip()


_MESSAGES = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
