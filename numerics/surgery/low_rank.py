"""Convolutions of low rank: the nearest in their weights, or in their outputs on given data.

A convolution is y = W x of every patch x [inputs x height x width of the kernel]. With rank r it becomes two: r filters
of the same size, and a 1 x 1 convolution.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..covariance_factor import covariance_factor
from ..errors import InputError, number, of_type, whole

Sides = tuple[int, ...]
Batch = tuple[Tensor, Tensor]  # y [n, *shape] and lam [n]


def low_rank(network: nn.Module, ranks: Mapping[str, int], moments: Mapping[str, Tensor] | None = None) -> nn.Module:
    """A copy of the network with convolutions of the ranks given, by the names of its modules.

    moments: S = E x x^T of the patches of these layers, as input_moments returns them. Without them a layer's W
    becomes its truncated singular value decomposition, the best in sum of squares (Eckart and Young 1936); with them
    U U^T W, U the first left singular vectors of W S^{1/2}, the best in E |W x - W' x|^2. PLRD lowers the rank in
    stages and trains between them; without training that is the same as once (claim low-rank-stages).
    Raises InputError on a name that is not that of a convolution without groups, a rank below 1 or larger than the
    matrix has, and moments that are missing or of another shape.  Hajimolahoseini et al. 2024.

    >>> import samplerproof as sp
    >>> digits = sp.load_checkpoint("digits").network
    >>> sp.techniques.low_rank(digits, {"middle.first": 12}).middle.first[0].out_channels
    12
    """
    of_type(
        "ranks", ranks, Mapping, 'a mapping of names to ranks, such as {"middle.first": 12}, or ranks_of(network, 0.5)'
    )
    changed = copy.deepcopy(network)
    for name, rank in ranks.items():
        layer = _convolution(network, name)
        matrix = layer.weight.detach().flatten(1)
        if not 1 <= whole(f"ranks[{name!r}]", rank) <= min(matrix.shape):
            raise InputError(f"ranks[{name!r}]", rank, f"from 1 to {min(matrix.shape)}, the rank of its matrix")
        weighted = matrix.double()
        if moments is not None:
            weighted = weighted @ covariance_factor(_moment(moments, name, matrix.shape[1]))
        left = torch.linalg.svd(weighted, full_matrices=False).U[:, :rank].to(matrix.dtype)
        parent, _, own = name.rpartition(".")
        setattr(changed.get_submodule(parent), own, _two(layer, left))
    return changed


def ranks_of(network: nn.Module, share: float) -> dict[str, int]:
    """That share of the full rank for every 3 x 3 convolution, rounded, at least 1.

    Raises InputError on a share outside (0, 1], and for a network without such convolutions.
    """
    number("share", share, "a number in (0, 1]")
    if not 0 < share <= 1:
        raise InputError("share", share, "a number in (0, 1]")
    found = {
        name: max(1, round(share * min(layer.weight.flatten(1).shape)))
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3) and layer.groups == 1
    }
    if not found:
        raise InputError("network", type(network).__name__, "a network with 3 x 3 convolutions")
    return found


@torch.no_grad()
def input_moments(network: nn.Module, names: Iterable[str], batches: Iterable[Batch]) -> dict[str, Tensor]:
    """S = E x x^T over the patches x that each layer is passed while the network runs on the batches, float64.

    Raises InputError on a name that is not that of a convolution without groups, and where there is no batch.
    """
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def adding(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def add(layer: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
            assert isinstance(layer, nn.Conv2d)
            patches = F.unfold(
                inputs[0], layer.kernel_size, layer.dilation, cast("Sides", layer.padding), layer.stride
            ).double()
            flat = patches.transpose(1, 2).flatten(0, 1)
            sums[name] = sums.get(name, 0) + flat.T @ flat
            counts[name] = counts.get(name, 0) + len(flat)

        return add

    hooks = [_convolution(network, name).register_forward_hook(adding(name)) for name in names]
    try:
        for y, lam in batches:
            network(y, lam)
    finally:
        for hook in hooks:
            hook.remove()
    if not sums:
        raise InputError("batches", "none", "at least one batch (y, lam)")
    return {name: total / counts[name] for name, total in sums.items()}


def _convolution(network: nn.Module, name: str) -> nn.Conv2d:
    layer = dict(network.named_modules()).get(name)
    if not isinstance(layer, nn.Conv2d) or layer.groups != 1 or not isinstance(layer.padding, tuple):
        raise InputError("ranks", name, "names of convolutions without groups, with their padding as numbers")
    return layer


def _moment(moments: Mapping[str, Tensor], name: str, size: int) -> Tensor:
    found = moments.get(name)
    if found is None or tuple(found.shape) != (size, size):
        got = "missing" if found is None else list(found.shape)
        raise InputError(f"moments[{name!r}]", got, f"[{size}, {size}], as input_moments returns them")
    return found.double()


def _two(layer: nn.Conv2d, left: Tensor) -> nn.Sequential:
    """U (U^T W) as two convolutions."""
    trained, rank = layer.weight.requires_grad, left.shape[1]
    rows = (left.T @ layer.weight.detach().flatten(1)).reshape(rank, *layer.weight.shape[1:])
    first = copy.deepcopy(layer)
    first.out_channels, first.bias = rank, None
    first.weight = nn.Parameter(rows, requires_grad=trained)
    second = nn.Conv2d(rank, layer.out_channels, 1, bias=False)
    second.weight = nn.Parameter(left[:, :, None, None].clone(), requires_grad=trained)
    second.bias = copy.deepcopy(layer.bias)
    return nn.Sequential(first, second)
