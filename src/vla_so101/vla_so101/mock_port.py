"""Where the emulated arm's port appears, for the node that makes it and the one that opens it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

EMULATOR = "emulator"


def link(namespace: str, name: str = "") -> Path:
    """Return the path for one emulated arm in this ROS domain, in a folder of this user's own."""
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    folder = Path(tempfile.gettempdir()) / f"vla-so101-{os.getuid()}"
    parts = [domain, *namespace.split("/"), name]
    return folder / "-".join(part for part in parts if part)


def resolve(port: str, namespace: str) -> str:
    """Return the path of a port, which may be `emulator` or `emulator:<name>`."""
    word, _, name = port.partition(":")
    return str(link(namespace, name)) if word == EMULATOR else port
