"""Parameters, stamps, numbers and images: values in, the same values out, or a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image, JointState

from vla_core.errors import ChunkError, ConfigurationError, NonFiniteError, ObservationError
from vla_core.types import NS_PER_S
from vla_ros import images, joints
from vla_ros.parameters import declare, param, watch
from vla_ros.stamps import duration_msg, duration_ns, time_msg, time_ns

MS = 1_000_000


@dataclass(frozen=True)
class Params:
    rate_hz: float = param(50.0, "Rate [Hz]", low=1.0, high=100.0)
    latency_s: float = param(float("nan"), "Latency [s]; NaN: the file's", low=0.0, high=9.0)
    files: tuple[str, ...] = param((), "Files")
    modes: tuple[str, ...] = param(("a", "b"), "Modes")
    retries: int = param(3, "Retries", low=0, high=9)
    name: str = param("", "Name")
    speed: float = param(1.0, "Speed scale", low=0.0, high=1.0, live=True)


@pytest.fixture()
def context() -> Iterator[rclpy.context.Context]:
    context = rclpy.context.Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


def node(context: rclpy.context.Context, **overrides: object) -> Node:
    return Node(
        "values",
        context=context,
        parameter_overrides=[Parameter(name, value=value) for name, value in overrides.items()],
    )


def test_declares_defaults_and_overrides(context: rclpy.context.Context) -> None:
    params = declare(node(context, rate_hz=20.0, files=["one", "two"]), Params)
    assert params.rate_hz == 20.0 and params.files == ("one", "two")
    assert params.modes == ("a", "b") and np.isnan(params.latency_s)
    assert declare(node(context), Params).files == ()


def test_describes_each_parameter_with_its_meaning(context: rclpy.context.Context) -> None:
    it = node(context)
    declare(it, Params)
    descriptor = it.describe_parameter("rate_hz")
    assert descriptor.description == "Rate [Hz]" and descriptor.read_only
    assert descriptor.floating_point_range[0].to_value == 100.0


def test_all_wrong_parameters_are_reported_at_once(context: rclpy.context.Context) -> None:
    wrong = node(context, rate_hz=500.0, latency_s=-1.0, retries=77, name=3)
    with pytest.raises(ConfigurationError) as caught:
        declare(wrong, Params)
    text = str(caught.value)
    assert "'rate_hz' (Rate [Hz]): expected float from 1.0 to 100.0, got 500.0" in text
    assert "'latency_s'" in text and "got -1.0" in text
    assert "'retries'" in text and "'name'" in text


def test_an_integer_for_a_float_is_refused_with_what_was_given(
    context: rclpy.context.Context,
) -> None:
    with pytest.raises(ConfigurationError, match=r"'rate_hz'.*expected float.*got 50 "):
        declare(node(context, rate_hz=50), Params)


def test_only_live_parameters_change_while_running(context: rclpy.context.Context) -> None:
    it = node(context)
    seen: list[float] = []
    watch(it, declare(it, Params), lambda params: seen.append(params.speed))
    results = it.set_parameters(
        [
            Parameter("speed", value=0.5),
            Parameter("speed", value=2.0),
            Parameter("rate_hz", value=5.0),
        ]
    )
    assert [r.successful for r in results] == [True, False, False]
    assert seen == [0.5]


@pytest.mark.parametrize("ns", [0, 1, 1_700_000_000_123_456_789])
def test_stamps_survive(ns: int) -> None:
    assert time_ns(time_msg(ns)) == ns


@pytest.mark.parametrize("ns", [0, -1, 20 * MS, -3 * NS_PER_S - 5])
def test_durations_survive(ns: int) -> None:
    assert duration_ns(duration_msg(ns)) == ns


def test_joint_states_are_read_by_name() -> None:
    msg = JointState(name=["b", "x", "a"], position=[2.0, 9.0, 1.0])
    assert joints.entries_from_msg(msg, "position", ["a", "b"]).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("names", "positions", "text"),
    [
        (["a"], [1.0], r"expected \['a', 'b'\]"),
        (["a", "b", "b"], [1.0, 2.0, 3.0], "each once"),
        (["a", "b"], [1.0], "2 names but 1 values"),
        (["a", "b"], [1.0, float("nan")], "'b' is not finite"),
    ],
)
def test_wrong_joint_states_are_refused(
    names: list[str], positions: list[float], text: str
) -> None:
    msg = JointState(name=names, position=positions)
    with pytest.raises(ObservationError, match=text):
        joints.entries_from_msg(msg, "position", ["a", "b"])


def test_trajectories_survive_in_any_order_of_joints() -> None:
    q = np.arange(6.0).reshape(3, 2)
    msg = joints.trajectory_msg(5, ["a", "b"], [20 * MS, 40 * MS, 60 * MS], q, q + 10, q + 20)
    times, p, v, a = joints.trajectory_arrays(msg, ["b", "a"])
    assert times.tolist() == [20 * MS, 40 * MS, 60 * MS]
    np.testing.assert_array_equal(p, q[:, ::-1])
    np.testing.assert_array_equal(v, q[:, ::-1] + 10)
    np.testing.assert_array_equal(a, q[:, ::-1] + 20)


def test_wrong_trajectories_are_refused() -> None:
    q = np.zeros((2, 2))
    good = joints.trajectory_msg(0, ["a", "b"], [0, 1], q, q, q)
    with pytest.raises(ChunkError, match="expected \\['a', 'c'\\]"):
        joints.trajectory_arrays(good, ["a", "c"])
    backwards = joints.trajectory_msg(0, ["a", "b"], [1, 1], q, q, q)
    with pytest.raises(ChunkError, match="increase"):
        joints.trajectory_arrays(backwards, ["a", "b"])
    q[1, 0] = np.nan
    with pytest.raises(NonFiniteError):
        joints.trajectory_arrays(joints.trajectory_msg(0, ["a", "b"], [0, 1], q, q, q), ["a", "b"])


def test_twists_carry_the_named_fields() -> None:
    fields = ("linear.x", "angular.z")
    msg = joints.twist_msg(fields, np.array([0.5, -0.2]))
    assert (msg.linear.x, msg.linear.y, msg.angular.z) == (0.5, 0.0, -0.2)
    assert joints.twist_values(msg, fields).tolist() == [0.5, -0.2]


PICTURE = np.zeros((4, 6, 3), np.uint8)
PICTURE[:, :2] = (200, 30, 10)  # red, left
PICTURE[:, 2:4] = (20, 180, 40)
PICTURE[:, 4:] = (10, 50, 220)


def raw(encoding: str, pixels: np.ndarray, padding: int = 0, big: bool = False) -> Image:
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(pixels.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    return Image(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=int(big),
        step=rows.shape[1],
        data=array("B", rows.tobytes()),
    )


ALPHA = np.full((4, 6, 1), 255, np.uint8)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("rgb8", PICTURE),
        ("bgr8", PICTURE[:, :, ::-1]),
        ("rgba8", np.concatenate([PICTURE, ALPHA], axis=2)),
        ("bgra8", np.concatenate([PICTURE[:, :, ::-1], ALPHA], axis=2)),
    ],
)
def test_colours_come_out_as_rgb_whatever_the_padding(
    encoding: str, pixels: np.ndarray, padding: int
) -> None:
    np.testing.assert_array_equal(images.image_from_msg(raw(encoding, pixels, padding)), PICTURE)


def yuv(first: str) -> np.ndarray:
    # BT.601 studio range of each pixel pair, written out so as not to use the decoder's library.
    r, g, b = (PICTURE[:, :, i].astype(float) for i in range(3))
    y = 16 + 0.257 * r + 0.504 * g + 0.098 * b
    u = (128 - 0.148 * r - 0.291 * g + 0.439 * b)[:, ::2]
    v = (128 + 0.439 * r - 0.368 * g - 0.071 * b)[:, ::2]
    chroma = np.stack([u, v], axis=2).reshape(y.shape)
    pair = [chroma, y] if first == "u" else [y, chroma]
    return np.stack(pair, axis=2).round().astype(np.uint8)


@pytest.mark.parametrize(
    ("encoding", "first"),
    [("yuv422", "u"), ("uyvy", "u"), ("yuv422_yuy2", "y"), ("yuyv", "y")],
)
def test_both_orders_of_yuv_give_the_same_colours(encoding: str, first: str) -> None:
    found = images.image_from_msg(raw(encoding, yuv(first)))
    assert np.abs(found.astype(int) - PICTURE).max() <= 3


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_patterns_give_red_for_red(pattern: str) -> None:
    colour = {"r": 200, "g": 30, "b": 10}
    tile = np.array([colour[c] for c in pattern], np.uint8).reshape(2, 2)
    found = images.image_from_msg(raw(f"bayer_{pattern}8", np.tile(tile, (4, 4))[:, :, None]))
    assert found[4, 4].tolist() == [200, 30, 10]


def test_gray_images_become_three_equal_channels() -> None:
    gray = np.arange(24, dtype=np.uint8).reshape(4, 6, 1) * 10
    expected = np.repeat(gray, 3, axis=2)
    np.testing.assert_array_equal(images.image_from_msg(raw("mono8", gray)), expected)
    wide = (gray.astype("u2") * 256).astype(">u2")
    np.testing.assert_array_equal(images.image_from_msg(raw("mono16", wide, big=True)), expected)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("encoding", "channels"),
    [
        ("rgb16", [0, 1, 2]),
        ("bgr16", [2, 1, 0]),
        ("rgba16", [0, 1, 2, 0]),
        ("bgra16", [2, 1, 0, 0]),
    ],
)
def test_sixteen_bit_colours_keep_their_higher_byte_in_either_byte_order(
    encoding: str, channels: list[int], big: bool
) -> None:
    wide = PICTURE[:, :, channels].astype(np.uint16) * 256 + 77
    msg = raw(encoding, wide.astype(">u2" if big else "<u2"), padding=6, big=big)
    np.testing.assert_array_equal(images.image_from_msg(msg), PICTURE)


def test_every_pixel_comes_from_the_byte_that_the_encoding_names() -> None:
    def colour(encoding: str, data: list[int], big: bool = False) -> list[int]:
        msg = Image(height=1, width=1, encoding=encoding, is_bigendian=big, step=len(data))
        msg.data = array("B", data)
        return [int(value) for value in images.image_from_msg(msg)[0, 0]]

    assert colour("rgb8", [1, 2, 3, 99]) == [1, 2, 3]
    assert colour("bgr8", [1, 2, 3]) == [3, 2, 1]
    assert colour("8UC3", [1, 2, 3]) == [1, 2, 3]
    assert colour("rgba8", [1, 2, 3, 4]) == [1, 2, 3]
    assert colour("bgra8", [1, 2, 3, 4]) == [3, 2, 1]
    assert colour("mono8", [7]) == colour("8UC1", [7, 0]) == [7, 7, 7]
    assert colour("mono16", [0, 9]) == colour("mono16", [9, 0], big=True) == [9, 9, 9]
    assert colour("bgr16", [0, 1, 0, 2, 0, 3]) == [3, 2, 1]


@pytest.mark.parametrize("big", [False, True])
def test_depth_is_read_through_padding_in_either_byte_order(big: bool) -> None:
    order = ">" if big else "<"
    millimetres = np.array([[1000, 2000], [3000, 4000]], f"{order}u2")[:, :, None]
    wanted = [[1.0, 2.0], [3.0, 4.0]]
    assert images.depth_from_msg(raw("16UC1", millimetres, 6, big)) == pytest.approx(
        np.array(wanted)
    )
    metres = np.array(wanted, f"{order}f4")[:, :, None]
    assert images.depth_from_msg(raw("32FC1", metres, 3, big)) == pytest.approx(np.array(wanted))


def test_cv_bridge_is_asked_for_what_we_do_not_know_and_only_for_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class CvBridge:
        def imgmsg_to_cv2(self, msg: Image, wanted: str) -> np.ndarray:
            if msg.encoding != "nv21" or wanted != "rgb8":
                raise RuntimeError(f"asked for {msg.encoding} as {wanted}")
            return PICTURE

    stand_in = types.ModuleType("cv_bridge")
    monkeypatch.setattr(stand_in, "CvBridge", CvBridge, raising=False)
    monkeypatch.setitem(sys.modules, "cv_bridge", stand_in)
    np.testing.assert_array_equal(images.image_from_msg(raw("nv21", PICTURE)), PICTURE)
    np.testing.assert_array_equal(images.image_from_msg(raw("rgb8", PICTURE)), PICTURE)
    with pytest.raises(ObservationError, match="'nv99': asked for nv99"):
        images.image_from_msg(raw("nv99", PICTURE))


def test_depth_is_in_metres_and_nothing_is_nan() -> None:
    millimetres = np.array([[1000, 0], [250, 65535]], "<u2")[:, :, None]
    depth = images.depth_from_msg(raw("16UC1", millimetres))
    assert depth[0, 0] == 1.0 and np.isnan(depth[0, 1]) and depth[1, 0] == 0.25
    metres = np.array([[1.5, np.inf]], "<f4")[:, :, None]
    depth = images.depth_from_msg(raw("32FC1", metres))
    assert depth[0, 0] == 1.5 and np.isnan(depth[0, 1])


def test_published_images_survive_raw_and_nearly_so_as_jpeg() -> None:
    np.testing.assert_array_equal(images.image_from_msg(images.image_msg(PICTURE, 7)), PICTURE)
    smooth = cv2.resize(PICTURE, (96, 64), interpolation=cv2.INTER_LINEAR)
    found = images.image_from_msg(images.compressed_msg(smooth, 7))
    assert np.abs(found.astype(int) - smooth).mean() < 6
    bgr_confused = np.abs(found[:, :, ::-1].astype(int) - smooth).mean()
    assert bgr_confused > 30


def test_broken_images_are_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv_bridge", None)  # as where it is not installed
    with pytest.raises(ObservationError, match=r"encoding 'nv99' is unknown; known: \[.*'yuyv'\]"):
        images.image_from_msg(raw("nv99", PICTURE))
    short = raw("rgb8", PICTURE)
    short.data = short.data[:20]
    with pytest.raises(ObservationError, match="expected 4 rows of at least 18 bytes, got 20"):
        images.image_from_msg(short)
    with pytest.raises(ObservationError, match="cannot be decoded"):
        images.image_from_msg(CompressedImage(format="jpeg", data=array("B", b"nonsense")))


def test_the_ros_side_imports_no_torch() -> None:
    code = (
        "import sys, vla_ros.images, vla_ros.joints, vla_ros.run, vla_ros.ticker, "
        "vla_ros.diagnostics; sys.exit('torch' in sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=env, timeout=30).returncode == 0
