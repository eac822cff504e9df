"""Order of configure and activate, failures, restarts, and what a person decided."""

from __future__ import annotations

from vla_bringup.bring_up import BringUp, Request, State, Transition

CONFIGURE, ACTIVATE = Transition.CONFIGURE, Transition.ACTIVATE
FIRST, SECOND = frozenset({"life 1"}), frozenset({"life 1", "life 2"})


def brought_up(*names: str) -> BringUp:
    """Return a bring-up whose nodes are all active in their first life."""
    up = BringUp(names)
    for name in names:
        up.see_lives(name, FIRST)
        up.see(name, State.ACTIVE)
    return up


def test_configures_every_node_that_is_there_whatever_the_order() -> None:
    up = BringUp(["bridge", "policy"])
    up.see("policy", State.UNCONFIGURED)
    assert up.requests(0.0) == [Request("policy", CONFIGURE)]


def test_activates_in_order_only() -> None:
    up = BringUp(["bridge", "executor"])
    up.see("bridge", State.INACTIVE)
    up.see("executor", State.INACTIVE)
    assert up.requests(0.0) == [Request("bridge", ACTIVATE)]
    up.answered(Request("bridge", ACTIVATE), True, 0.0)
    up.see("bridge", State.ACTIVE)
    assert up.requests(0.0) == [Request("executor", ACTIVATE)]


def test_asks_once_while_a_transition_runs() -> None:
    up = BringUp(["policy"])
    up.see("policy", State.UNCONFIGURED)
    assert up.requests(0.0)
    assert not up.requests(10.0)


def test_waits_to_see_the_new_state_before_it_asks_for_the_next() -> None:
    up = BringUp(["policy"])
    up.see("policy", State.UNCONFIGURED)
    (request,) = up.requests(0.0)
    up.answered(request, True, 0.0)
    assert not up.requests(0.0)
    up.see("policy", State.INACTIVE)
    assert up.requests(0.0) == [Request("policy", ACTIVATE)]


def test_tries_again_after_a_failure_and_waits_longer_each_time() -> None:
    up = BringUp(["policy"])
    up.see("policy", State.UNCONFIGURED)
    (request,) = up.requests(0.0)
    up.answered(request, False, 0.0)
    assert not up.requests(0.9)
    assert up.requests(1.1) == [request]
    up.answered(request, False, 1.1)
    assert not up.requests(2.9)
    assert up.requests(3.2) == [request]


def test_brings_up_a_node_that_was_restarted() -> None:
    up = brought_up("bridge", "executor")
    assert up.see_lives("executor", SECOND)
    up.see("executor", State.UNCONFIGURED)
    assert up.requests(0.0) == [Request("executor", CONFIGURE)]


def test_forgets_a_request_to_a_life_that_has_ended() -> None:
    up = BringUp(["policy"])
    up.see_lives("policy", FIRST)
    up.see("policy", State.UNCONFIGURED)
    (old,) = up.requests(0.0)
    up.see_lives("policy", SECOND)
    up.see("policy", State.UNCONFIGURED)
    assert up.requests(0.0) == [Request("policy", CONFIGURE)]
    up.answered(old, False, 0.0)


def test_leaves_alone_what_a_person_deactivated() -> None:
    up = brought_up("executor")
    up.see("executor", State.INACTIVE)
    assert not up.requests(100.0)


def test_a_node_that_is_out_of_reach_for_a_moment_is_no_restart() -> None:
    up = brought_up("policy")
    up.see("policy", State.UNKNOWN)
    assert not up.see_lives("policy", FIRST)
    assert up.see("policy", State.ACTIVE)
    assert not up.requests(0.0)
    assert up.complete()


def test_says_which_nodes_are_late() -> None:
    up = BringUp(["bridge", "policy"])
    up.see("bridge", State.ACTIVE)
    assert up.waiting_for() == "policy (not reachable)"
