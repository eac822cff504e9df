"""Masks and samplers against closed forms: a Gaussian, whose conditional mean is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from vla_core.errors import ConfigurationError
from vla_core.types import Prefix
from vla_hosting.rtc import (
    Diffusion,
    Guidance,
    NoiseAtOne,
    PrefixRows,
    continue_rows,
    guidance_weight,
    integrate,
    soft_mask,
)
from vla_hosting.rtc.sampler import Flow, Pullback, steps
from vla_testing.flow_policy import GaussianFlow, correlated

Array = NDArray[np.float64]
ROWS, KEPT = 8, 3


def rows_of(existing: int, committed: int, horizon: int = ROWS) -> PrefixRows:
    return PrefixRows.of(Prefix(np.ones((existing, 1)), 0, 1, committed), 0, 1, horizon)


def gaussian(scale: float = 1.0, memory: float = 0.9) -> GaussianFlow:
    return GaussianFlow(np.full((ROWS, 1), 0.5), scale**2 * correlated(ROWS, memory))


def plan(values: list[float]) -> Array:
    found = np.full((ROWS, 1), np.nan)
    found[: len(values), 0] = values
    return found


def first(count: int) -> Array:
    return (np.arange(ROWS) < count).astype(float)


# Masks.


def test_the_soft_mask_is_that_of_the_paper() -> None:
    weights = soft_mask(rows_of(existing=6, committed=2))
    c = [(6 - i) / (6 - 2 + 1) for i in range(2, 6)]
    falling = [x * (math.exp(x) - 1) / (math.e - 1) for x in c]
    np.testing.assert_allclose(weights, [1.0, 1.0, *falling, 0.0, 0.0])


def test_a_linear_mask_falls_evenly() -> None:
    weights = soft_mask(rows_of(existing=6, committed=2), "linear")
    np.testing.assert_allclose(weights, [1, 1, 0.8, 0.6, 0.4, 0.2, 0, 0])


@pytest.mark.parametrize(("schedule", "ones"), [("zeros", 2), ("ones", 6)])
def test_hard_masks(schedule: str, ones: int) -> None:
    np.testing.assert_array_equal(soft_mask(rows_of(6, 2), schedule), first(ones))


def test_what_is_committed_but_does_not_exist_weighs_nothing() -> None:
    np.testing.assert_array_equal(soft_mask(rows_of(existing=2, committed=5)), first(2))
    late = PrefixRows.of(Prefix(np.ones((2, 1)), 3, 1, 5), 0, 1, ROWS)
    np.testing.assert_array_equal(soft_mask(late), [0, 0, 0, 1, 1, 0, 0, 0])


def test_the_mask_may_end_before_the_plan() -> None:
    weights = soft_mask(rows_of(existing=8, committed=1), until=3)
    assert weights[2] > 0.0 and not weights[3:].any()


def test_an_unknown_schedule_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"among \['exponential', 'linear', .*'cosine'"):
        soft_mask(rows_of(1, 1), "cosine")


@pytest.mark.parametrize(("time", "factor"), [(0.1, 9.11), (0.2, 4.25), (0.5, 2.0), (0.9, 9.11)])
def test_the_guidance_weight_is_that_of_the_paper(time: float, factor: float) -> None:
    assert guidance_weight(time, most=100.0) == pytest.approx(factor, abs=0.005)


def test_a_narrow_prior_pulls_harder() -> None:
    assert guidance_weight(0.5, most=100.0, prior_sd=0.4) == pytest.approx(7.25)


@pytest.mark.parametrize("time", [0.0, 1e-9, 1.0])
def test_the_guidance_weight_is_clipped(time: float) -> None:
    assert guidance_weight(time, most=5.0) == 5.0


# Samplers. The Gaussian's flow is linear: noise 0 gives the mean, unit vectors the covariance.


def spread(sample: object) -> Array:
    """Return the covariance (H, H) of what a sampler makes of standard normal noise."""
    assert callable(sample)
    basis = np.eye(ROWS)[:, :, None]
    columns = sample(basis) - sample(np.zeros((1, ROWS, 1)))  # (noise, row, 1)
    return np.asarray(columns[:, :, 0].T @ columns[:, :, 0])


def conditional(covariance: Array, mean: float, values: list[float]) -> tuple[Array, Array]:
    """Return mean and covariance of the free rows, given the first ones."""
    n = len(values)
    gain = covariance[n:, :n] @ np.linalg.inv(covariance[:n, :n])
    return mean + gain @ (np.array(values) - mean), covariance[n:, n:] - gain @ covariance[:n, n:]


def test_without_a_plan_rows_have_their_own_distribution() -> None:
    flow = gaussian()
    np.testing.assert_allclose(integrate(flow, np.zeros((ROWS, 1)), steps(100)), 0.5, atol=1e-9)
    covariance = spread(lambda noise: integrate(flow, noise, steps(2000)))
    np.testing.assert_allclose(covariance, correlated(ROWS), atol=0.01)


def test_trained_rows_continue_as_the_conditional_distribution_says() -> None:
    flow, given = gaussian(), [1.5, 1.2, 0.9]
    mean, covariance = conditional(correlated(ROWS), 0.5, given)
    rows = continue_rows(flow, np.zeros((ROWS, 1)), steps(100), plan(given), KEPT)
    np.testing.assert_array_equal(rows[:KEPT, 0], given)
    np.testing.assert_allclose(rows[KEPT:, 0], mean, atol=1e-9)
    found = spread(lambda noise: continue_rows(flow, noise, steps(2000), plan(given), KEPT))
    np.testing.assert_allclose(found[KEPT:, KEPT:], covariance, atol=0.01)


def test_many_chunks_may_keep_different_numbers_of_rows() -> None:
    flow, given = gaussian(), plan([1.5, 1.2, 0.9])
    noise = np.zeros((2, ROWS, 1))
    together = continue_rows(flow, noise, steps(5), given, np.array([1, 3]))
    for rows, count in zip(together, (1, 3), strict=True):
        alone = continue_rows(flow, noise[0], steps(5), given, count)
        np.testing.assert_allclose(rows, alone, atol=1e-12)


def test_guidance_is_exact_where_rows_do_not_depend_on_each_other() -> None:
    """The variance that the weight assumes is then the true one."""
    flow, given = gaussian(scale=0.4, memory=0.0), [1.5, 1.2, 0.9]
    guidance = Guidance("jacobian", most=1e9, prior_sd=0.4)

    def sample(noise: Array) -> Array:
        return guidance.sample(flow, noise, steps(100), plan(given), first(KEPT))

    rows = sample(np.zeros((ROWS, 1)))
    np.testing.assert_allclose(rows[:KEPT, 0], given, atol=1e-6)
    np.testing.assert_allclose(rows[KEPT:, 0], 0.5, atol=1e-9)
    free = np.diag(spread(sample))[KEPT:]
    np.testing.assert_allclose(free, 0.4**2, rtol=0.1)


@pytest.mark.parametrize("method", ["jacobian", "identity"])
def test_guidance_reaches_the_plan_and_takes_the_free_rows_along(method: str) -> None:
    flow, given = gaussian(), [1.5, 1.5, 1.5]
    guidance = Guidance(method, most=10.0)  # type: ignore[arg-type]
    rows = guidance.sample(flow, np.zeros((ROWS, 1)), steps(10), plan(given), first(KEPT))[:, 0]
    np.testing.assert_allclose(rows[:KEPT], given, atol=0.1)
    # Its neighbour is at 1.5, alone it would be at 0.5. A little too far is possible: the weight
    # takes the rows as independent.
    assert 0.9 < rows[KEPT] < 1.7
    assert (np.diff(rows[KEPT:]) < 0.0).all()  # the farther, the less


def test_only_the_jacobian_moves_free_rows_in_the_first_step() -> None:
    flow, noise = gaussian(), np.zeros((ROWS, 1))
    half = np.array([0.3, 0.6])
    own = noise + 0.3 * flow.velocity(noise, np.full(ROWS, 0.3))
    moved = {
        method: Guidance(method).sample(flow, noise, half, plan([2.0]), first(1)) - own  # type: ignore[arg-type]
        for method in ("jacobian", "identity")
    }
    assert (np.abs(moved["jacobian"][1:]) > 1e-3).all()
    np.testing.assert_allclose(moved["identity"][1:], 0.0, atol=1e-12)


@pytest.mark.parametrize("method", ["jacobian", "identity"])
def test_rows_without_a_plan_are_left_to_the_flow(method: str) -> None:
    """Weight on rows that do not exist pulls nowhere, least of all to zero."""
    flow, noise = gaussian(), np.random.default_rng(0).standard_normal((ROWS, 1))
    guidance = Guidance(method)  # type: ignore[arg-type]
    guided = guidance.sample(flow, noise, steps(10), np.full((ROWS, 1), np.nan), np.ones(ROWS))
    np.testing.assert_array_equal(guided, integrate(flow, noise, steps(10)))


def test_padding_columns_are_not_pulled() -> None:
    flow = GaussianFlow(np.zeros((ROWS, 2)), correlated(ROWS))
    noise = np.random.default_rng(0).standard_normal((ROWS, 2))
    wanted = np.stack([np.ones(ROWS), np.full(ROWS, np.nan)], axis=1)
    rows = Guidance().sample(flow, noise, steps(10), wanted, np.ones(ROWS))
    np.testing.assert_array_equal(rows[:, 1], integrate(flow, noise, steps(10))[:, 1])
    np.testing.assert_allclose(rows[:, 0], 1.0, atol=0.5)


def test_the_pullback_of_the_gaussian_is_its_jacobian() -> None:
    flow, rng = gaussian(), np.random.default_rng(0)
    rows, error = rng.standard_normal((2, ROWS, 1))
    times = np.full(ROWS, 0.4)
    _, pull = flow.pullback(rows, times)
    np.testing.assert_allclose(pull(error), numeric(flow, rows, times, error), atol=1e-6)


def numeric(flow: Flow, rows: Array, times: Array, error: Array, width: float = 1e-5) -> Array:
    """Return ``sum(error * d velocity / d rows)`` by central differences."""
    product = np.zeros(rows.shape)
    for index in np.ndindex(*rows.shape):
        step = np.zeros(rows.shape)
        step[index] = width
        change = flow.velocity(rows + step, times) - flow.velocity(rows - step, times)
        product[index] = (error * change).sum() / (2 * width)
    return product


def test_a_flow_of_the_other_convention_gives_the_same_rows() -> None:
    flow, noise = gaussian(), np.random.default_rng(0).standard_normal((ROWS, 1))

    class Backwards:
        def velocity(self, rows: Array, times: Array) -> Array:
            return -flow.velocity(rows, 1.0 - times)

        def pullback(self, rows: Array, times: Array) -> tuple[Array, Pullback]:
            velocity, pull = flow.pullback(rows, 1.0 - times)
            return -velocity, lambda error: -pull(error)

    arguments = (steps(5), plan([1.0, 1.0]), first(2))
    there = Guidance().sample(NoiseAtOne(Backwards()), noise, *arguments)
    np.testing.assert_allclose(there, Guidance().sample(flow, noise, *arguments), atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"method": "vjp"}, "expected the method 'jacobian' or 'identity', got 'vjp'"),
        ({"most": 0.0}, "expected most above 0"),
        ({"prior_sd": -1.0}, "expected prior_sd above 0"),
    ],
)
def test_wrong_guidance_is_refused(settings: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        Guidance(**settings)  # type: ignore[arg-type]


# Diffusion.

KEPT_VARIANCE = (0.01, 0.1, 0.4, 0.8, 0.99)
TIMESTEPS = (900, 700, 400, 150, 10)


def predicting(predicts: str, pulls: bool = True) -> Diffusion:
    """Return a network that knows rows ~ N(0.5, 0.3²), with E[rows | x] in closed form."""
    share = dict(zip(TIMESTEPS, KEPT_VARIANCE, strict=True))

    def gain(timestep: int) -> tuple[float, float, float]:
        a, s = math.sqrt(share[timestep]), math.sqrt(1.0 - share[timestep])
        return a, s, a * 0.09 / (a**2 * 0.09 + s**2)

    def network(x: Array, timestep: int) -> Array:
        a, s, k = gain(timestep)
        ahead = 0.5 + k * (x - a * 0.5)
        return np.asarray((x - a * ahead) / s if predicts == "noise" else ahead)

    def pullback(x: Array, timestep: int) -> tuple[Array, Pullback]:
        a, s, k = gain(timestep)
        slope = (1.0 - a * k) / s if predicts == "noise" else k
        return network(x, timestep), lambda error: slope * error

    return Diffusion(network, KEPT_VARIANCE, TIMESTEPS, predicts, pullback if pulls else None)  # type: ignore[arg-type]


def ddim(noise: Array) -> Array:
    """Return what DDIM without noise makes of it (Song et al., equation 12 with sigma 0)."""
    x, a = noise, np.sqrt(KEPT_VARIANCE)
    s = np.sqrt(1.0 - np.asarray(KEPT_VARIANCE))
    for i in range(len(a)):
        ahead = 0.5 + a[i] * 0.09 / (a[i] ** 2 * 0.09 + s[i] ** 2) * (x - a[i] * 0.5)
        eps = (x - a[i] * ahead) / s[i]
        x = a[i + 1] * ahead + s[i + 1] * eps if i + 1 < len(a) else ahead
    return np.asarray(x)


@pytest.mark.parametrize("predicts", ["noise", "rows"])
def test_a_diffusion_model_on_straight_lines_takes_the_steps_of_ddim(predicts: str) -> None:
    noise = np.random.default_rng(0).standard_normal((ROWS, 1))
    flow = predicting(predicts)
    rows = integrate(flow, flow.start(noise), flow.times)
    np.testing.assert_allclose(rows, ddim(noise), atol=1e-12)


@pytest.mark.parametrize("predicts", ["noise", "rows"])
def test_the_jacobian_of_a_diffusion_model_is_that_of_its_straight_line(predicts: str) -> None:
    rng = np.random.default_rng(0)
    rows, error = rng.standard_normal((2, ROWS, 1))
    flow = predicting(predicts)
    times = np.full(ROWS, flow.times[2])
    _, pull = flow.pullback(rows, times)
    np.testing.assert_allclose(pull(error), numeric(flow, rows, times, error), atol=1e-6)


def test_guided_diffusion_reaches_the_plan() -> None:
    flow, noise = predicting("noise"), np.random.default_rng(0).standard_normal((ROWS, 1))
    guidance = Guidance(most=10.0, prior_sd=0.3)
    rows = guidance.sample(flow, flow.start(noise), flow.times, plan([0.9, 0.9]), first(2))
    np.testing.assert_allclose(rows[:2, 0], 0.9, atol=0.05)
    np.testing.assert_allclose(rows[2:], ddim(noise)[2:], atol=1e-9)


def test_a_network_without_a_jacobian_says_what_to_use() -> None:
    flow = predicting("noise", pulls=False)
    with pytest.raises(ConfigurationError, match="use the method 'identity'"):
        flow.pullback(np.zeros((ROWS, 1)), np.zeros(ROWS))


@pytest.mark.parametrize("kept", [(0.5, 0.1), (0.0, 0.5), (0.5, 1.0), (0.5,)])
def test_a_noise_schedule_that_is_none_is_refused(kept: tuple[float, ...]) -> None:
    with pytest.raises(ConfigurationError, match="expected 2 shares rising between 0 and 1"):
        Diffusion(lambda x, t: x, kept, (1, 2))
