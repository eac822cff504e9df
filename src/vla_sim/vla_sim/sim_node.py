"""The simulated robot: a MuJoCo scene behind the very topics of the real one.

A bridge like every other: watchdog, stop and source selection are those of `vla_bridge`. Beside
the contract's topics it publishes `/clock` and, for tests and demonstrations, what only a
simulation knows.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rosgraph_msgs.msg import Clock as ClockMsg
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float64

from vla_bridge.bridge import BridgeNode, BridgeParams, Floats
from vla_core.errors import NotReadyError, VlaError
from vla_interfaces.srv import JudgeTask, ResetScene
from vla_ros import qos
from vla_ros.diagnostics import ERROR, OK, WARN, Report
from vla_ros.images import compressed_msg, image_msg
from vla_ros.joints import joint_state_msg
from vla_ros.parameters import param, watch
from vla_ros.run import run_node
from vla_ros.stamps import time_msg
from vla_scenes.scene import SCENES, Scene, scene_class
from vla_scenes.world import Look
from vla_sim.simulation import Simulation
from vla_sim.streams import match_streams
from vla_sim.viewer import open_viewer

# Below this an evaluation is not valid: the robot had more time to think than a real one has.
LOWEST_REAL_TIME_FACTOR = 0.98


@dataclass(frozen=True)
class SimParams(BridgeParams):
    """Parameters of the simulated robot, beside those of every bridge."""

    scene: str = param("tabletop", f"Which scene; known: {', '.join(SCENES)}")
    seed: int = param(0, "Of the first scene: same seed, same scene", 0, 2**31)
    publish_objects: bool = param(False, "Publish true object poses: for scripted policies only")
    publish_cameras: bool = param(True, "False: cameras are silent, as if unplugged", live=True)
    viewer: bool = param(False, "Show the scene in a window, where there is a screen")


class SimNode(BridgeNode):
    """Node around `Simulation`: commands in; clock, joints and pictures out."""

    params_class = SimParams
    params: SimParams

    def __init__(self) -> None:
        super().__init__("bridge", own_loop=True)
        self._scene_class = scene_class(self.params.scene)
        self._streams = match_streams(self.contract, self._scene_class)
        self._is_position = np.array([c.is_position for c in self.contract.action.columns])
        self._simulation: Simulation | None = None
        self._crash: BaseException | None = None

        self._clock_topic = self.create_publisher(ClockMsg, "/clock", qos.SENSOR)
        self._factor = self.create_publisher(Float64, "sim/real_time_factor", qos.SENSOR)
        index = self._scene_class.entries.index
        self._sensed = [
            (
                self.create_publisher(JointState, topic, qos.SENSOR),
                names,
                [index(n) for n in names],
            )
            for topic, names in self._streams.measured.items()
        ]
        # Not merely silent: without the permission there is no such topic.
        poses = self._streams.objects if self.params.publish_objects else None
        self._objects = (
            None if poses is None else self.create_publisher(JointState, poses.topic, qos.SENSOR)
        )
        self._images = {
            camera: self.create_publisher(
                Image if stream.transport == "raw" else CompressedImage, stream.topic, qos.SENSOR
            )
            for camera, stream in self._streams.cameras.items()
        }
        self.create_service(ResetScene, "sim/reset_scene", self._on_reset_scene)
        self.create_service(JudgeTask, "sim/judge_task", self._on_judge_task)
        watch(self, self.params, self._on_params)
        self._diagnostics.add("simulation", self._report_simulation)
        # Simulated time may stand still, and then this must still be said.
        self.create_timer(0.5, self._tell_factor, clock=Clock(clock_type=ClockType.STEADY_TIME))

    # The bridge's hooks.

    def connect(self) -> None:
        height, width = self._streams.size
        scene = self._scene_class(self.params.seed, Look(width=width, height=height))
        viewer = None
        if self.params.viewer:
            try:
                viewer = open_viewer(scene)
            except NotReadyError as error:
                self.get_logger().warning(f"no viewer: {error}")
        self._crash = None
        self._simulation = Simulation(scene, self, self.on_frame, self._watched, viewer)
        # The robot exists from now on, though it follows no command before the node is active.
        self._simulation.start()

    def disconnect(self) -> None:
        simulation, self._simulation = self._simulation, None
        if simulation is not None:
            simulation.close()

    # What the simulation tells, in its own threads.

    def targets_now(self, now_ns: int) -> Floats | None:
        positions, velocities = self.targets(now_ns)
        return np.where(self._is_position, positions, velocities)[self._streams.order]

    def on_clock(self, now_ns: int) -> None:
        self._clock_topic.publish(ClockMsg(clock=time_msg(now_ns)))

    def on_joints(self, positions: Floats, velocities: Floats, now_ns: int) -> None:
        for publisher, names, index in self._sensed:
            message = joint_state_msg(now_ns, names, positions[index], velocities[index])
            publisher.publish(message)

    def on_objects(self, poses: dict[str, float], now_ns: int) -> None:
        if self._objects is not None:
            values = np.array(list(poses.values()))
            self._objects.publish(joint_state_msg(now_ns, list(poses), values))

    def on_frame(self, camera: str, pixels: NDArray[np.uint8], now_ns: int) -> None:
        raw = self._streams.cameras[camera].transport == "raw"
        make = image_msg if raw else compressed_msg
        self._images[camera].publish(make(pixels, now_ns, f"{camera}_camera"))

    def on_crash(self, error: BaseException) -> None:
        self._crash = error
        self.get_logger().fatal(f"the simulation failed: {error}")

    def _watched(self) -> list[str]:
        """Return the cameras that somebody listens to: a picture costs 5 to 10 ms of a core."""
        if not self.params.publish_cameras:
            return []
        return [name for name, out in self._images.items() if out.get_subscription_count()]

    # Services.

    def _on_reset_scene(
        self, request: ResetScene.Request, response: ResetScene.Response
    ) -> ResetScene.Response:
        try:
            # The arm is put to its start: what was commanded before is no longer where it is.
            self._running().reset(request.seed, self.forget_commands)
        except VlaError as error:
            response.success, response.message = False, str(error)
            return response
        response.success, response.message = True, f"scene {request.seed}"
        return response

    def _on_judge_task(
        self, request: JudgeTask.Request, response: JudgeTask.Response
    ) -> JudgeTask.Response:
        try:
            response.success = self._running().ask(lambda scene: judge(scene, request.instruction))
            response.known = True
        except VlaError as error:
            response.known, response.message = False, str(error)
        return response

    def _running(self) -> Simulation:
        if self._simulation is None:
            raise NotReadyError("the simulation is not configured yet")
        return self._simulation

    # Parameters, diagnostics.

    def _on_params(self, params: SimParams) -> None:
        if params.publish_cameras != self.params.publish_cameras:
            word = "are back" if params.publish_cameras else "are silent"
            self.get_logger().warning(f"the cameras {word}, as parameter 'publish_cameras' asks")
        self.params = params

    def _tell_factor(self) -> None:
        if self._simulation is not None:
            self._factor.publish(Float64(data=self._simulation.real_time_factor()))

    def _report_simulation(self) -> Report:
        if self._crash is not None:
            return Report(ERROR, f"the simulation failed: {self._crash}", {})
        if self._simulation is None:
            return Report(WARN, "not configured", {})
        factor = self._simulation.real_time_factor()
        values: dict[str, object] = {
            "real_time_factor": f"{factor:.3f}",
            "frames_dropped": self._simulation.frames_dropped,
        }
        if factor < LOWEST_REAL_TIME_FACTOR:
            return Report(WARN, f"slower than real time: {factor:.3f}", values)
        return Report(OK, "in real time", values)


def judge(scene: Scene, instruction: str) -> bool:
    """Return whether an instruction's goal is reached now."""
    scene.set_task(instruction)
    return scene.success()


def main() -> int:
    """Run the node."""
    return run_node(SimNode)


if __name__ == "__main__":
    sys.exit(main())
