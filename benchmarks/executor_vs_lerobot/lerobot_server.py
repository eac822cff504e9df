"""LeRobot's own `PolicyServer` over its own gRPC, with a stopwatch.

    python lerobot_server.py <port> <fps> <rows> <folder>

The subclass only notes times. LeRobot names the policy types that it serves in a list; ours is
added to it, and loaded through LeRobot's mechanism for third-party policies.
"""

from __future__ import annotations

import sys
import time
from concurrent import futures
from pathlib import Path
from typing import Any

from executor_vs_lerobot import lerobot_plugin as plugin  # first: it completes torchvision

import grpc  # isort: skip
import torch  # isort: skip
from lerobot.async_inference.configs import PolicyServerConfig  # isort: skip
from lerobot.async_inference.constants import SUPPORTED_POLICIES  # isort: skip
from lerobot.async_inference.policy_server import PolicyServer  # isort: skip
from lerobot.transport import services_pb2_grpc  # isort: skip


class TimedServer(PolicyServer):
    """Notes `observation's stamp, arrival, start of its turn, end of preparation`."""

    def __init__(self, config: PolicyServerConfig, notes: Path) -> None:
        super().__init__(config)
        self._notes = notes.open("a", buffering=1)
        self._arrived: dict[float, float] = {}

    def _enqueue_observation(self, obs: Any) -> bool:
        self._arrived[obs.get_timestamp()] = time.time()
        return bool(super()._enqueue_observation(obs))

    def _predict_action_chunk(self, observation_t: Any) -> Any:
        stamp, began = observation_t.get_timestamp(), time.time()
        self._began_inference = began
        chunk = super()._predict_action_chunk(observation_t)
        arrived = self._arrived.get(stamp, began)
        self._arrived = {at: t for at, t in self._arrived.items() if at > stamp}
        self._notes.write(f"{stamp!r} {arrived!r} {began!r} {self._began_inference!r}\n")
        return chunk

    def _get_action_chunk(self, observation: Any) -> Any:
        self._began_inference = time.time()
        return super()._get_action_chunk(observation)


def main() -> None:
    """Serve until the process is ended."""
    port, fps, rows, folder = (
        int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    )  # fmt: skip
    torch.set_num_threads(1)
    SUPPORTED_POLICIES.append(plugin.FollowPolicy.name)
    plugin.save_policy(folder / "policy", rows, folder / "inference.txt")
    # No artificial latency: by default the server makes each answer take at least 33 ms.
    config = PolicyServerConfig(host="127.0.0.1", port=port, fps=fps, inference_latency=0.0)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))  # as LeRobot's serve()
    servicer = TimedServer(config, folder / "server.txt")
    services_pb2_grpc.add_AsyncInferenceServicer_to_server(servicer, server)
    server.add_insecure_port(f"{config.host}:{config.port}")
    server.start()
    print("@ready", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
