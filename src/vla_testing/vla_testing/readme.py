"""Keeps prose honest: what a node offers and what its package's README says of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rclpy.action import (
    get_action_client_names_and_types_by_node,
    get_action_server_names_and_types_by_node,
)
from rclpy.node import Node

# What rclpy adds to every node by itself.
_OF_RCLPY = {
    "/clock",
    "/parameter_events",
    "/rosout",
    "~/change_state",
    "~/describe_parameters",
    "~/get_available_states",
    "~/get_available_transitions",
    "~/get_parameter_types",
    "~/get_parameters",
    "~/get_state",
    "~/get_transition_graph",
    "~/get_type_description",
    "~/list_parameters",
    "~/set_parameters",
    "~/set_parameters_atomically",
    "~/transition_event",
}


def interfaces(node: Node) -> set[str]:
    """Return the topics, services and actions of a node, as its README names them."""
    names = [publisher.topic_name for publisher in node.publishers]
    names += [subscription.topic_name for subscription in node.subscriptions]
    names += [service.srv_name for service in node.services]
    names += [client.srv_name for client in node.clients]
    # An action is a waitable, which tells its name only through the graph.
    for of_node in (
        get_action_client_names_and_types_by_node,
        get_action_server_names_and_types_by_node,
    ):
        names += [name for name, _ in of_node(node, node.get_name(), node.get_namespace())]
    return {_relative(node, name) for name in names} - _OF_RCLPY


def undocumented(node: Node, parameters: type, readme: Path, own: set[str]) -> list[str]:
    """Return what the README does not name in backquotes; ``own`` comes from the contract."""
    text = readme.read_text()
    fields = {field.name for field in dataclasses.fields(parameters)}
    return sorted(name for name in (fields | interfaces(node)) - own if f"`{name}`" not in text)


def _relative(node: Node, name: str) -> str:
    space = node.get_namespace().rstrip("/") + "/"
    if name in _OF_RCLPY or name == "/diagnostics":
        return name
    name = name.removeprefix(space)
    private = node.get_name() + "/"
    return "~/" + name.removeprefix(private) if name.startswith(private) else name
