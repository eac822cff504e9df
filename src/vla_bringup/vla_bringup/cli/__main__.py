"""Entry point of ``python -m vla_bringup.cli <command>``, which the script `vla` calls."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from vla_core.errors import VlaError

REFUSED, INTERRUPTED = 2, 130


@dataclass(frozen=True)
class Command:
    """A command and the module that has it, imported only when it is called."""

    name: str
    help: str
    module: str


OWN = (
    Command("demo", "play the demo task in closed loop; metrics, video, report and bag", "demo"),
    Command("up", "start the nodes of a robot (as `ros2 launch` does)", "up"),
    Command("task", "do one instruction", "task"),
    Command("stop", "stop the robot, latched until `reset`", "stop"),
    Command("reset", "clear a stop", "reset"),
    Command("top", "watch the executor", "top"),
    Command("tune", "propose horizon, threshold and join for a latency", "tune"),
    Command("doctor", "check this machine and say what to do", "doctor"),
)
# Commands of other packages: their `main(arguments)` does all, including the help.
FOREIGN = (
    Command("calibrate", "calibrate an SO-101 arm", "vla_so101.calibrate"),
    Command("record", "record a running robot", "vla_record.cli"),
    Command("replay", "run the core again on a recording", "vla_data.replay_cli"),
    Command("convert", "rosbag2 to a LeRobot dataset", "vla_data.convert_cli"),
    Command("check", "judge the commands in a recording", "vla_data.check_cli"),
    Command("report", "metrics, plots and video of a recording", "vla_data.report_cli"),
    Command("train", "train a policy", "vla_models.train"),
    Command("eval", "evaluate a policy on lockstep episodes", "vla_models.evaluate"),
    Command("serve", "serve a policy over WebSocket", "vla_hosting.serve"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 well, 1 not well, 2 refused."""
    arguments = plain(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        for command in FOREIGN:
            if arguments[:1] == [command.name]:
                return int(importlib.import_module(command.module).main(arguments[1:]) or 0)
        return _own(arguments)
    except VlaError as error:
        print(f"vla: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        return INTERRUPTED


def plain(arguments: Sequence[str]) -> list[str]:
    """Turn launch style ``robot:=so101`` into ``--robot=so101``: both spellings are welcome."""
    found = []
    for argument in arguments:
        key, sign, value = argument.partition(":=")
        is_launch = bool(sign) and key.isidentifier()
        found.append(f"--{key.replace('_', '-')}={value}" if is_launch else argument)
    return found


def _own(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("vla", description=__doc__ and "Runs VLA policies on robots.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    asked = arguments[0] if arguments else ""
    for command in OWN:
        child = commands.add_parser(command.name, help=command.help, description=command.help)
        if command.name == asked:
            module = importlib.import_module(f"vla_bringup.cli.{command.module}")
            module.add_arguments(child)
            child.set_defaults(run=module.main)
    for command in FOREIGN:
        commands.add_parser(command.name, help=command.help)
    parsed = parser.parse_args(arguments)
    return int(parsed.run(parsed))


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
