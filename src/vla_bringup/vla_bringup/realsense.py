"""An Intel RealSense as a stream of a contract: the node of `realsense2_camera`, remapped. Pure.

**Not tried on a camera**: names are those of realsense2_camera from 4.55.1 on; older ones have
other parameters. Whether a camera has the contract's size among its profiles, its node says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vla_core.contract import Contract
from vla_core.errors import ConfigurationError

COMPRESSED = "/compressed"
RATE_HZ = 30

Node = dict[str, Any]  # as a node in backends.yaml


def split(text: str) -> tuple[str, ...]:
    """Return the cameras of one argument, which are separated by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def with_realsense(nodes: Sequence[Node], contract: Contract, wanted: Sequence[str]) -> list[Node]:
    """Return the nodes of a backend with RealSense cameras for some streams.

    The node `<stream>_camera` of the backend is replaced; a stream without one gets one.

    Args:
        wanted: `stream` or `stream=serial number`, one per camera.

    Raises:
        ConfigurationError: an unknown stream, one asked for twice, or several cameras of which
            one has no serial number.
    """
    chosen = _chosen(contract, wanted)
    names = {f"{stream}_camera" for stream in chosen}
    kept = [node for node in nodes if node["name"] not in names]
    return [*kept, *(_node(contract, stream, serial) for stream, serial in chosen.items())]


def _chosen(contract: Contract, wanted: Sequence[str]) -> dict[str, str]:
    images = contract.observation.images
    chosen: dict[str, str] = {}
    for entry in wanted:
        stream, _, serial = entry.partition("=")
        if stream not in images:
            raise ConfigurationError(
                f"realsense '{entry}': expected a stream of {list(images)}, or stream=serial"
            )
        if stream in chosen:
            raise ConfigurationError(f"realsense '{entry}': '{stream}' has a camera already")
        chosen[stream] = serial
    if len(chosen) > 1 and not all(chosen.values()):
        raise ConfigurationError(
            f"realsense {list(wanted)}: with several cameras each needs its serial number, "
            "stream=serial (rs-enumerate-devices -s lists them)"
        )
    return chosen


def _node(contract: Contract, stream: str, serial: str) -> Node:
    image = contract.observation.images[stream]
    topic = image.topic.removesuffix(COMPRESSED)
    parameters: dict[str, Any] = {
        "enable_color": True,
        "enable_depth": False,
        "enable_infra1": False,
        "enable_infra2": False,
        "rgb_camera.color_profile": f"{image.width_px}x{image.height_px}x{RATE_HZ}",
        "rgb_camera.color_format": "RGB8",
        "color_qos": "SENSOR_DATA",
    }
    if serial:
        # With an underscore in front: digits alone would be a number.
        parameters["serial_no"] = f"_{serial.lstrip('_')}"
    return {
        "package": "realsense2_camera",
        "executable": "realsense2_camera_node",
        "name": f"{stream}_camera",
        "contract": False,
        "parameters": parameters,
        "remappings": {
            "~/color/image_raw": topic,
            f"~/color/image_raw{COMPRESSED}": f"{topic}{COMPRESSED}",
            "~/color/camera_info": f"{topic}/camera_info",
        },
    }
