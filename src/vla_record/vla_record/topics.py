"""What is worth recording of one robot: all that replay, training and an inquest need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vla_core.contract import Contract

SOURCES = ("teleoperation", "homing")  # besides the policy, whose commands are the plain topics


@dataclass(frozen=True)
class Topic:
    """A topic to record, relative to the robot's namespace unless it begins with a slash."""

    name: str
    msgtype: str
    qos: str  # by meaning, a name of `vla_ros.qos`


# (name, type, QoS); the stack's own topics, whatever the robot.
STACK = (
    Topic("action_chunk", "vla_interfaces/msg/ActionChunk", "EVENT"),
    Topic("action_correction", "vla_interfaces/msg/ActionCorrection", "EVENT"),
    Topic("inference_request", "vla_interfaces/msg/InferenceRequest", "EVENT"),
    Topic("inference_failure", "vla_interfaces/msg/InferenceFailure", "EVENT"),
    Topic("executor/state", "vla_interfaces/msg/ExecutorState", "EVENT"),
    Topic("policy/state", "vla_interfaces/msg/PolicyState", "STATE"),
    Topic("route", "vla_interfaces/msg/Route", "STATE"),
    Topic("task_lease", "vla_interfaces/msg/TaskLease", "EVENT"),
    Topic("emergency_stop", "vla_interfaces/msg/EmergencyStop", "EVENT"),
    Topic("sim/real_time_factor", "std_msgs/msg/Float64", "SENSOR"),
    # Maps the bag's wall time to the simulated time of the stamps.
    Topic("/clock", "rosgraph_msgs/msg/Clock", "SENSOR"),
    Topic("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", "EVENT"),
    Topic("/rosout", "rcl_interfaces/msg/Log", "EVENT"),
)


def topics_of(contract: Contract, images: bool = True) -> tuple[Topic, ...]:
    """Return every topic to record for a robot, each once; the cameras only if asked for."""
    found = {topic.name: topic for topic in (*_of_robot(contract, images), *STACK)}
    return tuple(found.values())


def _of_robot(contract: Contract, images: bool) -> Iterator[Topic]:
    for image in contract.observation.images.values() if images else ():
        kind = "CompressedImage" if image.transport == "compressed" else "Image"
        yield Topic(image.topic, f"sensor_msgs/msg/{kind}", "SENSOR")
    for stream in contract.observation.state.values():
        yield Topic(stream.topic, stream.type, "SENSOR")
    for output in contract.outputs.values():
        yield Topic(output.topic, output.type, "EVENT")
        for source in SOURCES:
            yield Topic(f"{source}/{output.topic}", output.type, "EVENT")
