"""The process graph, described once: which nodes run for a robot, a backend and a policy.

Pure: reads the files below ``config/`` and returns values. `runner` and ``launch/robot.launch.py``
are the two front ends that start what is described here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from vla_bringup import simulators
from vla_bringup.realsense import with_realsense
from vla_core.contract import Contract, PolicyConfig, load_contract, load_policy_config
from vla_core.errors import ConfigurationError, MismatchError

# What moves the robot comes first, what only watches last.
AHEAD, BEHIND = -5, 5

Value = bool | int | float | str | list[str]


@dataclass(frozen=True)
class Process:
    """One node in a process of its own."""

    package: str
    executable: str
    name: str  # of the node; unique in the graph
    namespace: str  # with a leading slash
    parameters: Mapping[str, Value] = field(default_factory=dict)
    remappings: Mapping[str, str] = field(default_factory=dict)
    lifecycle: bool = False  # configured and activated by the supervisor
    respawn: bool = True  # started again when it dies
    nice: int = 0  # below 0: ahead of others on a busy machine, where that is permitted
    respawn_delay_s: float = 0.5  # before the first restart; a front end may back off further
    arguments: tuple[str, ...] = ()  # of the command line, before those of ROS


@dataclass(frozen=True)
class Options:
    """What a person may ask of a start beyond robot, backend and policy."""

    record: Path | None = None  # folder for the recorder; None: no recorder
    record_images: bool = True
    uri: str = ""  # where the policy is, instead of what its file says
    latency_injected_s: float | None = None  # None: as the policy file says
    synchronous: bool = False
    viewer: bool = False
    seed: int = 0
    publish_objects: bool | None = None  # None: only if the policy takes them
    realsense: tuple[str, ...] = ()  # image streams of RealSense cameras: stream or stream=serial
    overrides: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)  # by node


@dataclass(frozen=True)
class Graph:
    """Everything that runs for one robot."""

    robot: str
    backend: str
    policy: str
    namespace: str
    contract_files: tuple[str, ...]
    policy_file: str
    use_sim_time: bool
    judge_service: str  # empty: nobody judges
    instructions: tuple[str, ...]  # what the demo does; empty: the backend has no demo
    processes: tuple[Process, ...]

    def process(self, name: str) -> Process:
        """Return the process whose node has this name."""
        for process in self.processes:
            if process.name == name:
                return process
        raise KeyError(f"no node '{name}' in {[p.name for p in self.processes]}")


def describe(
    robot: str, backend: str, policy: str, root: Path, options: Options | None = None
) -> Graph:
    """Return the graph for one robot; nothing is started.

    An empty ``policy`` means the one that the backend usually runs.

    Raises:
        ConfigurationError: unknown robot, backend or policy (the sentence lists the known ones),
            or a file that is wrong.
        MismatchError: the policy is for another robot.
    """
    options = options or Options()
    folder = root / "config" / "robots" / _known("robot", robot, robots(root), root)
    behind = _backend(folder, robot, backend)
    policy = policy or _usual_policy(behind, robot, backend, root)
    policy_file = root / "config" / "policies" / f"{policy}.yaml"
    _known("policy", policy, policies(root), root)
    config = load_policy_config(policy_file)
    if config.robot not in ("", robot):
        raise MismatchError(
            f"policy '{policy}' is for robot '{config.robot}', not for '{robot}'. "
            f"Policies for '{robot}': {policies_for(root, robot)}."
        )
    files = contract_files(root, robot, backend)
    contract = load_contract(files)  # every mistake of it, before anything starts
    behind = _made_from(contract, behind, options)
    graph = Graph(
        robot=robot,
        backend=backend,
        policy=policy,
        namespace=f"/{robot}",
        contract_files=tuple(files),
        policy_file=str(policy_file),
        use_sim_time=bool(behind.get("use_sim_time", False)),
        judge_service=str(behind.get("judge", "")),
        instructions=tuple(behind.get("instructions", ())),
        processes=(),
    )
    return _with_processes(graph, behind, config, root, options)


def robots(root: Path) -> list[str]:
    """Return the robots that have a folder in ``config/robots``."""
    return sorted(p.parent.name for p in (root / "config" / "robots").glob("*/contract.yaml"))


def policies(root: Path) -> list[str]:
    """Return the policies that have a file in ``config/policies``."""
    return sorted(p.stem for p in (root / "config" / "policies").glob("*.yaml"))


def policies_for(root: Path, robot: str) -> list[str]:
    """Return the policies that are for this robot, or for any."""
    return [p for p in policies(root) if _robot_of(root, p) in ("", robot)]


def contract_files(root: Path, robot: str, backend: str) -> list[str]:
    """Return the robot's contract and what the backend lays over it."""
    folder = root / "config" / "robots" / robot
    overlay = _backend(folder, robot, backend).get("overlay")
    return [str(folder / name) for name in ("contract.yaml", overlay) if name]


def backends(root: Path, robot: str) -> list[str]:
    """Return the backends that a robot's folder describes."""
    return sorted(_read(root / "config" / "robots" / robot / "backends.yaml"))


# -- the nodes ------------------------------------------------------------------------------


def _with_processes(
    graph: Graph, behind: Mapping[str, Any], config: PolicyConfig, root: Path, options: Options
) -> Graph:
    own = _read(root / "config" / "robots" / graph.robot / "nodes.yaml", missing={})
    nodes = [
        *_bridges(graph, behind, config, options),
        _policy(graph, root, options),
        _executor(graph, options),
        _router(graph),
    ]
    if options.record is not None:
        nodes.append(_recorder(graph, options.record, options.record_images))
    nodes.append(_supervisor(graph, nodes))
    complete = tuple(
        _with_parameters(
            node,
            use_sim_time=graph.use_sim_time and node.name != "supervisor",
            **own.get(node.name, {}),
            **options.overrides.get(node.name, {}),
        )
        for node in nodes
    )
    return replace(graph, processes=complete)


def _bridges(
    graph: Graph, behind: Mapping[str, Any], config: PolicyConfig, options: Options
) -> list[Process]:
    """Return the backend's own nodes; simulated ones get what only a simulation knows."""
    objects = options.publish_objects
    if objects is None:
        objects = "objects" in config.streams.values()
    found = []
    for node in behind["nodes"]:
        parameters: dict[str, Value] = {}
        if node.get("contract", True):
            parameters["contract_files"] = list(graph.contract_files)
        if node["package"] == "vla_sim":
            parameters |= {
                "seed": options.seed,
                "publish_objects": objects,
                "viewer": options.viewer,
            }
        found.append(
            Process(
                node["package"],
                node["executable"],
                node["name"],
                graph.namespace,
                {**parameters, **node.get("parameters", {})},
                node.get("remappings", {}),
                lifecycle=node.get("lifecycle", False),
                respawn=node.get("respawn", True),
                nice=AHEAD,
                arguments=tuple(node.get("arguments", ())),
            )
        )
    return found


def _made_from(
    contract: Contract, behind: Mapping[str, Any], options: Options
) -> Mapping[str, Any]:
    """Return a backend with the nodes that its file leaves to the contract."""
    if "simulator" in behind:
        made = simulators.backend(behind["simulator"], contract, behind.get("topics", {}))
        behind = {**behind, **made}
    return {**behind, "nodes": with_realsense(behind["nodes"], contract, options.realsense)}


def _policy(graph: Graph, root: Path, options: Options) -> Process:
    parameters: dict[str, Value] = {
        "contract_files": list(graph.contract_files),
        "policy_file": graph.policy_file,
        "root": str(root),
    }
    if options.uri:
        parameters["uri"] = options.uri
    if options.latency_injected_s is not None:
        parameters["latency_injected_s"] = float(options.latency_injected_s)
    return Process(
        "vla_policy", "policy_node", "policy", graph.namespace, parameters, lifecycle=True
    )


def _executor(graph: Graph, options: Options) -> Process:
    parameters: dict[str, Value] = {
        "contract_files": list(graph.contract_files),
        "policy_files": [graph.policy_file],
    }
    if options.synchronous:
        parameters["mode"] = "sync"
    return Process(
        "vla_executor",
        "executor_node",
        "executor",
        graph.namespace,
        parameters,
        lifecycle=True,
        nice=AHEAD,
    )


def _router(graph: Graph) -> Process:
    parameters: dict[str, Value] = {"policy_files": [graph.policy_file]}
    if graph.judge_service:
        parameters["judge_service"] = graph.judge_service
    return Process("vla_router", "router_node", "router", graph.namespace, parameters)


def _recorder(graph: Graph, folder: Path, images: bool) -> Process:
    parameters: dict[str, Value] = {
        "contract_files": list(graph.contract_files),
        "policy_files": [graph.policy_file],
        "directory": str(folder),
        "images": images,
    }
    # Not respawned: a second half of a recording would look like a whole one.
    return Process(
        "vla_record",
        "recorder_node",
        "recorder",
        graph.namespace,
        parameters,
        respawn=False,
        nice=BEHIND,
    )


def _supervisor(graph: Graph, nodes: Iterable[Process]) -> Process:
    """Return the node that brings up the others: the robot first, what commands it last."""
    return Process(
        "vla_bringup",
        "supervisor",
        "supervisor",
        graph.namespace,
        {"nodes": [node.name for node in nodes if node.lifecycle]},
    )


def _with_parameters(process: Process, **parameters: Value) -> Process:
    return replace(process, parameters={**process.parameters, **parameters})


# -- the files ------------------------------------------------------------------------------


def _known(kind: str, name: str, known: list[str], root: Path) -> str:
    if name in known:
        return name
    raise ConfigurationError(
        f"unknown {kind} '{name}'. Known in {root / 'config'}: {known or 'none'}."
    )


def _backend(folder: Path, robot: str, backend: str) -> Mapping[str, Any]:
    known = _read(folder / "backends.yaml")
    if backend not in known:
        raise ConfigurationError(
            f"robot '{robot}' has no backend '{backend}'. "
            f"Described in {folder / 'backends.yaml'}: {sorted(known)}."
        )
    return known[backend]


def _usual_policy(behind: Mapping[str, Any], robot: str, backend: str, root: Path) -> str:
    if "policy" not in behind:
        raise ConfigurationError(
            f"robot '{robot}' with backend '{backend}' has no usual policy. "
            f"Choose one of {policies_for(root, robot)}."
        )
    return str(behind["policy"])


def _robot_of(root: Path, policy: str) -> str:
    return str(_read(root / "config" / "policies" / f"{policy}.yaml").get("robot", ""))


def _read(path: Path, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    if not path.exists() and missing is not None:
        return missing
    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path}: expected keys and values, found {type(found).__name__}")
    return found
