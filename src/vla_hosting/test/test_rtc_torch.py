"""The torch side of the sampler gives what numpy gives."""

from __future__ import annotations

import numpy as np
import pytest

from vla_hosting.rtc import Guidance
from vla_hosting.rtc.sampler import steps
from vla_testing.flow_policy import GaussianFlow, correlated

torch = pytest.importorskip("torch", reason="no torch: it comes with the policies that need it")

ROWS = 8


def test_one_backward_pass_is_the_pullback_in_closed_form() -> None:
    from vla_hosting.rtc.torch_flow import TorchFlow

    flow = GaussianFlow(np.zeros((ROWS, 2)), correlated(ROWS))
    covariance = torch.as_tensor(correlated(ROWS))

    def network(rows: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        t = times[..., None]
        seen = t**2 * covariance + torch.eye(ROWS) * (1 - t) ** 2
        ahead = t * covariance @ torch.linalg.solve(seen, rows)
        return (ahead - rows) / (1 - t)

    noise = np.random.default_rng(0).standard_normal((3, ROWS, 2))
    plan = np.where(np.arange(ROWS)[:, None] < 3, 1.0, np.nan) * np.ones((ROWS, 2))
    arguments = (noise, steps(5), plan, (np.arange(ROWS) < 3).astype(float))
    wanted = Guidance().sample(flow, *arguments)
    with torch.inference_mode():  # a caller's mode must not break the backward pass
        found = Guidance().sample(TorchFlow(network, dtype=torch.float64), *arguments)
    np.testing.assert_allclose(found, wanted, atol=1e-9)
