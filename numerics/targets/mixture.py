"""Gaussian mixtures under the forward process: every prediction, density, posterior and sample, exactly.

The law of x = alpha x0 + sigma eps is a mixture again, with components N(alpha mu_k, alpha^2 C_k + sigma^2 I)
and responsibilities r_k(x).  A component's prediction is affine in x, the mixture's is their mean under r_k.
Everything is computed on blocks of b points, [K, d, b] along the principal axes of the components, in the same few
arrays: new ones would cost a page fault every 4 KB, more than the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..denoisers import parts
from ..errors import InputError, of_type, whole
from ..points import Point
from .block_arrays import BLOCK, Workspace, softmax_, workspace
from .components import Components, Marginal, along_axes, check_components, moments_at
from .conditioned import Parts, given_parts, posterior_draws, tilted_parts
from .line_tangent import Array, Line, line_tangents, lines_of
from .split_products import Products, by_products, products_of

KEPT, LINES = 2048, 8192  # points whose laws are kept for other methods on their grids; of <= 64 parts on the line


class _Affine(NamedTuple):
    """A prediction of every component: offset_k + gain_k (x - alpha mu_k) / v_k along each axis.

    Values sum r_k offset_k, to a few eps of sum r_k |offset_k|: a distant mean with a small r_k costs no digits.
    Derivatives and covariances, which depend on differences of offsets only, use `centred`.
    """

    offset: Tensor | None  # [K, d]
    centred: Tensor | None  # [K, d], offset_k minus the mean of the offsets
    gain: Tensor  # [K | 1, d | 1, 1]
    products: Products | None  # which make values faster


POINT = "a point of a process, such as grid.points[0] or schedule.point(0.5)"
GENERATOR = "a generator, such as torch.Generator().manual_seed(0)"


class GaussianMixture:
    """p(x0) = sum_k w_k N(x0; mu_k, C_k), and its laws under x = alpha x0 + sigma eps.

    weights [K]; means [K] (d = 1) or [K][d]; and one of stds [K] (isotropic) or [K][d] (along the axes) and
    covariances [K][d][d].  All float64; results have the dtype and the device of x.
    It is a denoiser with exact predictions, mixture(x, at, "data") for x [..., d], and has `log_density`, `posterior`
    and `sample(n, at, generator)` at every point of a process.
    Raises InputError, naming the field of the study file, for weights that are negative or do not sum to 1,
    negative stds, covariances that are not symmetric positive semi-definite, shapes that disagree, and entries
    that are not finite.  A variance may be zero where sigma is not.

    >>> import torch
    >>> import samplerproof as sp
    >>> mixture = sp.GaussianMixture([0.5, 0.5], [-1.0, 1.0], stds=[0.1, 0.1])
    >>> mixture(torch.zeros(3, 1), sp.schedule("edm").point(0.5), "data")
    tensor([[0.],
            [0.],
            [0.]])
    """

    def __init__(self, weights: object, means: object, stds: object = None, covariances: object = None) -> None:
        self.weights, self.means, self.variances, self.axes = check_components(weights, means, stds, covariances)
        self.components, self.dim = self.means.shape
        self._centred = self.means - self.weights @ self.means
        self._marginals: dict[tuple[float, float, torch.device | None], Marginal] = {}
        self._images: dict[tuple[Point, str, torch.device], tuple[Marginal, _Affine]] = {}
        self._lines: dict[tuple[Point, str], Line] = {}  # in one dimension

    def __repr__(self) -> str:
        return f"GaussianMixture({self.components} components, d = {self.dim})"

    def __call__(self, x: Tensor, at: Point, prediction: str) -> Tensor:
        """E[F | x] for F = "data" x0, "noise" eps, "score" grad log p, "velocity" alpha' x0 + sigma' eps, "v" of parts.

        x [..., d] -> [..., d]; with v = alpha^2 s^2 + sigma^2 and y = (x - alpha mu) / v of a component:
        x0 = mu + alpha s^2 y, eps = sigma y, score = -y.  InputError for an unknown prediction or a wrong shape.
        Many isotropic components have shares right to 5e-13 by a bound from x (plain_products), others to rounding.
        """
        self._check_shape(x)
        law, image = self._images_at(at, prediction, x.device)
        if image.products and (values := by_products(image.products, x.reshape(-1, self.dim))) is not None:
            return values.view(x.shape)

        def value(space: Workspace, block: Tensor) -> Tensor:
            self._whiten(space, block, law)
            softmax_(space.logits)
            return self._combine(space, image)

        return self._blocks(value, [x])[0]

    def tangent(self, x: Tensor, dx: Tensor, at: Point, prediction: str) -> tuple[Tensor, Tensor]:
        """The prediction at x and its derivative along dx; all of the shape [..., d].

        sum_k r_k p_k has the derivative sum_k r_k p_k' dx + sum_k dr_k p_k, dr_k = r_k (s_k - s) . dx, with
        the scores s_k of the components and s of the mixture.
        """
        value, derivative = self.with_derivative(x, dx, at, prediction)
        return value, derivative

    def with_derivative(self, x: Tensor, dx: Tensor, at: Point, prediction: str) -> Tensor:
        """The same in one tensor [2, ..., d]; of [m, n, 1] every part [n, 1] has the bits that it has alone."""
        if x.shape != dx.shape:
            raise InputError("dx", list(dx.shape), f"the shape {list(x.shape)} of x")
        if x.shape[-1:] == (1,) and self.dim == 1 and _plain(x) and _plain(dx):
            answer = line_tangents(self._line_at(at, prediction), x.numpy(), dx.numpy())
            return torch.from_numpy(answer).view(2, *x.shape)
        law, image = self._images_at(at, prediction, x.device)

        def both(space: Workspace, block: Tensor, along: Tensor) -> Tensor:
            self._whiten(space, block, law)
            weights, scaled = softmax_(space.logits), space.scaled
            along_axes = self._rotate(along.expand_as(scaled))
            rate = torch.mul(scaled, along_axes, out=space.spare).sum(dim=1).neg_()  # s_k . dx
            rate.sub_((weights * rate).sum(dim=0)).mul_(weights)
            moved = torch.mul(along_axes, law.precision, out=space.spare)
            moved.mul_(weights[:, None]).addcmul_(scaled, rate[:, None]).mul_(image.gain)
            derivative = self._gather(moved)
            if image.centred is not None:
                derivative.add_(image.centred.T @ rate)
            return torch.cat([self._combine(space, image), derivative])

        return torch.stack(self._blocks(both, [x, dx]))

    def jacobian(self, x: Tensor, at: Point, prediction: str) -> tuple[Tensor, Tensor]:
        """The prediction at x [..., d] and its Jacobian [..., d, d], a symmetric matrix.

        sum_k r_k p_k has the Jacobian sum_k r_k p_k' + sum_k r_k (p_k - p) (s_k - s)^T, with the scores s_k of the
        components and s of the mixture: the derivative of `tangent` along all axes at once.
        """
        law, image = self._images_at(at, prediction, x.device)
        slope = (image.gain * law.precision)[..., 0].expand(self.components, self.dim)
        within = along_axes(slope, None if self.axes is None else self.axes.to(x.device))

        def both(space: Workspace, block: Tensor) -> Tensor:
            self._whiten(space, block, law)
            weights = softmax_(space.logits)
            part = self._rotate(space.scaled * image.gain, back=True)
            if image.centred is not None:
                part = part + image.centred[:, :, None]  # p_k minus the mean of the offsets
            score = self._rotate(space.scaled.neg(), back=True)
            share = weights[:, None]
            part, score = part - (part * share).sum(dim=0), score - (score * share).sum(dim=0)
            between = (part * share).permute(2, 1, 0) @ score.permute(2, 0, 1)  # [b, d, d]
            jacobian = between + (weights.T @ within.flatten(1)).view(-1, self.dim, self.dim)
            return torch.cat([self._combine(space, image), jacobian.flatten(1).T])

        out = self._blocks(both, [x], rows=self.dim * (1 + self.dim))[0]
        return out[..., : self.dim], out[..., self.dim :].reshape(*x.shape, self.dim)

    def log_density(self, x: Tensor, at: Point) -> Tensor:
        """log sum_k w_k N(x; alpha mu_k, alpha^2 C_k + sigma^2 I); x [..., d] -> [...]."""
        law = self.marginal(at, x.device)

        def value(space: Workspace, block: Tensor) -> Tensor:
            self._whiten(space, block, law)
            return torch.logsumexp(space.logits, dim=0, keepdim=True)

        return self._blocks(value, [x], rows=1)[0][..., 0]

    def posterior(self, x: Tensor, at: Point) -> tuple[Tensor, Tensor]:
        """Mean [..., d] and covariance [..., d, d] of x0 given x.

        Cov = sum_k r_k (sigma^2 C_k V_k^-1 + (m_k - m)(m_k - m)^T) with the components' posterior means m_k.
        """
        law, image = self._images_at(at, "data", x.device)
        variances = self.variances.to(x.device)
        inner = (at.sigma**2 * variances / law.variance[..., 0]).expand(-1, self.dim)
        within = along_axes(inner, None if self.axes is None else self.axes.to(x.device))
        assert image.offset is not None
        assert image.centred is not None
        offset, centred = image.offset, image.centred[:, :, None]

        def moments(space: Workspace, block: Tensor) -> Tensor:
            self._whiten(space, block, law)
            weights = softmax_(space.logits)
            part = self._rotate(space.scaled.mul_(image.gain), back=True)
            own = part + centred  # m_k minus the mean of the mixture
            spread = (own - (own * weights[:, None]).sum(dim=0)) * weights.sqrt()[:, None]
            spread = spread.permute(2, 1, 0)  # [b, d, K]
            mean = (part * weights[:, None]).sum(dim=0) + offset.T @ weights
            covariance = spread @ spread.mT + (weights.T @ within.flatten(1)).view(-1, self.dim, self.dim)
            return torch.cat([mean, covariance.flatten(1).T])

        out = self._blocks(moments, [x], rows=self.dim * (1 + self.dim))[0]
        return out[..., : self.dim], out[..., self.dim :].reshape(*x.shape, self.dim)

    def responsibilities(self, x: Tensor, at: Point) -> Tensor:
        """P(component k | x), w_k N_k(x) over its sum: x [..., d] -> [..., K]."""
        law = self.marginal(at, x.device)

        def value(space: Workspace, block: Tensor) -> Tensor:
            self._whiten(space, block, law)
            return softmax_(space.logits)

        return self._blocks(value, [x], rows=self.components)[0]

    def component_means(self, x: Tensor, at: Point) -> Tensor:
        """E[x0 | x, component k] = mu_k + alpha C_k V_k^-1 (x - alpha mu_k): x [..., d] -> [..., K, d]."""
        law, image = self._images_at(at, "data", x.device)
        assert image.offset is not None
        offset = image.offset[:, :, None]

        def value(space: Workspace, block: Tensor) -> Tensor:
            self._whiten(space, block, law)
            return (self._rotate(space.scaled.mul_(image.gain), back=True) + offset).flatten(0, 1)

        out = self._blocks(value, [x], rows=self.components * self.dim)[0]
        return out.reshape(*x.shape[:-1], self.components, self.dim)

    def posterior_sample(self, x: Tensor, at: Point, generator: torch.Generator) -> Tensor:
        """A draw of x0 given each x [..., d], float64: of component k by its responsibility, then of its posterior."""
        of_type("generator", generator, torch.Generator, GENERATOR)
        shares = self.responsibilities(x.to(torch.float64), at).reshape(-1, self.components)
        flat = x.reshape(-1, self.dim).to(torch.float64)
        return posterior_draws(self.parts, flat, at.alpha, at.sigma, shares, generator).reshape(x.shape)

    def given(self, H: object, z: object) -> GaussianMixture:
        """The law of x0 given H x0 = z, for H [k, d] and z [k]: a mixture.  InputError as conditioned.given_parts."""
        return _of(given_parts(self.parts, H, z))

    def tilted(self, Q: object, c: object, beta: float) -> GaussianMixture:
        """p(x) exp(-(x - c)^T Q (x - c)/(2 beta))/Z: a mixture.  InputError as conditioned.tilted_parts."""
        return _of(tilted_parts(self.parts, Q, c, beta))

    def sample(self, n: int, at: Point, generator: torch.Generator) -> Tensor:
        """n draws of alpha x0 + sigma eps: [n, d] float64, on the generator's device."""
        whole("n", n)
        if n < 1:
            raise InputError("n", n, "at least 1")
        of_type("at", at, Point, POINT)
        of_type("generator", generator, torch.Generator, GENERATOR)
        device = generator.device
        which = torch.multinomial(self.weights.to(device), n, replacement=True, generator=generator)
        x = torch.randn(n, self.dim, generator=generator, device=device, dtype=torch.float64)
        deviation = (at.alpha**2 * self.variances + at.sigma**2).sqrt().to(device)
        means = (at.alpha * self.means).to(device)
        for k in range(self.components):
            rows = which == k
            z = x[rows] * deviation[k]
            x[rows] = means[k] + (z if self.axes is None else z @ self.axes[k].T.to(device))
        return x

    def marginal(self, at: Point, device: torch.device | None = None) -> Marginal:
        """The components of the law of alpha x0 + sigma eps.  InputError where one of them is singular."""
        of_type("at", at, Point, POINT)
        place = at.alpha, at.sigma, device
        if place not in self._marginals:
            if len(self._marginals) >= KEPT:
                self._marginals.clear()
            self._marginals[place] = self._marginal(at, device)
        return self._marginals[place]

    @property
    def parts(self) -> Components:
        """Weights, means, and variances along principal axes."""
        return Components(self.weights, self.means, self.variances, self.axes)

    def _marginal(self, at: Point, device: torch.device | None) -> Marginal:
        *moments, log_weight = (part[0] for part in moments_at(self.parts, [at]))
        parts = (*(part[:, :, None] for part in (*moments, 1 / moments[-1])), log_weight[:, None])
        return Marginal(*(torch.from_numpy(part).to(device) for part in parts))

    def keep_lines(self, asked: Iterable[tuple[Point, str]]) -> None:
        """In one dimension compute what predictions at these points need: ten times as fast as one by one."""
        most = LINES if self.components <= 64 else KEPT
        new = list(islice((place for place in dict.fromkeys(asked) if place not in self._lines), most))
        if len(self._lines) + len(new) > most:
            self._lines.clear()
        for prediction in dict.fromkeys(prediction for _, prediction in new):
            points = [at for at, of in new if of == prediction]
            lines = lines_of(*moments_at(self.parts, points), *self._affine(points, prediction))
            self._lines |= zip(((at, prediction) for at in points), lines, strict=True)

    def _line_at(self, at: Point, prediction: str) -> Line:
        """The components and their predictions at a point, in one dimension."""
        if (at, prediction) not in self._lines:
            of_type("at", at, Point, POINT)
            self.keep_lines([(at, prediction)])
        return self._lines[at, prediction]

    def _images_at(self, at: Point, prediction: str, device: torch.device) -> tuple[Marginal, _Affine]:
        """The components of the law at a point, and of the prediction there."""
        of_type("at", at, Point, POINT)
        place = at, prediction, device
        if place not in self._images:
            if len(self._images) >= KEPT:
                self._images.clear()
            law = self.marginal(at, device)
            self._images[place] = law, self._image(at, prediction, law)
        return self._images[place]

    def _image(self, at: Point, prediction: str, law: Marginal) -> _Affine:
        gain, offset, centred = (None if part is None else part[0] for part in self._affine([at], prediction))
        made = [None if part is None else torch.from_numpy(part).to(law.high) for part in (offset, centred)]
        gains = torch.from_numpy(gain)[:, :, None].to(law.high)
        usual = self.axes is None and gains.device.type == "cpu"  # a device would be waited for
        return _Affine(made[0], made[1], gains, products_of(law, gains, made[0]) if usual else None)

    def _affine(self, points: Sequence[Point], prediction: str) -> tuple[Array, Array | None, Array | None]:
        """At P points the gain [P, K | 1, d | 1], the offset and the centred offset [P, K, d] of a prediction; see
        _Affine.
        """
        match prediction:
            case "score" | "noise":
                gains = [-1.0 if prediction == "score" else at.sigma for at in points]
                return np.array(gains)[:, None, None], None, None
            case "data" | "v" | "velocity":
                numbers = []
                for at in points:
                    data, noise = parts(prediction, at)
                    if math.isnan(data) or math.isnan(noise):
                        raise InputError("at", at, "velocity needs the derivatives dalpha and dsigma")
                    numbers.append((data, data * at.alpha, noise * at.sigma))
                data, of_variance, of_noise = np.array(numbers, dtype=np.float64)[:, :, None, None].swapaxes(0, 1)
                gain = of_variance * self.variances.numpy() + of_noise
                return gain, data * self.means.numpy(), data * self._centred.numpy()
            case _:
                raise InputError("prediction", prediction, "data, noise, score, velocity or v")

    def _whiten(self, space: Workspace, block: Tensor, law: Marginal) -> None:
        """For points [d, b]: space.scaled = (x - alpha mu) / v along the axes, space.logits = log w_k N_k(x)."""
        difference = self._rotate(torch.sub(block, law.high, out=space.spare).sub_(law.low))
        torch.mul(difference, law.precision, out=space.scaled)
        torch.sum(difference.mul_(space.scaled), dim=1, out=space.logits)
        space.logits.mul_(-0.5).add_(law.log_weight)

    def _combine(self, space: Workspace, image: _Affine) -> Tensor:
        """sum_k r_k p_k [d, b], the r_k in space.logits; overwrites space.scaled."""
        share = torch.mul(space.logits[:, None], image.gain, out=space.spare[:, : image.gain.shape[1]])
        value = self._gather(space.scaled.mul_(share))
        if image.offset is not None:
            value.add_(image.offset.T @ space.logits)
        return value

    def _gather(self, parts: Tensor) -> Tensor:
        """Sum over components of vectors in their principal axes: [K, d, b] -> [d, b]."""
        if self.axes is None:
            return parts.sum(dim=0)
        return self.axes.to(parts.device).transpose(0, 1).flatten(1) @ parts.flatten(0, 1)

    def _rotate(self, parts: Tensor, back: bool = False) -> Tensor:
        if self.axes is None:
            return parts
        axes = self.axes.to(parts.device)
        return torch.bmm(axes if back else axes.mT, parts)

    def _check_shape(self, x: Tensor) -> None:
        of_type("x", x, Tensor, "a tensor [..., d]")
        if x.ndim == 0 or x.shape[-1] != self.dim or not x.is_floating_point():
            raise InputError("x", (list(x.shape), x.dtype), f"floating point, with a last axis of length {self.dim}")

    def _blocks(self, work: Callable[..., Tensor], inputs: list[Tensor], rows: int = 0) -> list[Tensor]:
        """Apply work to blocks [d, b] of the inputs [..., d]; it returns `rows` (default d) rows for every answer."""
        x = inputs[0]
        self._check_shape(x)
        flat = [tensor.reshape(-1, self.dim) for tensor in inputs]
        n, width = len(flat[0]), rows or self.dim
        answers = [x.new_empty((n, width)) for _ in inputs]
        size = min(n, max(1, BLOCK // (self.components * self.dim)))
        space = workspace(self.components, self.dim, size, x.device)
        for start in range(0, n, max(size, 1)):
            part = slice(start, start + size)
            if n - start < size:
                space = workspace(self.components, self.dim, n - start, x.device)
            result = work(space, *(tensor[part].T.to(torch.float64) for tensor in flat))
            for i, answer in enumerate(answers):
                answer[part] = result[i * width : (i + 1) * width].T
        return [answer.reshape(*x.shape[:-1], width) for answer in answers]


def _plain(x: Tensor) -> bool:
    """Whether x is float64 on a CPU and records no gradient."""
    return x.dtype == torch.float64 and x.device.type == "cpu" and not x.requires_grad


def _of(parts: Parts) -> GaussianMixture:
    weights, means, covariances = parts
    return GaussianMixture(weights, means, covariances=covariances)


def with_tangent(mixture: GaussianMixture) -> Callable[[Tensor, Point, str], Tensor]:
    """A denoiser for stacked (x, dx) [2, ..., d], with which a linear loop computes dx_n/dx_start along with x_n."""

    def denoise(x: Tensor, at: Point, prediction: str) -> Tensor:
        if x.shape[0] != 2:
            raise InputError("x", list(x.shape), "shape [2, ..., d]: a value and a tangent")
        value, along = x.unbind()
        return mixture.with_derivative(value, along, at, prediction)

    return denoise
