"""The predictions of a mixture in one dimension with their derivatives, in few operations on few arrays."""

from __future__ import annotations

import torch
from torch import Tensor

from .components import Marginal


def factors(law: Marginal, gain: Tensor, offset: Tensor | None, centred: Tensor | None) -> tuple[Tensor, Tensor]:
    """The factors of the sums over components in a value [1, K or 2 K] and in a derivative [1, 2 K or 3 K].

    offset_k + gain_k y_k is the prediction of a component (mixture._Affine).
    """
    gains = gain[:, 0, 0].expand(len(law.high))
    of_value, of_derivative = [gains], [gains * law.precision[:, 0, 0], -gains]
    if offset is not None and centred is not None:
        of_value, of_derivative = [*of_value, offset[:, 0]], [*of_derivative, -centred[:, 0]]
    return torch.cat(of_value)[None], torch.cat(of_derivative)[None]


def line_tangent(law: Marginal, factors: tuple[Tensor, Tensor], x: Tensor, dx: Tensor) -> Tensor:
    """`GaussianMixture.tangent` in a third of the operations: x and dx [1, b] -> the value and the derivative [2, b].

    With y_k = (x - alpha mu_k) / v_k the score of a component is -y_k, and dr_k = -r_k (y_k - sum_j r_j y_j) dx.
    """
    of_value, of_derivative = factors
    parts = x.new_empty((4, len(law.high), x.shape[1]))
    pulls, shares, scaled, away = parts.unbind()
    # y_k, the responsibilities r_k, and r_k y_k.
    torch.sub(x, law.high[:, 0], out=away).sub_(law.low[:, 0])
    torch.mul(away, law.precision[:, 0], out=scaled)
    softmax_(torch.addcmul(law.log_weight, away, scaled, value=-0.5, out=shares))
    torch.mul(shares, scaled, out=pulls)
    # -dr_k/dx and y_k times it.
    torch.addcmul(pulls, shares, pulls.sum(dim=0), value=-1, out=away)
    scaled.mul_(away)
    # Sums over the components.
    answer = x.new_empty((2, x.shape[1]))
    flat = parts.flatten(0, 1)
    torch.mm(of_value, flat[: of_value.shape[1]], out=answer[:1])
    torch.mm(of_derivative, flat[len(law.high) :][: of_derivative.shape[1]], out=answer[1:])
    answer[1].mul_(dx[0])
    return answer


def softmax_(logits: Tensor) -> Tensor:
    """exp(logits) / sum over components, in place."""
    logits.sub_(logits.amax(dim=0)).exp_()
    return logits.div_(logits.sum(dim=0))
