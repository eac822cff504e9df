"""From a process of the graph to a command line: which file to run, with which parameters."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from vla_bringup.graph import Process
from vla_core.errors import ConfigurationError


def command(process: Process, folder: Path) -> list[str]:
    """Return the command that runs a node; its parameters are written into ``folder``.

    Raises:
        ConfigurationError: the package or its executable is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parameters = folder / f"{process.name}.yaml"
    parameters.write_text(parameter_file(process))
    arguments = ["--ros-args", "-r", f"__node:={process.name}", "-r", f"__ns:={process.namespace}"]
    for source, target in process.remappings.items():
        arguments += ["-r", f"{source}:={target}"]
    return [
        find(process.package, process.executable),
        *process.arguments,
        *arguments,
        "--params-file",
        str(parameters),
    ]


def parameter_file(process: Process) -> str:
    """Return a ROS parameter file for one node."""
    node = f"{process.namespace.rstrip('/')}/{process.name}"
    content = {node: {"ros__parameters": dict(process.parameters)}}
    return yaml.safe_dump(content, sort_keys=False)


def is_ours(package: str) -> bool:
    """Return whether a package belongs to this workspace."""
    return package.startswith("vla_")


def advice(package: str) -> str:
    """Return how a package gets onto this machine."""
    if is_ours(package):
        return "Build the workspace (./vla does it), or source its setup.bash."
    binary = f"ros-{os.environ.get('ROS_DISTRO', '<distro>')}-{package.replace('_', '-')}"
    return f"Install it (sudo apt install {binary}), or build it and source its setup.bash."


def find(package: str, executable: str) -> str:
    """Return the path of an installed executable, as ``ros2 run`` would find it."""
    path = _prefix(package) / "lib" / package / executable
    if not path.exists():
        raise ConfigurationError(f"package '{package}' has no executable '{executable}' ({path}).")
    return str(path)


def share(package: str) -> Path:
    """Return the share folder of an installed package."""
    return _prefix(package) / "share" / package


def _prefix(package: str) -> Path:
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix

    try:
        return Path(get_package_prefix(package))
    except PackageNotFoundError as error:
        raise ConfigurationError(
            f"package '{package}' is not installed. {advice(package)}"
        ) from error
