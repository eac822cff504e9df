"""Runs one node as a process: clean end on SIGINT and SIGTERM, exit codes that mean something."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from vla_core.errors import VlaError
from vla_ros.lifecycle import ManagedNode
from vla_ros.quick import QuickTopics
from vla_ros.urgency import go_first, keep_freed_memory

OK, CRASHED, REFUSED = 0, 1, 2
# ros2 launch passes on a Ctrl-C that the terminal has already sent to every process.
SAME_SIGNAL_S = 1.0
SWITCH_INTERVAL_S = 0.001  # Python's 5 ms would be the jitter of every thread that ticks


def run_node(
    make: Callable[[], Node], args: Sequence[str] | None = None, is_urgent: bool = False
) -> int:
    """Spin the node that ``make`` returns until a signal; return the exit code.

    0: ended by a signal; 1: an exception escaped from a callback; 2: the node refused to start
    (configuration), with the reason in the log. Another signal after a second kills.
    ``is_urgent``: with a real-time priority where that is permitted.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    keep_freed_memory()
    # rclpy's own handlers shut the context down first, and then no stop could be sent any more.
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor()
    ended = _end_on_signal(executor)
    node: Node | None = None
    quick: QuickTopics | None = None
    try:
        node = make()
        _forget_start_up()
        # Not earlier: to start takes a core for a second, which is not to be missed by others.
        if is_urgent and not go_first():
            node.get_logger().info(
                "no real-time priority (limits.conf: rtprio): a busy machine delays the ticks"
            )
        executor.add_node(node)
        quick = QuickTopics(node, lambda error: executor.create_task(_raise, error))
        while not ended.is_set():
            executor.spin_once()
        return OK
    except VlaError as error:
        get_logger("vla").fatal(f"cannot start: {error}")
        return REFUSED
    except Exception:
        get_logger("vla").fatal(traceback.format_exc())
        return CRASHED
    finally:
        _kill_on_another_signal()
        if node is not None:
            _take_down(node, quick)
        executor.shutdown(timeout_sec=1.0)
        rclpy.try_shutdown()


def _forget_start_up() -> None:
    """Exempt what imports have left from garbage collection: 54 000 objects in the executor.

    A full collection looks at each of them, for 40 ms and more in which nothing ticks.
    """
    gc.collect()
    gc.freeze()


def _kill_on_another_signal() -> None:
    since = time.monotonic()

    def kill(number: int, _: object) -> None:
        if time.monotonic() - since > SAME_SIGNAL_S:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, kill)


def _raise(error: BaseException) -> None:
    raise error


def _take_down(node: Node, quick: QuickTopics | None) -> None:
    try:
        if isinstance(node, ManagedNode):
            node.take_down()
        if quick is not None:
            quick.stop()
        node.destroy_node()
    except Exception:
        get_logger("vla").error(f"while ending:\n{traceback.format_exc()}")


def _end_on_signal(executor: SingleThreadedExecutor) -> threading.Event:
    """Set an event on SIGINT or SIGTERM at once, though the main thread waits inside ROS.

    Python runs its handlers only when the main thread is back in Python; the wake-up descriptor
    is written by the C handler itself, and a thread that reads it wakes the executor.
    """
    ended = threading.Event()
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())

    def wait() -> None:
        os.read(read_end, 1)
        ended.set()
        executor.create_task(lambda: None)

    threading.Thread(target=wait, name="signals", daemon=True).start()
    return ended
