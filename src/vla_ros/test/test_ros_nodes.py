"""Lifecycle, ticker, diagnostics and the end of a process, with real rclpy in one process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String

from vla_core.errors import ConfigurationError
from vla_ros import qos
from vla_ros.diagnostics import ERROR, OK, WARN, Diagnostics, Meter, Report, with_skew
from vla_ros.lifecycle import ManagedNode
from vla_ros.quick import QuickGroup, QuickTopics
from vla_ros.stamps import time_msg
from vla_ros.ticker import Ticker

MS = 1_000_000


@pytest.fixture()
def spun() -> Iterator[SingleThreadedExecutor]:
    rclpy.init()
    executor = SingleThreadedExecutor()
    yield executor
    for node in executor.get_nodes():
        node.destroy_node()
    executor.shutdown(timeout_sec=1.0)
    rclpy.try_shutdown()


def until(executor: SingleThreadedExecutor, reached: Callable[[], object], what: str) -> None:
    """Spin until ``reached`` holds; fail with ``what`` after 10 s."""
    end = time.monotonic() + 10.0
    while not reached():
        assert time.monotonic() < end, f"not within 10 s: {what}"
        executor.spin_once(timeout_sec=0.02)


class Steps(ManagedNode):
    """Writes down its steps; raises where told."""

    def __init__(self, fails: str = "", error: Exception | None = None) -> None:
        super().__init__("steps")
        self.log: list[str] = []
        self._fails, self._error = fails, error or RuntimeError("broken")
        self.commands = self.create_lifecycle_publisher(String, "commands", qos.EVENT)

    def _step(self, name: str) -> None:
        self.log.append(name)
        if name == self._fails:
            raise self._error

    def on_load(self) -> None:
        self._step("load")

    def on_start(self) -> None:
        self._step("start")

    def on_stop(self) -> None:
        self.commands.publish(String(data="stop"))
        self._step("stop")

    def on_release(self) -> None:
        self._step("release")


def test_walks_through_its_states(spun: SingleThreadedExecutor) -> None:
    node = Steps()
    spun.add_node(node)
    node.trigger_configure()
    node.trigger_activate()
    assert node.state_label == "active" and node.is_active
    node.trigger_deactivate()
    node.trigger_cleanup()
    assert node.state_label == "unconfigured" and not node.is_active
    assert node.log == ["load", "start", "stop", "release"]


def test_the_stop_is_sent_before_publishers_go_inactive(spun: SingleThreadedExecutor) -> None:
    node = Steps()
    spun.add_node(node)
    heard: list[str] = []
    node.create_subscription(String, "commands", lambda m: heard.append(m.data), qos.EVENT)
    node.trigger_configure()
    node.trigger_activate()
    until(spun, node.commands.get_subscription_count, "the subscription is matched")
    node.trigger_deactivate()
    until(spun, lambda: heard == ["stop"], "the stop arrives")


@pytest.mark.parametrize(
    ("fails", "state", "log"),
    [
        ("load", "unconfigured", ["load", "release"]),
        ("start", "inactive", ["load", "start", "stop"]),
        ("stop", "unconfigured", ["load", "start", "stop", "stop", "release"]),
    ],
)
def test_a_failing_step_ends_in_a_clean_state(
    spun: SingleThreadedExecutor, fails: str, state: str, log: list[str]
) -> None:
    node = Steps(fails)
    spun.add_node(node)
    node.trigger_configure()
    if fails != "load":
        node.trigger_activate()
    if fails == "stop":
        node.trigger_deactivate()
    assert node.state_label == state
    assert node.log == log


def test_a_failing_step_is_logged_with_its_traceback(
    spun: SingleThreadedExecutor, capfd: pytest.CaptureFixture[str]
) -> None:
    node = Steps("load")
    node.trigger_configure()
    refusing = Steps("load", ConfigurationError("no contract"))
    refusing.trigger_configure()
    text = capfd.readouterr().err
    assert "cannot configure" in text and "in _step" in text and "RuntimeError: broken" in text
    assert "cannot configure: no contract" in text
    node.destroy_node()
    refusing.destroy_node()


def test_an_impossible_transition_is_refused_and_the_node_lives(
    spun: SingleThreadedExecutor,
) -> None:
    node = Steps()
    spun.add_node(node)
    client = node.create_client(ChangeState, "steps/change_state")
    until(spun, client.service_is_ready, "the service is there")
    for wanted in (
        Transition(id=Transition.TRANSITION_ACTIVATE),
        Transition(label="dance"),
    ):
        future = client.call_async(ChangeState.Request(transition=wanted))
        until(spun, future.done, "the answer")
        assert not future.result().success
    future = client.call_async(
        ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
    )
    until(spun, future.done, "the answer")
    assert future.result().success and node.state_label == "inactive"


def test_ticks_on_an_absolute_schedule(spun: SingleThreadedExecutor) -> None:
    node = Node("ticking")
    spun.add_node(node)
    times: list[int] = []
    done = threading.Event()

    def tick(now_ns: int, steady_ns: int | None) -> None:
        times.append(now_ns)
        if len(times) == 20:
            done.set()

    ticker = Ticker(node, 5 * MS, tick)
    ticker.start()
    assert done.wait(5.0), "no 20 ticks within 5 s"
    ticker.stop()
    steps = [b - a for a, b in pairwise(times)]
    # Ticks are due at whole periods, whatever the kernel did; a busy machine skips whole ones.
    assert all(abs((step + MS) % (5 * MS) - MS) < MS for step in steps)
    assert ticker.period_error_s()[0] < 0.005


def test_ticks_at_multiples_of_the_step_in_simulated_time(spun: SingleThreadedExecutor) -> None:
    node = Node("simulated", parameter_overrides=[Parameter("use_sim_time", value=True)])
    other = Node("world")
    for it in (node, other):
        spun.add_node(it)
    clock = other.create_publisher(Clock, "/clock", qos.COMMAND)
    until(spun, clock.get_subscription_count, "the clock is matched")
    ticks: list[int] = []
    ticker = Ticker(node, 20 * MS, lambda now_ns, _: ticks.append(now_ns))
    ticker.start()
    for ms in (10, 20, 30, 40, 47, 95, 215):
        clock.publish(Clock(clock=time_msg(ms * MS)))
        until(spun, lambda: node.get_clock().now().nanoseconds == ms * MS, "the time")  # noqa: B023
        want = [t * MS for t in (20, 40, 60, 80, 160, 180, 200) if t <= ms]
        until(spun, lambda: ticks == want, f"ticks {want}, got {ticks}")  # noqa: B023
    ticker.stop()
    assert ticker.missed == 3  # 100, 120 and 140 ms: only two are made up for


def test_a_crash_of_the_tick_is_told_once(spun: SingleThreadedExecutor) -> None:
    node = Node("crashing")
    spun.add_node(node)
    crashed = threading.Event()

    def tick(_: int, __: int | None) -> None:
        raise RuntimeError("bad tick")

    ticker = Ticker(node, MS, tick, on_crash=crashed.set)
    ticker.start()
    assert crashed.wait(5.0), "the crash was not told"
    ticker.stop()


def test_diagnostics_carry_rate_and_age(spun: SingleThreadedExecutor) -> None:
    node = Node("watched", namespace="so101")
    spun.add_node(node)
    heard: list[DiagnosticArray] = []
    node.create_subscription(DiagnosticArray, "/diagnostics", heard.append, qos.EVENT)
    diagnostics = Diagnostics(node)
    meter = Meter()
    diagnostics.add("input joints", meter.report)
    until(spun, diagnostics._publisher.get_subscription_count, "the subscription is matched")
    meter.seen(20 * MS)
    diagnostics.publish()

    def found() -> list[DiagnosticStatus]:
        # The topic is global: another system's statuses may come, too.
        statuses = [status for msg in heard for status in msg.status]
        return [s for s in statuses if s.name == "so101/watched: input joints"]

    until(spun, found, "the diagnostics arrive")
    status = found()[0]
    values = {v.key: float(v.value) for v in status.values}
    assert values["delay_s"] == 0.02 and values["rate_hz"] > 0


PROGRAM = """
import gc
import sys
from rclpy.node import Node
from vla_core.errors import ConfigurationError
from vla_ros.lifecycle import ManagedNode
from vla_ros.run import run_node

class Ends(ManagedNode):
    def __init__(self):
        super().__init__("ends")
        if "refuse" in sys.argv:
            raise ConfigurationError("the contract is missing")
        if "crash" in sys.argv:
            self.create_timer(0.01, lambda: 1 / 0)
        self.trigger_configure()
        self.trigger_activate()
        # Once it spins, a garbage collection finds nothing of the start.
        self.create_timer(0.01, lambda: gc.get_freeze_count() and print("ready", flush=True))
    def on_stop(self):
        print("stopped", flush=True)
    def on_release(self):
        print("released", flush=True)

sys.exit(run_node(Ends))
"""


def started(*arguments: str) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_and_releases(number: signal.Signals) -> None:
    process = started()
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert out.replace("ready\n", "") == "stopped\nreleased\n"
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("how", "code", "text"),
    [("refuse", 2, "cannot start: the contract is missing"), ("crash", 1, "ZeroDivisionError")],
)
def test_other_ends_have_their_own_exit_code(how: str, code: int, text: str) -> None:
    process = started(how)
    out, err = process.communicate(timeout=20)
    assert process.returncode == code, err
    assert text in err
    if how == "crash":
        assert out.endswith("stopped\nreleased\n")


def test_quick_topics_are_heard_in_their_own_thread(spun: SingleThreadedExecutor) -> None:
    node = Node("quick", parameter_overrides=[Parameter("use_sim_time", value=True)])
    other = Node("world")
    for it in (node, other):
        spun.add_node(it)
    threads: list[str] = []

    def hear(_: String) -> None:
        threads.append(threading.current_thread().name)

    node.create_subscription(String, "early", hear, qos.SENSOR, callback_group=QuickGroup())
    crashes: list[BaseException] = []
    quick = QuickTopics(node, crashes.append)
    late = node.create_subscription(String, "late", hear, qos.EVENT, callback_group=QuickGroup())
    early, later, clock = (
        other.create_publisher(kind, topic, qos.EVENT)
        for kind, topic in ((String, "early"), (String, "late"), (Clock, "/clock"))
    )
    for publisher in (early, later, clock):
        until(spun, publisher.get_subscription_count, "the topic is matched")
    until(spun, lambda: late.callback_group.is_taken, "the later one is taken over")
    # Else the executor would wake up, and turn in circles, for data that is not its own.
    for subscription in node.subscriptions:
        for event in subscription.event_handlers:
            assert event.callback_group is subscription.callback_group
    early.publish(String())
    later.publish(String())
    until(spun, lambda: len(threads) == 2, "both are heard")
    assert threads == ["topics", "topics"]
    clock.publish(Clock(clock=time_msg(70 * MS)))
    until(spun, lambda: node.get_clock().now().nanoseconds == 70 * MS, "the time")
    node.destroy_subscription(late)
    early.publish(String())
    until(spun, lambda: len(threads) == 3, "the rest is still heard")
    quick.stop()
    assert not crashes


def test_the_clock_is_heard_by_the_executor_until_the_thread_takes_over(
    spun: SingleThreadedExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node("quick", parameter_overrides=[Parameter("use_sim_time", value=True)])
    spun.add_node(node)
    clock = node.create_publisher(Clock, "/clock", qos.EVENT)
    monkeypatch.setattr(QuickTopics, "_serve", lambda self, known: time.sleep(0.01))  # not yet
    quick = QuickTopics(node, lambda crash: None)
    until(spun, clock.get_subscription_count, "the topic is matched")
    clock.publish(Clock(clock=time_msg(70 * MS)))
    until(spun, lambda: node.get_clock().now().nanoseconds == 70 * MS, "the time")
    quick.stop()


def test_a_crash_in_a_quick_topic_is_told(spun: SingleThreadedExecutor) -> None:
    node = Node("quick")
    spun.add_node(node)
    node.create_subscription(
        String, "early", lambda _: 1 / 0, qos.EVENT, callback_group=QuickGroup()
    )
    crashes: list[BaseException] = []
    quick = QuickTopics(node, crashes.append)
    publisher = node.create_publisher(String, "early", qos.EVENT)
    until(spun, publisher.get_subscription_count, "the topic is matched")
    publisher.publish(String())
    until(spun, lambda: crashes, "the crash is told")
    assert isinstance(crashes[0], ZeroDivisionError)
    quick.stop()


def test_streams_too_far_apart_are_a_warning_unless_something_is_worse() -> None:
    fine, broken = Report(OK, "20 Hz", {"rate_hz": "20"}), Report(ERROR, "silent", {})
    assert with_skew(fine, None, 100 * MS) == fine
    near = with_skew(fine, (50 * MS, "wrist"), 100 * MS)
    assert near.level == OK and near.values["skew_s"] == "0.050" and near.values["rate_hz"] == "20"
    far = with_skew(fine, (200 * MS, "wrist"), 100 * MS)
    assert far.level == WARN and far.message == "0.200 s apart from 'wrist'"
    assert with_skew(broken, (200 * MS, "wrist"), 100 * MS).message == "silent"
