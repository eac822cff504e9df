"""The peer of `wire.py`: openpi's own client and encoding, in an environment that has them.

    python wire_peer.py client <port>    asks once per line of input, prints the overhead [s]
    python wire_peer.py server           serves as openpi's asyncio server does

Source: openpi-client 0.1.2; openpi, src/openpi/serving/websocket_policy_server.py.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import numpy as np

RANDOM = np.random.default_rng(0)
OBSERVATION = {
    "observation/images/front": RANDOM.integers(0, 256, (480, 640, 3), np.uint8),
    "observation/images/wrist": RANDOM.integers(0, 256, (480, 640, 3), np.uint8),
    "observation/state/joints": np.zeros(6),
    "prompt": "pick up the red cube",
}


def client(port: int) -> None:
    from openpi_client.websocket_client_policy import WebsocketClientPolicy

    policy = WebsocketClientPolicy("127.0.0.1", port)
    for _ in sys.stdin:
        started_s = time.perf_counter()
        answer = policy.infer(OBSERVATION)
        total_s = time.perf_counter() - started_s
        print(total_s - answer["server_timing"]["infer_ms"] / 1e3, flush=True)


async def server() -> None:
    from openpi_client import msgpack_numpy
    from websockets.asyncio.server import ServerConnection, serve

    packer = msgpack_numpy.Packer()

    async def handle(connection: ServerConnection) -> None:
        await connection.send(packer.pack({}))
        async for message in connection:
            await connection.send(packer.pack(answer(msgpack_numpy.unpackb(message))))

    def answer(observation: dict[str, Any]) -> dict[str, Any]:
        started_s = time.perf_counter()
        actions = np.repeat(observation["observation/state/joints"][None], 8, axis=0)
        infer_ms = (time.perf_counter() - started_s) * 1e3
        return {"actions": actions, "server_timing": {"infer_ms": infer_ms}}

    async with serve(handle, "127.0.0.1", 0, compression=None, max_size=None) as running:
        print(running.sockets[0].getsockname()[1], flush=True)
        await running.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "client":
        client(int(sys.argv[2]))
    else:
        asyncio.run(server())
