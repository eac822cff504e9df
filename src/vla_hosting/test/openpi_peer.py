"""The other side of the wire, with the real openpi-client. Runs in its own environment.

    python openpi_peer.py client <host> <port>    asks a server as openpi's examples do
    python openpi_peer.py server                  serves with openpi-client's encoding

One line of JSON says what was seen.
"""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any

import numpy as np

OBSERVATION = {
    "observation/image": np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3),
    "observation/state": np.array([0.1, 0.2, 0.3], np.float32),
    "prompt": "pick up the red cube",
}


def client(host: str, port: int) -> None:
    from openpi_client.websocket_client_policy import WebsocketClientPolicy

    policy = WebsocketClientPolicy(host, port)
    answers = [policy.infer(OBSERVATION) for _ in range(2)]
    actions = answers[0]["actions"]
    try:
        policy.infer({**OBSERVATION, "observation/state": np.zeros(7)})
        error = ""
    except RuntimeError as refused:
        error = str(refused)
    again = WebsocketClientPolicy(f"ws://{host}", port).infer(OBSERVATION)
    say(
        metadata=sorted(policy.get_server_metadata()),
        actions=actions.tolist(),
        dtype=str(actions.dtype),
        timing=sorted(answers[1]["server_timing"]),
        error=error,
        again=again["actions"].shape,
    )


def server() -> None:
    """Answer as openpi's server does. Source: src/openpi/serving/websocket_policy_server.py."""
    from openpi_client import msgpack_numpy
    from websockets.sync.server import ServerConnection, serve

    packer = msgpack_numpy.Packer()

    def handle(connection: ServerConnection) -> None:
        connection.send(packer.pack({"reset_pose": [0.0, 0.5]}))
        for message in connection:
            try:
                connection.send(packer.pack(answer(msgpack_numpy.unpackb(message))))
            except ValueError:
                connection.send(traceback.format_exc())
                connection.close(1011, "Internal server error.")

    def answer(observation: dict[str, Any]) -> dict[str, Any]:
        if observation["prompt"] == "fail":
            raise ValueError("the real encoding carried this")
        state = observation["observation/state"]
        image = observation["observation/image"]
        actions = np.repeat(state[None], 5, axis=0).astype(np.float32)
        actions[:, 2] = image.sum()
        return {"actions": actions, "server_timing": {"infer_ms": 1.0}}

    with serve(handle, "127.0.0.1", 0, compression=None, max_size=None) as running:
        say(port=running.socket.getsockname()[1])
        running.serve_forever()


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "client":
        client(sys.argv[2], int(sys.argv[3]))
    else:
        server()
