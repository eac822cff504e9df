"""Judges a recording: limits, gaps, starvation, seams, rest. Independent of what it judges.

Nothing here imports `vla_core` except its errors: the contract is read by `vla_data.robot`, the
commands are those that a receiver got.
"""

from vla_data.checker.execution import Execution, judge_execution
from vla_data.checker.limits import Violation, check_limits
from vla_data.checker.rest import time_to_rest
from vla_data.checker.verdict import Verdict, check

__all__ = [
    "Execution",
    "Verdict",
    "Violation",
    "check",
    "check_limits",
    "judge_execution",
    "time_to_rest",
]
