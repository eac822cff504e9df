"""How a new plan takes over from the old one. One interface, chosen by name."""

from vla_core.errors import ConfigurationError
from vla_core.execution.join.averaging import average, conservative, ensemble, weighted
from vla_core.execution.join.blending import blend, blend_duration_ns, continued, replace
from vla_core.execution.join.seam import Join, Seam

JOINS: dict[str, Join] = {
    "replace": replace,
    "blend": blend,
    "weighted": weighted,
    "average": average,
    "conservative": conservative,
    "ensemble": ensemble,
    "rtc": continued,
}

__all__ = ["JOINS", "Join", "Seam", "blend", "blend_duration_ns", "check_join", "join_named"]


def join_named(name: str) -> Join:
    """Return the join with this name.

    Raises:
        ConfigurationError: there is none; lists the known ones.
    """
    if name not in JOINS:
        raise ConfigurationError(f"join: expected one of {list(JOINS)}, found '{name}'")
    return JOINS[name]


def check_join(name: str, policy: str, accepts_prefix: bool) -> None:
    """Check that a join exists and suits a policy.

    Raises:
        ConfigurationError: there is none of this name, or it asks for more than the policy can.
    """
    join_named(name)
    if name == "rtc" and not accepts_prefix:
        others = [known for known in JOINS if known != "rtc"]
        raise ConfigurationError(
            f"join: policy '{policy}' does not accept a prefix, so real-time chunking cannot "
            f"continue its plan; expected one of {others}, found 'rtc'"
        )
