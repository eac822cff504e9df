from __future__ import annotations

import pytest

from vla_core.errors import NotReadyError
from vla_hosting.backoff import Backoff


def test_waits_twice_as_long_after_each_failure_up_to_a_limit() -> None:
    backoff = Backoff(1.0, 3.0)
    backoff.check(0.0)
    for wait_s in (1.0, 2.0, 3.0, 3.0):
        backoff.failed(10.0, "no server")
        with pytest.raises(NotReadyError, match=rf"no server \(next attempt in {wait_s:.1f} s\)"):
            backoff.check(10.0)
        backoff.check(10.0 + wait_s)
