"""``vla top``: the executor's state, redrawn five times a second."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.live import Live
from std_msgs.msg import Float64

from vla_bringup.cli.common import add_robot
from vla_bringup.client import Client
from vla_bringup.dashboard import Rate, Seen, render
from vla_interfaces.msg import ActionChunk, ExecutorState, InferenceRequest, PolicyState
from vla_ros import qos

REDRAW_S = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_robot(parser)
    parser.add_argument("--seconds", type=float, default=0.0, help="end after this; 0: Ctrl-C")
    parser.add_argument("--once", action="store_true", help="print one picture and end")


def main(arguments: argparse.Namespace) -> int:
    """Draw until Ctrl-C, or for the time that was asked for."""
    console = Console()
    with Client(arguments.robot) as client:
        seen = watch(client.node)
        if arguments.once:
            missing = f"no executor of robot '{client.robot}' says anything"
            client.wait_until(lambda: seen.executor is not None, 5.0, missing)
            console.print(render(client.robot, seen, time.monotonic()))
            return 0
        began = time.monotonic()
        with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
            while not arguments.seconds or time.monotonic() < began + arguments.seconds:
                redraw = time.monotonic() + REDRAW_S
                while time.monotonic() < redraw:
                    client.spin(0.02)
                live.update(render(client.robot, seen, time.monotonic()), refresh=True)
    return 0


def watch(node: Any) -> Seen:
    """Subscribe to what the dashboard shows; the returned values follow the topics."""
    seen = Seen()

    def on_executor(message: ExecutorState) -> None:
        seen.executor, seen.executor_at_s = message, time.monotonic()

    def on_policy(message: PolicyState) -> None:
        seen.policy = message

    def on_factor(message: Float64) -> None:
        seen.real_time_factor = message.data

    node.create_subscription(ExecutorState, "executor/state", on_executor, qos.EVENT)
    node.create_subscription(PolicyState, "policy/state", on_policy, qos.STATE)
    node.create_subscription(Float64, "sim/real_time_factor", on_factor, qos.SENSOR)
    for kind, topic in ((InferenceRequest, "inference_request"), (ActionChunk, "action_chunk")):
        seen.rates[topic] = Rate()
        node.create_subscription(kind, topic, _counter(seen.rates[topic]), qos.SENSOR, raw=True)
    return seen


def _counter(rate: Rate) -> Callable[[bytes], None]:
    return lambda message: rate.count(time.monotonic())
