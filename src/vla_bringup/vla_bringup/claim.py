"""One graph per robot and ROS domain on this machine: two executors must not share an arm."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vla_core.errors import VlaError


@contextlib.contextmanager
def claim(robot: str, folder: Path | None = None) -> Iterator[None]:
    """Hold a robot until the end of the block; the kernel lets go of it if we are killed.

    Raises:
        VlaError: another process holds it.
    """
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    where = (folder or Path(tempfile.gettempdir())) / f"vla_{os.getuid()}_{domain}_{robot}.lock"
    with where.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise VlaError(
                f"robot '{robot}' runs already on ROS domain {domain} "
                f"(process {file.read().strip() or 'unknown'}). End that one first, or set "
                "another ROS_DOMAIN_ID."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
