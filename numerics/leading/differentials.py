"""Elementary differentials of dz/du = G(z, u) on a mixture: D(q, subtrees) = d_u^q D_z^k G[D(subtree), …]."""

from __future__ import annotations

import torch
from torch import Tensor

from ..generated.defects import Terms, Tree
from ..records import Frame
from ..targets.mixture import GaussianMixture
from . import jets
from .jets import Jet, Place

Derivatives = dict[Place, Tensor]  # partial derivatives of G [m, d], by how often in z_1, …, z_d and u


class Differentials:
    """D(tree) at m points, and their derivatives in z; each subtree's is computed once."""

    def __init__(self, derivatives: Derivatives) -> None:
        self.derivatives = derivatives
        self.shape = next(iter(derivatives.values())).shape
        self._values: dict[Tree, Tensor] = {}
        self._slopes: dict[tuple[Tree, int], Tensor] = {}

    def total(self, terms: Terms) -> Tensor:
        """sum of coefficient D(tree): [m, d]."""
        result = torch.zeros(self.shape, dtype=torch.float64)
        for coefficient, tree in terms:
            result += coefficient * self.value(tree)
        return result

    def divergence(self, terms: Terms) -> Tensor:
        """The divergence in z of that sum: [m, 1]."""
        result = torch.zeros(self.shape[0], 1, dtype=torch.float64)
        for coefficient, tree in terms:
            for j in range(self.shape[1]):
                result += coefficient * self.slope(tree, j)[:, j : j + 1]
        return result

    def value(self, tree: Tree) -> Tensor:
        """D(tree): [m, d]."""
        if tree not in self._values:
            legs, children = tree
            self._values[tree] = contract(self.derivatives, self._axes(), legs, [self.value(c) for c in children])
        return self._values[tree]

    def slope(self, tree: Tree, j: int) -> Tensor:
        """The derivative of D(tree) in z_j, by the product rule: [m, d]."""
        if (tree, j) not in self._slopes:
            legs, children = tree
            values = [self.value(c) for c in children]
            result = contract(self.derivatives, self._axes(j), legs, values)
            for i, child in enumerate(children):
                moved = [*values[:i], self.slope(child, j), *values[i + 1 :]]
                result = result + contract(self.derivatives, self._axes(), legs, moved)
            self._slopes[tree, j] = result
        return self._slopes[tree, j]

    def _axes(self, *once: int) -> Place:
        return tuple(int(j in once) for j in range(self.shape[1]))


def contract(derivatives: Derivatives, axes: Place, legs: int, vectors: list[Tensor]) -> Tensor:
    """The derivative in z along the vectors, beyond that along the axes (counted) and `legs` times in u."""
    if not vectors:
        return derivatives[(*axes, legs)]
    first, *rest = vectors
    result = torch.zeros_like(first)
    for j in range(len(axes)):
        further = (*axes[:j], axes[j] + 1, *axes[j + 1 :])
        result += first[:, j : j + 1] * contract(derivatives, further, legs, rest)
    return result


def partial_derivatives(mixture: GaussianMixture, frame: Frame, z: Tensor, u: Tensor, degree: int) -> Derivatives:
    """All derivatives of G up to a total degree, at z [m, d] and u [m].

    With y = x/alpha and w = rho^2 every G is made of the score of x0 + rho eps: data e^u (y + w score) at
    y = e^{-u} z, w = e^{-2u}; noise e^{-2u} score; noise in rho -u score; variance -score/2.
    """
    *zj, uj = jets.variables(*z.T, u)

    def times(a: Jet, b: Jet) -> Jet:
        return jets.multiply(a, b, degree)

    if frame.name in ("data", "noise"):
        w = jets.exp(jets.scale(uj, -2.0), degree)
        if frame.name == "noise":
            g = [times(w, s) for s in score_jets(mixture, zj, w, degree)]
        else:
            shrink, growth = jets.exp(jets.scale(uj, -1.0), degree), jets.exp(uj, degree)
            y = [times(zi, shrink) for zi in zj]
            scores = score_jets(mixture, y, w, degree)
            g = [times(growth, jets.add(yi, times(w, s))) for yi, s in zip(y, scores, strict=True)]
    elif frame.name == "noise-rho":
        g = [jets.scale(times(uj, s), -1.0) for s in score_jets(mixture, zj, times(uj, uj), degree)]
    else:
        g = [jets.scale(s, -0.5) for s in score_jets(mixture, zj, uj, degree)]
    parts = [jets.partials(gi) for gi in g]
    return {place: torch.stack([part[place] for part in parts], dim=1) for place in parts[0]}


def score_jets(mixture: GaussianMixture, y: list[Jet], w: Jet, degree: int) -> list[Jet]:
    """The score of x0 + sqrt(w) eps: -sum_k r_k (C_k + w)^{-1} (y - mu_k), r_k by a softmax of log densities."""

    def along(vectors: list[Jet], weights: Tensor) -> Jet:
        return jets.add(*(jets.scale(v, c) for v, c in zip(vectors, weights, strict=True)))

    dim = mixture.dim
    logits: list[Jet] = []
    pulls: list[list[Jet]] = []
    for k in range(mixture.components):
        axes = torch.eye(dim, dtype=torch.float64) if mixture.axes is None else mixture.axes[k]
        spreads = [jets.shift(w, v) for v in mixture.variances[k].expand(dim)]
        away = [jets.shift(yi, -m) for yi, m in zip(y, mixture.means[k], strict=True)]
        principal = away if mixture.axes is None else [along(away, axis) for axis in axes.T]
        scaled = [jets.multiply(p, jets.inverse(s, degree), degree) for p, s in zip(principal, spreads, strict=True)]
        squares = [jets.multiply(p, s, degree) for p, s in zip(principal, scaled, strict=True)]
        halves = jets.scale(jets.add(*squares, *(jets.log(s, degree) for s in spreads)), -0.5)
        logits.append(jets.shift(halves, mixture.weights[k].log()))
        pulls.append(scaled if mixture.axes is None else [along(scaled, row) for row in axes])
    place = jets.origin(w)
    top = torch.stack([logit[place] for logit in logits]).amax(dim=0)
    masses = [jets.exp(jets.shift(logit, -top), degree) for logit in logits]
    share = jets.inverse(jets.add(*masses), degree)
    shares = [jets.multiply(mass, share, degree) for mass in masses]
    return [
        jets.scale(jets.add(*(jets.multiply(r, pull[i], degree) for r, pull in zip(shares, pulls, strict=True))), -1.0)
        for i in range(dim)
    ]
