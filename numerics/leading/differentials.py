"""Elementary differentials of dz/du = G(z, u) on a mixture: D(q, subtrees) = d_u^q D_z^k G[D(subtree), …]."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import factorial, prod
from typing import TYPE_CHECKING, Protocol

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

Derivatives = dict[Exponents, Tensor]  # partial derivatives of G at m points [1, m], by the orders in z and u


class Differentials(Protocol):
    """D(tree) at m points."""

    def value(self, tree: Tree) -> Tensor:
        """D(tree): [d, m]."""
        ...


def total(found: Differentials, terms: Terms) -> Tensor:
    """The sum of coefficient D(tree) over the terms: [d, m]."""
    coefficient, tree = terms[0]
    result = coefficient * found.value(tree)
    for coefficient, tree in terms[1:]:
        result += coefficient * found.value(tree)
    return result


class LineDifferentials:
    """In one dimension, from the partial derivatives of G, with derivatives in z; each subtree is computed once."""

    def __init__(self, derivatives: Derivatives) -> None:
        self.derivatives = derivatives
        self.degree = max(map(sum, derivatives))
        self._values: dict[Tree, Tensor] = {}
        self._slopes: dict[Tree, Tensor] = {}

    def divergence(self, terms: Terms) -> Tensor:
        """The derivative in z of the sum of coefficient D(tree) over the terms: [1, m]."""
        result = torch.zeros_like(self.derivatives[0, 0])
        for coefficient, tree in terms:
            result += coefficient * self.slope(tree)
        return result

    def value(self, tree: Tree) -> Tensor:
        """D(tree): [1, m]."""
        if tree not in self._values:
            legs, children = tree
            self._values[tree] = self._contracted(len(children), legs, [self.value(c) for c in children])
        return self._values[tree]

    def slope(self, tree: Tree) -> Tensor:
        """The derivative of D(tree) in z, by the product rule: [1, m]."""
        if tree not in self._slopes:
            legs, children = tree
            values = [self.value(c) for c in children]
            result = self._contracted(len(children) + 1, legs, values)
            for i, child in enumerate(children):
                moved = [*values[:i], self.slope(child), *values[i + 1 :]]
                result = result + self._contracted(len(children), legs, moved)
            self._slopes[tree] = result
        return self._slopes[tree]

    def _contracted(self, times: int, legs: int, factors: list[Tensor]) -> Tensor:
        """The derivative of G, `times` in z and `legs` times in u, times the factors."""
        return prod(reversed(factors), start=self.derivatives[times, legs])


class SpaceDifferentials:
    """In any dimension, without tensors of derivatives: D(q, subtrees) is q! prod m! times a Taylor coefficient of

        G(z + sum_tau s_tau D(tau), u + s),   that of s^q prod s_tau^m with every subtree tau m times.

    All trees with n vertices and legs follow from one truncated series, whose vectors are the trees with fewer.
    """

    def __init__(self, mixture: GaussianMixture, frame: Frame, z: Tensor, u: Tensor) -> None:
        """z [d, m], u [1, m]: the points."""
        self._of = mixture, frame, z, u
        self._values: dict[Tree, Tensor] = {}

    def value(self, tree: Tree) -> Tensor:
        """D(tree): [d, m]."""
        if tree not in self._values:
            self.make([tree])
        return self._values[tree]

    def make(self, trees: Iterable[Tree]) -> None:
        """Compute these trees, and their subtrees, which are fewer passes together than one by one."""
        wanted = {tree for each in trees for tree in _subtrees(each)} - self._values.keys()
        for order in sorted({_order(tree) for tree in wanted}):
            self._make(order, [tree for tree in wanted if _order(tree) == order])

    def _make(self, order: int, trees: list[Tree]) -> None:
        """Trees of one order, from those of lower orders.

        The variable of a subtree tau is s = r^|tau|, so that a total degree of order - 1 in all r is what is needed.
        """
        mixture, frame, z, u = self._of
        subtrees = list(dict.fromkeys(child for _, children in trees for child in children))
        sizes = [_order(tree) for tree in subtrees]

        def place(legs: int, times: Iterable[int]) -> Exponents:
            return (*(size * m for size, m in zip(sizes, times, strict=True)), legs)

        none = [0] * len(subtrees)
        zj: Jet = {place(0, none): z}
        for tree in subtrees:
            zj[place(0, [int(tree == other) for other in subtrees])] = self._values[tree]
        uj: Jet = {place(0, none): u, place(1, none): torch.ones_like(u)}
        series = right_side(mixture, frame, zj, uj, order - 1)
        for legs, children in trees:
            times = [children.count(tree) for tree in subtrees]
            coefficient = series.get(place(legs, times))
            value = torch.zeros_like(z) if coefficient is None else coefficient.expand_as(z)
            self._values[legs, children] = value * (factorial(legs) * prod(map(factorial, times)))


def _subtrees(tree: Tree) -> set[Tree]:
    """A tree and all of its subtrees."""
    return {tree}.union(*(_subtrees(child) for child in tree[1]))


def _order(tree: Tree) -> int:
    """The number of vertices and legs."""
    return 1 + tree[0] + sum(map(_order, tree[1]))


class PathDifferentials:
    """The differentials along a path: those of one frame at a time are kept for all methods in it, and in one dimension
    the derivatives of the score, from which they follow, for all frames.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frame = ""
        self._kept: dict[tuple[int, int], LineDifferentials | SpaceDifferentials] = {}
        self._scores: dict[tuple[int, int], tuple[int, Jet]] = {}

    def in_space(self, indices: Tensor, frame: Frame) -> SpaceDifferentials:
        """Those at all samples and consecutive points of the path."""
        place, found = self._known(indices, frame)
        if not isinstance(found, SpaceDifferentials):
            found = SpaceDifferentials(self._path.mixture, frame, *self.points(indices, frame))
            self._keep(place, found)
        return found

    def on_the_line(self, indices: Tensor, frame: Frame, degree: int) -> LineDifferentials:
        """The same in one dimension, at least up to a total degree."""
        place, found = self._known(indices, frame)
        if not isinstance(found, LineDifferentials) or found.degree < degree:
            columns, x, mixture = self._path.columns.take(indices), self._path.x[indices], self._path.mixture
            known, scores = self._scores.get(place, (-1, {}))
            if known < degree:
                y, w = x / columns.alpha[:, None, None], columns.rho2[:, None].expand(x.shape[:2])
                known, scores = degree, score_in_variance(mixture, y.view(1, -1), w.reshape(1, -1), degree)
            found = LineDifferentials(partial_derivatives(mixture, frame, *self.points(indices, frame), degree, scores))
            if self._keep(place, found):
                self._scores[place] = known, scores
        return found

    def _known(self, indices: Tensor, frame: Frame) -> tuple[tuple[int, int], object]:
        """The place of these points among those kept, and what is kept of them in this frame."""
        if frame.name != self._frame:
            self._frame = frame.name
            self._kept.clear()
        place = (int(indices[0]), len(indices))
        return place, self._kept.get(place)

    def _keep(self, place: tuple[int, int], found: LineDifferentials | SpaceDifferentials) -> bool:
        if self._path.x.numel() <= KEPT:
            self._kept[place] = found
        return place in self._kept

    def points(self, indices: Tensor, frame: Frame) -> tuple[Tensor, Tensor]:
        """z = x/m [d, m] and u [1, m] at every sample and these points."""
        columns, x = self._path.columns.take(indices), self._path.x[indices]
        scale = torch.as_tensor(frame.functions(columns.alpha, columns.sigma)[0], dtype=torch.float64)
        u = getattr(columns, frame.clock)[:, None].expand(x.shape[:2])
        return (x / scale[:, None, None]).flatten(0, 1).T.contiguous(), u.reshape(1, -1)


def partial_derivatives(
    mixture: GaussianMixture, frame: Frame, z: Tensor, u: Tensor, degree: int, score: Jet | None = None
) -> Derivatives:
    """All partial derivatives of G up to a total degree, in one dimension, at z and u [1, m].

    score: in (y, w) at these points, at least to this degree (score_in_variance).
    """
    zj, uj = jets.variables(z, u)
    series = right_side(mixture, frame, zj, uj, degree, score)
    return {orders: part.expand_as(z) for orders, part in jets.partials(series).items() if sum(orders) <= degree}


def right_side(mixture: GaussianMixture, frame: Frame, z: Jet, u: Jet, degree: int, score: Jet | None = None) -> Jet:
    """G(z, u) [d, m] of series z, of vectors [d, m], and u, of rows [1, m], up to a total degree.

    With y = x/alpha and w = rho^2 every G follows from the score of x0 + rho eps. By frame: data e^u (y + w score) at
    y = e^{-u} z, w = e^{-2u}; noise e^{-2u} score; noise in rho -u score; variance -score/2.
    score: in one dimension, in (y, w) at these points (score_in_variance); else it is made of these series.
    """

    def times(a: Jet, b: Jet) -> Jet:
        return jets.multiply(a, b, degree)

    match frame.clock:
        case "lam":
            w = jets.exp(jets.scale(u, -2.0), degree)
        case "rho":
            w = times(u, u)
        case _:
            w = u
    y = times(z, jets.exp(jets.scale(u, -1.0), degree)) if frame.name == "data" else z
    found = score_series(mixture, y, w, degree) if score is None else jets.substitute(score, [y, w], degree)
    match frame.name:
        case "data":
            return times(jets.exp(u, degree), jets.add(y, times(w, found)))
        case "noise":
            return times(w, found)
        case "noise-rho":
            return jets.scale(times(u, found), -1.0)
        case _:
            return jets.scale(found, -0.5)


def score_in_variance(mixture: GaussianMixture, y: Tensor, w: Tensor, degree: int) -> Jet:
    """The score of x0 + sqrt(w) eps as a function of y and w [1, m], in one dimension, up to a total degree.

    The density p obeys the heat equation p_w = p_yy/2, the score s = (log p)_y that of Burgers, s_w = s_yy/2 + s s_y:
    all of its derivatives follow from those in y, up to twice the degree.
    """
    # log w_k N_k is a quadratic in y. Less that of the largest component, whose share is one then, nothing cancels.
    variance, away = mixture.variances + w, y - mixture.means
    value = mixture.weights.log()[:, None] - variance.log() / 2 - away.square() / (2 * variance)
    slope, curve = -away / variance, -1 / variance
    largest = value.argmax(dim=0, keepdim=True)
    of_largest = [part.gather(0, largest) for part in (value, slope, curve)]
    value, slope, curve = (part - own for part, own in zip((value, slope, curve), of_largest, strict=True))
    # Taylor coefficients in y of the components, of their sum t, and of the score s: t s = t_y.
    before, here, sums = torch.zeros_like(value), value.exp(), list[Tensor]()
    for n in range(1, 2 * degree + 3):
        sums.append(here.sum(dim=0, keepdim=True))
        before, here = here, (slope * here).addcmul_(curve, before).div_(n)
    found: Jet = {}
    for n in range(2 * degree + 1):
        rest = (n + 1) * sums[n + 1]
        for i in range(n):
            rest.addcmul_(found[i, 0], sums[n - i], value=-1)
        found[n, 0] = rest / sums[0]
    for n in range(min(2, 2 * degree + 1)):
        found[n, 0] += of_largest[n + 1]
    # Burgers, with (s^2)_y/2 for s s_y.
    for b in range(degree):
        for a in range(2 * (degree - b) - 1):
            total = (a + 2) * found[a + 2, b]
            for i in range(a + 2):
                for j in range(b + 1):
                    total.addcmul_(found[i, j], found[a + 1 - i, b - j])
            found[a, b + 1] = total.mul_((a + 1) / (2 * (b + 1)))
    return {orders: part for orders, part in found.items() if sum(orders) <= degree}


def score_series(mixture: GaussianMixture, y: Jet, w: Jet, degree: int) -> Jet:
    """The score of x0 + sqrt(w) eps: -sum_k r_k (C_k + w)^{-1} (y - mu_k), with responsibilities r_k by a softmax.

    y, of vectors [d, m], and w, of rows [1, m]; all arrays are [K, d, m] along the principal axes of the components.
    """

    def product(a: Jet, b: Jet) -> Jet:
        return jets.multiply(a, b, degree)

    def each(jet: Jet, function: Callable[[Tensor], Tensor]) -> Jet:
        return {exponents: function(value) for exponents, value in jet.items()}

    constant, axes, variances = jets.origin(w), mixture.axes, mixture.variances[:, :, None]
    away = jets.shift(each(y, lambda v: v[None]), -mixture.means[:, :, None])
    principal = away if axes is None else each(away, lambda v: axes.mT @ v)
    variance = jets.shift(each(w, lambda v: v[None]), variances)
    # (C_k + w)^{-1} (y - mu_k), and log w_k - ((y - mu_k)^T (C_k + w)^{-1} (y - mu_k) + log det (C_k + w)) / 2.
    pulls = product(principal, jets.inverse(variance, degree))
    squares = each(product(principal, pulls), lambda v: v.sum(dim=1, keepdim=True))
    same = mixture.dim // variances.shape[1]  # axes of one variance
    log_det = each(jets.log(variance, degree), lambda v: same * v.sum(dim=1, keepdim=True))
    logits = jets.shift(jets.scale(jets.add(squares, log_det), -0.5), mixture.weights.log()[:, None, None])
    # Responsibilities: the softmax of the logits, less their largest value.
    masses = jets.exp(jets.shift(logits, -logits[constant].amax(dim=0)), degree)
    total = each(masses, lambda v: v.sum(dim=0, keepdim=True))
    shares = product(masses, jets.inverse(total, degree))
    # The mean of the components' scores.
    back = pulls if axes is None else each(pulls, lambda v: axes @ v)
    return each(product(shares, back), lambda v: -v.sum(dim=0))
