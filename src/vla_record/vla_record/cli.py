"""``vla record --robot so101``: record a running robot until Ctrl-C."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from vla_core.errors import ConfigurationError


def main(arguments: Sequence[str]) -> int:
    """Run the recorder with what the arguments say."""
    parser = argparse.ArgumentParser("vla record", description=__doc__)
    parser.add_argument("--robot", default="so101", help="namespace, and folder in config/robots")
    parser.add_argument(
        "--contract", type=Path, nargs="+", metavar="FILE", help="default: the robot's contract"
    )
    parser.add_argument("--policy", type=Path, nargs="*", default=[], help="files to embed")
    parser.add_argument("--output", type=Path, help="folder; default: recordings/TIME")
    parser.add_argument("--no-images", action="store_true", help="leave cameras out")
    parser.add_argument("--notes", default="", help="text to embed")
    asked = parser.parse_args(arguments)
    from vla_record.recorder_node import RecorderNode
    from vla_ros.run import run_node

    folder = asked.output or Path("recordings") / time.strftime("%Y-%m-%d_%H-%M-%S")
    return run_node(RecorderNode, ros_arguments(asked, folder))


def ros_arguments(asked: argparse.Namespace, folder: Path) -> list[str]:
    """Return the node's arguments.

    Raises:
        ConfigurationError: the robot has no contract.
    """
    contracts = asked.contract or contracts_of(asked.robot)
    parameters = {
        "contract_files": [str(path) for path in contracts],
        "policy_files": [str(path) for path in asked.policy],
        "directory": str(folder),
        "images": not asked.no_images,
        "notes": asked.notes,
    }
    found = ["--ros-args", "-r", f"__ns:=/{asked.robot}"]
    for name, value in parameters.items():
        if value not in ("", []):
            found += ["-p", f"{name}:={_yaml(value)}"]
    return found


def contracts_of(robot: str) -> list[Path]:
    """Return the contract of a robot in the folder `config/robots` here or above.

    Raises:
        ConfigurationError: there is none.
    """
    for folder in (Path.cwd(), *Path(__file__).resolve().parents):
        contract = folder / "config/robots" / robot / "contract.yaml"
        if contract.is_file():
            return [contract]
    raise ConfigurationError(
        f"robot '{robot}' has no config/robots/{robot}/contract.yaml here. "
        "Name it with --contract FILE."
    )


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_yaml(item) for item in value) + "]"
    return "'" + str(value).replace("'", "''") + "'"
