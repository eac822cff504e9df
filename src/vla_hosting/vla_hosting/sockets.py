"""Sockets with a limit on every wait."""

from __future__ import annotations

import socket

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


def watch_over(sock: socket.socket) -> None:
    """Have the kernel notice a client whose machine has gone, and send without delay."""
    if sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)  # [s], [s], times
