"""What a process asks of Linux: memory is reused, and real time is asked for, not demanded."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, threading
from vla_ros.urgency import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def pictures():
    for _ in range(100):
        together = [b"x" * 921_600 for _ in range(4)]
        del together
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
thread = threading.Thread(target=pictures)
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PRIORITY = """
import os, resource, sys, threading
from vla_ros.urgency import go_first
if sys.argv[1] == "forbid":
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    os.setuid(65_534)
policies, told = [], threading.Event()
def tell():
    told.wait()
    policies.append(os.sched_getscheduler(0))
before = threading.Thread(target=tell)
before.start()
answer = go_first()
after = threading.Thread(target=tell)
after.start()
told.set()
before.join()
after.join()
print(answer, {*policies, os.sched_getscheduler(0)} == {os.SCHED_FIFO})
"""

NODE = """
import os, signal
from rclpy.node import Node
from vla_ros.run import run_node
from vla_ros.urgency import go_first
found = []
def note():
    found.append(os.sched_getscheduler(0) == os.SCHED_FIFO)
def make():
    note()
    node = Node("urgent")
    node.create_timer(0.01, lambda: (note(), signal.raise_signal(signal.SIGINT)))
    return node
run_node(make, is_urgent=True)
print(found[:2] == [False, go_first()])
"""


def output(script: str, argument: str) -> str:
    command = [sys.executable, "-c", script, argument]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator than glibc's")
def test_the_pages_of_pictures_are_used_again() -> None:
    fresh, kept = int(output(FAULTS, "as it is")), int(output(FAULTS, "keep"))
    assert kept < 0.2 * fresh, f"{kept} page faults against {fresh}"


def test_all_threads_get_the_real_time_priority_and_the_answer_is_true() -> None:
    answer, is_real_time = output(PRIORITY, "as it is").split()
    assert answer == is_real_time


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take its permission away")
def test_where_it_is_not_permitted_nothing_changes() -> None:
    assert output(PRIORITY, "forbid") == "False False"


def test_a_node_is_made_before_it_goes_first() -> None:
    assert output(NODE, "") == "True"
