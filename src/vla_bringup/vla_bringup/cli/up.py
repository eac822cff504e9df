"""``vla up robot:=so101 backend:=sim policy:=demo``: the nodes of a robot, until Ctrl-C."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from rich.console import Console

from vla_bringup import paths
from vla_bringup.claim import claim
from vla_bringup.cli.common import add_graph
from vla_bringup.graph import Graph, Options, describe
from vla_bringup.realsense import split
from vla_bringup.runner import Runner


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_graph(parser)
    parser.add_argument("--record", type=Path, metavar="FOLDER", help="record a bag there")
    parser.add_argument("--verbose", action="store_true", help="show the output of all nodes")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where logs go")


def main(arguments: argparse.Namespace) -> int:
    """Run the graph until a signal ends it."""
    graph = graph_from(arguments, record=arguments.record)
    folder = arguments.output or paths.runs() / time.strftime("%Y-%m-%d_%H-%M-%S_up")
    console = Console(highlight=False)

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    names = ", ".join(process.name for process in graph.processes)
    say(f"starting {graph.robot} ({graph.backend}) with policy '{graph.policy}': {names}")
    say(f"logs: {folder / 'log'}    stop with Ctrl-C")
    # What the supervisor says is what a person wants to read; the rest only when asked for.
    show = None if arguments.verbose else ("supervisor",)
    with claim(graph.robot), Runner(graph, folder, say, show) as runner:
        try:
            while True:
                runner.poll()
                time.sleep(0.1)
        except KeyboardInterrupt:
            say("stopping all nodes")
    return 0


def graph_from(
    arguments: argparse.Namespace, record: Path | None = None, pictures: bool = True
) -> Graph:
    """Return the graph that the arguments ask for."""
    return describe(
        arguments.robot,
        arguments.backend,
        arguments.policy,
        paths.root(),
        Options(
            record=record,
            record_images=pictures,
            uri=arguments.uri,
            latency_injected_s=arguments.latency,
            synchronous=arguments.sync,
            viewer=arguments.viewer,
            seed=arguments.seed,
            realsense=split(arguments.realsense),
        ),
    )
