"""What training minimises: masked L1 on the chunk, where things are, and KL with the CVAE."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from vla_models.nano.keypoints import heat_target
from vla_models.nano.network import Prediction


@dataclass(frozen=True, eq=False)
class Losses:
    """The weighted sum and its parts, scalars."""

    total: Tensor
    action: Tensor
    auxiliary: Tensor
    keypoints: Tensor
    divergence: Tensor

    def detached(self) -> Losses:
        """Return the numbers without the graph behind them."""
        return Losses(*(x.detach() for x in vars(self).values()))


def masked_l1(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute error over valid rows; (B, T, A), (B, T, A), (B, T). Zero if none is valid."""
    weight = valid.to(predicted.dtype).unsqueeze(-1)
    error = (predicted - target).abs() * weight
    return error.sum() / (weight.sum() * predicted.shape[-1]).clamp(min=1.0)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL of the latent's posterior from the unit normal, mean over the batch."""
    each = -0.5 * (1 + log_variance - mean**2 - log_variance.exp())
    return each.sum(-1).mean()


def misplaced(heat: Tensor, pixels: Tensor) -> Tensor:
    """Cross entropy of heat maps (..., K, cells + 1) with places (..., K, 2); NaN: not there.

    Less the least that is possible, so that zero is perfect.
    """
    target = heat_target(pixels, round((heat.shape[-1] - 1) ** 0.5))
    each = -(target * heat.log_softmax(-1)).sum(-1) - target.xlogy(target).neg().sum(-1)
    return each.mean()


def losses(
    prediction: Prediction,
    actions: Tensor,
    valid: Tensor,
    objects: Tensor,
    pixels: Tensor,
    *,
    auxiliary_weight: float,
    keypoint_weight: float = 0.1,
    divergence_weight: float = 10.0,
) -> Losses:
    """Return the loss of a batch.

    Args:
        prediction: of the network in training.
        actions: (B, T, A) normalised.
        valid: (B, T), False for rows that are nobody's example.
        objects: (B, O) normalised object coordinates; ignored without an auxiliary head.
        pixels: (B, cameras, K, 2) where cameras have things; ignored without keypoints.
        auxiliary_weight: of the object loss.
        keypoint_weight: of the heat maps' cross entropy.
        divergence_weight: beta of the CVAE; 10 in lerobot's ACT.
    """
    action = masked_l1(prediction.actions.float(), actions, valid)
    zero = action.new_zeros(())
    seen, misplacement, kl = zero, zero, zero
    if prediction.auxiliary is not None:
        seen = (prediction.auxiliary.float() - objects).abs().mean()
    if prediction.heat is not None:
        misplacement = misplaced(prediction.heat.float(), pixels)
    if prediction.mean is not None and prediction.log_variance is not None:
        kl = divergence(prediction.mean.float(), prediction.log_variance.float())
    total = action + auxiliary_weight * seen + keypoint_weight * misplacement
    return Losses(total + divergence_weight * kl, action, seen, misplacement, kl)
