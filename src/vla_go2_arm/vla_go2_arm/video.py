"""The front camera's H.264: from the robot's topic, or from its multicast, to pictures.

Source of the addresses: Unitree's multimedia service, 1280x720 as RTP to 230.1.1.1:1720.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import NotReadyError

Pixels = NDArray[np.uint8]

MULTICAST = "230.1.1.1:1720"
# Waits for the first and for each next packet [s].
OPEN_WITHIN_S, NEXT_WITHIN_S = 5.0, 2.0
_SDP = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=front camera
c=IN IP4 {host}
t=0 0
m=video {port} RTP/AVP 96
a=rtpmap:96 H264/90000
"""


class H264Decoder:
    """Decodes a stream that may be joined in the middle, frame by frame."""

    def __init__(self) -> None:
        from av import CodecContext  # libav is loaded by those who decode, and nobody else

        self._codec = CodecContext.create("h264", "r")
        self._codec.thread_count = 1  # more of them hold frames back
        self.broken = 0  # pieces that could not be decoded

    def decode(self, data: bytes) -> list[Pixels]:
        """Return the pictures (H, W, 3) RGB that one piece completes; none before a key frame."""
        from av import FFmpegError, Packet

        try:
            frames = self._codec.decode(Packet(data))
        except FFmpegError:
            self.broken += 1
            return []
        return [frame.to_ndarray(format="rgb24") for frame in frames]


def multicast_frames(address: str, interface: str) -> Iterator[Pixels]:
    """Yield pictures (H, W, 3) RGB of an RTP stream until it ends.

    Args:
        address: host:port of the stream.
        interface: IP address of this machine on the robot's network; empty: the system's choice.

    Raises:
        NotReadyError: nothing comes, or it is no H.264.
    """
    import av

    host, _, port = address.partition(":")
    # PyAV takes the description of a stream only from a file.
    with tempfile.TemporaryDirectory() as folder:
        description = Path(folder) / "front.sdp"
        description.write_text(_SDP.format(host=host, port=port))
        options = {
            "protocol_whitelist": "file,udp,rtp",
            "fflags": "nobuffer",
            "analyzeduration": "500000",
            **({"localaddr": interface} if interface else {}),
        }
        waits = (OPEN_WITHIN_S, NEXT_WITHIN_S)
        try:
            with av.open(str(description), format="sdp", options=options, timeout=waits) as stream:
                for frame in stream.decode(video=0):
                    yield frame.to_ndarray(format="rgb24")
        except (av.FFmpegError, IndexError) as error:
            raise NotReadyError(
                f"no H.264 from {address} on interface '{interface or 'any'}': {error}. Is this "
                "machine on the robot's network, and 'interface' its address there?"
            ) from error
