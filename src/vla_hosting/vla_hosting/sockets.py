"""Sockets with a limit on every wait."""

from __future__ import annotations

import socket
import struct

from vla_core.errors import ConfigurationError


def listen(host: str, port: int) -> socket.socket:
    """Listen on a TCP address; port 0 takes a free one.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error}. Choose another --host or --port."
        ) from error


def listen_locally(path: str) -> socket.socket:
    """Listen on a Unix socket, which only those reach who may enter its folder."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    return listener


def limit_sending(sock: socket.socket, seconds: float) -> None:
    """Let sending fail when the peer reads nothing for so long.

    Receiving has limits of its own: websockets sends without any.
    """
    timeval = struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
