"""The executor's plan on the rows of a policy, so that it can continue it."""

from __future__ import annotations

import numpy as np

from vla_core.types import Prefix


def resample(prefix: Prefix, start_ns: int, step_ns: int) -> Prefix | None:
    """Return the plan at ``start_ns + i * step_ns``, only where it exists; None: nowhere.

    Linear between the knots. Rows before the first knot do not exist either: the result may
    start some rows after ``start_ns``, always on the policy's grid.
    """
    knots_ns = prefix.start_ns + prefix.step_ns * np.arange(len(prefix.values))
    first = max(0, -((start_ns - prefix.start_ns) // step_ns))
    last = (int(knots_ns[-1]) - start_ns) // step_ns
    if last < first:
        return None
    due_ns = start_ns + step_ns * np.arange(first, last + 1)
    # Relative times: nanoseconds since 1970 do not fit a float.
    at, knots = (due_ns - start_ns) * 1e-9, (knots_ns - start_ns) * 1e-9
    values = np.stack([np.interp(at, knots, column) for column in prefix.values.T], axis=1)
    return Prefix(values, int(due_ns[0]), step_ns, prefix.committed_until_ns)
