"""Elementary differentials of dz/du = G(z, u) on a mixture: D(q, subtrees) = d_u^q D_z^k G[D(subtree), …]."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..generated.defects import Terms, Tree
from ..records import Frame
from ..targets.mixture import GaussianMixture
from . import jets
from .jets import Exponents, Jet

if TYPE_CHECKING:
    from .exact_path import Path

KEPT = 1 << 19  # numbers of a path up to which its differentials are kept

Derivatives = dict[Exponents, Tensor]  # partial derivatives of G at m points [m, d], by the orders in z_1, …, z_d and u


class Differentials:
    """D(tree) at m points, and its derivatives in z; each subtree is computed once."""

    def __init__(self, derivatives: Derivatives) -> None:
        self.derivatives = derivatives
        self.degree = max(map(sum, derivatives))
        self.shape = next(iter(derivatives.values())).shape
        self._values: dict[Tree, Tensor] = {}
        self._slopes: dict[tuple[Tree, int], Tensor] = {}

    def total(self, terms: Terms) -> Tensor:
        """The sum of coefficient D(tree) over the terms: [m, d]."""
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

    def _axes(self, *once: int) -> Exponents:
        """The orders of a derivative that is taken once in each of these coordinates of z."""
        return tuple(int(j in once) for j in range(self.shape[1]))


class PathDifferentials:
    """The differentials along a path: those of one frame at a time are kept for all methods in it, and the derivatives
    of the score, from which they follow, for all frames but that of the data.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frame = ""
        self._kept: dict[tuple[int, int], Differentials] = {}
        self._scores: dict[tuple[int, int], tuple[int, list[Jet] | None]] = {}

    def at(self, indices: Tensor, frame: Frame, degree: int) -> Differentials:
        """Those at all samples and consecutive points of the path, at least up to a total degree."""
        if frame.name != self._frame:
            self._frame = frame.name
            self._kept.clear()
        place = (int(indices[0]), len(indices))
        found = self._kept.get(place)
        if found is None or found.degree < degree:
            columns, x, mixture = self._path.columns.take(indices), self._path.x[indices], self._path.mixture
            known, scores = self._scores.get(place, (-1, None))
            if frame.name != "data" and known < degree:
                y, w = x / columns.alpha[:, None, None], columns.rho2[:, None]
                known, scores = degree, score_in_variance(mixture, y, w, degree)
            scale = torch.as_tensor(frame.functions(columns.alpha, columns.sigma)[0], dtype=torch.float64)
            u = getattr(columns, frame.clock)[:, None]
            found = Differentials(partial_derivatives(mixture, frame, x / scale[:, None, None], u, degree, scores))
            if self._path.x.numel() <= KEPT:
                self._kept[place], self._scores[place] = found, (known, scores)
        return found


def contract(derivatives: Derivatives, axes: Exponents, legs: int, vectors: list[Tensor]) -> Tensor:
    """The derivative of G in z along each of the vectors, axes[j] times more in z_j, and `legs` times in u: [m, d]."""
    if not vectors:
        return derivatives[(*axes, legs)]
    first, *rest = vectors
    result = torch.zeros_like(first)
    for j in range(len(axes)):
        further = (*axes[:j], axes[j] + 1, *axes[j + 1 :])
        result += first[:, j : j + 1] * contract(derivatives, further, legs, rest)
    return result


def partial_derivatives(
    mixture: GaussianMixture, frame: Frame, z: Tensor, u: Tensor, degree: int, scores: list[Jet] | None = None
) -> Derivatives:
    """All partial derivatives of G up to a total degree, at z [..., d] and u, whose shape expands to [...].

    With y = x/alpha and w = rho^2 every G follows from the score of x0 + rho eps. By frame: data e^u (y + w score) at
    y = e^{-u} z, w = e^{-2u}; noise e^{-2u} score; noise in rho -u score; variance -score/2.
    scores: the score in (y, w) at these points, at least to this degree (score_in_variance); in the data frame,
    where y depends on u, it is computed from z and u.
    """
    *zj, uj = jets.variables(*z.unbind(-1), u)

    def times(a: Jet, b: Jet) -> Jet:
        return jets.multiply(a, b, degree)

    if frame.name == "data":
        w, growth = jets.exp(jets.scale(uj, -2.0), degree), jets.exp(uj, degree)
        decay = jets.exp(jets.scale(uj, -1.0), degree)
        y = [times(zi, decay) for zi in zj]
        score = score_jets(mixture, y, w, degree)
        g = [times(growth, jets.add(yi, times(w, s))) for yi, s in zip(y, score, strict=True)]
    else:
        match frame.clock:
            case "lam":
                w = jets.exp(jets.scale(uj, -2.0), degree)
            case "rho":
                w = times(uj, uj)
            case _:
                w = uj
        if scores is None:
            scores = score_in_variance(mixture, z, w[jets.origin(uj)], degree)
        score = [jets.substitute(s, [*zj, w], degree) for s in scores]
        match frame.name:
            case "noise":
                g = [times(w, s) for s in score]
            case "noise-rho":
                g = [jets.scale(times(uj, s), -1.0) for s in score]
            case _:
                g = [jets.scale(s, -0.5) for s in score]
    parts = [jets.partials(gi) for gi in g]

    def column(part: Jet, orders: Exponents) -> Tensor:
        return part[orders].expand(z.shape[:-1]).flatten()

    wanted = [orders for orders in parts[0] if sum(orders) <= degree]
    return {orders: torch.stack([column(part, orders) for part in parts], dim=1) for orders in wanted}


def score_in_variance(mixture: GaussianMixture, y: Tensor, w: Tensor, degree: int) -> list[Jet]:
    """The score of x0 + sqrt(w) eps at y [..., d] as a function of y and w, up to a total degree."""
    *yj, wj = jets.variables(*y.unbind(-1), w)
    return score_jets(mixture, yj, wj, degree)


def score_jets(mixture: GaussianMixture, y: list[Jet], w: Jet, degree: int) -> list[Jet]:
    """The score of x0 + sqrt(w) eps: -sum_k r_k (C_k + w)^{-1} (y - mu_k), with responsibilities r_k by a softmax."""

    def combined(vectors: list[Jet], weights: Tensor) -> Jet:
        return jets.add(*(jets.scale(v, c) for v, c in zip(vectors, weights, strict=True)))

    def product(a: Jet, b: Jet) -> Jet:
        return jets.multiply(a, b, degree)

    dim = mixture.dim
    logits: list[Jet] = []
    pulls: list[list[Jet]] = []
    for k in range(mixture.components):
        # y - mu_k along the principal axes of the component, where C_k + w is diagonal.
        axes = torch.eye(dim, dtype=torch.float64) if mixture.axes is None else mixture.axes[k]
        variances = [jets.shift(w, v) for v in mixture.variances[k].expand(dim)]
        away = [jets.shift(yi, -m) for yi, m in zip(y, mixture.means[k], strict=True)]
        principal = away if mixture.axes is None else [combined(away, axis) for axis in axes.T]
        # (C_k + w)^{-1} (y - mu_k), back in the coordinates of y.
        scaled = [product(p, jets.inverse(v, degree)) for p, v in zip(principal, variances, strict=True)]
        pulls.append(scaled if mixture.axes is None else [combined(scaled, row) for row in axes])
        # log w_k - ((y - mu_k)^T (C_k + w)^{-1} (y - mu_k) + log det (C_k + w)) / 2.
        squares = [product(p, s) for p, s in zip(principal, scaled, strict=True)]
        log_variances = [jets.log(v, degree) for v in variances]
        log_normal = jets.scale(jets.add(*squares, *log_variances), -0.5)
        logits.append(jets.shift(log_normal, mixture.weights[k].log()))
    # Responsibilities: the softmax of the logits, less their largest value.
    constant = jets.origin(w)
    top = torch.stack([logit[constant] for logit in logits]).amax(dim=0)
    masses = [jets.exp(jets.shift(logit, -top), degree) for logit in logits]
    total = jets.inverse(jets.add(*masses), degree)
    shares = [product(mass, total) for mass in masses]
    # The mean of the components' scores.
    mean = [jets.add(*(product(r, pull[i]) for r, pull in zip(shares, pulls, strict=True))) for i in range(dim)]
    return [jets.scale(component, -1.0) for component in mean]
