"""Decides which lifecycle node is configured or activated next. Pure: states in, requests out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

# After a transition that failed: wait, twice as long each time.
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0


class State(Enum):
    """States of a lifecycle node, as far as bringing up is concerned."""

    UNKNOWN = "not reachable"
    UNCONFIGURED = "unconfigured"
    INACTIVE = "inactive"
    ACTIVE = "active"
    FINALIZED = "finalized"
    BUSY = "in a transition"


class Transition(Enum):
    """What the supervisor asks for."""

    CONFIGURE = "configure"
    ACTIVATE = "activate"


@dataclass(frozen=True)
class Request:
    """One transition that a node should make now."""

    node: str
    transition: Transition


@dataclass
class _Node:
    state: State = State.UNKNOWN
    lives: frozenset[str] = frozenset()  # every process life seen of this node
    was_active: bool = False  # in its present life
    asked: Transition | None = None
    failures: int = 0
    retry_at_s: float = 0.0


@dataclass
class BringUp:
    """All nodes configured as soon as they are there, and activated one after the other.

    A node waits until those before it in ``order`` are active: what commands the robot comes
    last. A node that was restarted is brought up again. A node that was active and that somebody
    deactivated or cleaned up is left alone: a person decided that.
    """

    order: Sequence[str]
    _nodes: dict[str, _Node] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._nodes = {name: _Node() for name in self.order}

    def see_lives(self, name: str, lives: frozenset[str]) -> bool:
        """Take in which process lives of a node are visible; returns whether it was restarted.

        A life never seen before is a restart, but for the first.
        """
        node = self._nodes[name]
        restarted = bool(node.lives) and bool(lives - node.lives)
        node.lives |= lives
        if restarted:
            node.state, node.was_active, node.asked = State.UNKNOWN, False, None
            node.failures, node.retry_at_s = 0, 0.0
        return restarted

    def see(self, name: str, state: State) -> bool:
        """Take in the state of a node; returns whether it is another one than before."""
        node = self._nodes[name]
        before, node.state = node.state, state
        if state is State.ACTIVE:
            node.was_active, node.failures = True, 0
        return state is not before

    def requests(self, now_s: float) -> list[Request]:
        """Return the transitions to ask for now; each counts as asked until `answered`."""
        found = []
        earlier_active = True
        for name, node in self._nodes.items():
            wanted = self._wanted(node, earlier_active)
            if wanted is not None and node.asked is None and now_s >= node.retry_at_s:
                node.asked = wanted
                found.append(Request(name, wanted))
            earlier_active = earlier_active and node.state is State.ACTIVE
        return found

    def answered(self, request: Request, success: bool, now_s: float) -> None:
        """Take in the answer to a request; a failure is tried again after a pause."""
        node = self._nodes[request.node]
        if node.asked is not request.transition:
            return  # answer of an earlier life
        node.asked = None
        if success:
            node.state = State.BUSY  # until it is seen again
        else:
            node.failures += 1
            pause = min(FIRST_RETRY_S * 2.0 ** (node.failures - 1), LONGEST_RETRY_S)
            node.retry_at_s = now_s + pause

    def state_of(self, name: str) -> State:
        """Return the newest known state of a node."""
        return self._nodes[name].state

    def complete(self) -> bool:
        """Return whether every node is active."""
        return all(node.state is State.ACTIVE for node in self._nodes.values())

    def waiting_for(self) -> str:
        """Return which nodes are not active yet, for people."""
        late = [f"{name} ({n.state.value})" for name, n in self._nodes.items() if not n.was_active]
        return ", ".join(late)

    @staticmethod
    def _wanted(node: _Node, earlier_active: bool) -> Transition | None:
        if node.was_active:
            return None
        if node.state is State.UNCONFIGURED:
            return Transition.CONFIGURE
        if node.state is State.INACTIVE and earlier_active:
            return Transition.ACTIVATE
        return None
