"""How the middleware of the graph's processes is set up, where nobody has set it up already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

NAMES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


def settings(environ: Mapping[str, str], root: Path) -> dict[str, str]:
    """Return what to add to the environment so that pictures go through shared memory.

    Nothing where a person has a profile of their own, where another middleware is chosen, or where
    Humble confines itself to this machine: it then makes its own list of transports.
    """
    middleware = environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    is_ours_to_say = (
        not any(environ.get(name) for name in NAMES)
        and middleware == "rmw_fastrtps_cpp"
        and environ.get("ROS_LOCALHOST_ONLY") != "1"
    )
    profile = root / "config" / "fastdds.xml"
    return {NAMES[0]: str(profile)} if is_ours_to_say and profile.exists() else {}
