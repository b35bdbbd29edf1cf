"""Semi-discrete optimal transport: heights, masses of cells, convexity."""

from __future__ import annotations

import sympy as sp

from .claim import Claim, Proof, claim


@claim(
    "transport-heights",
    "In one dimension the lines $x y_i + h_i$ and $x y_{i+1} + h_{i+1}$ meet at $b$ iff $h_{i+1} - h_i = -b (y_{i+1} "
    "- y_i)$: the heights follow from the quantiles $b$ of the cumulated masses.",
    "li2023dpmot",
)
def transport_heights() -> Proof:
    """Semi-discrete transport on the line.

    The two lines are evaluated at $b$ with this difference of heights and are equal there; with the other sign they are
    not.
    """
    y, step, height, b = sp.symbols("y step height b", real=True)
    gap = b * y + height - (b * (y + step) + height - b * step)
    other = b * y + height - (b * (y + step) + height + b * step)
    return Proof((gap,), nonzero=(other,))


@claim(
    "transport-gradient",
    "The energy $E max_i(x y_i + h_i)$ has the masses of the cells as its gradient in $h$, for any source, and is "
    "convex: its second derivative is the density at the boundary over the distance of the atoms.",
    "li2023dpmot",
)
def transport_gradient() -> Proof:
    """The gradient of the transport energy.

    For two neighbouring atoms the energy is written by the distribution function of the source and its partial first
    moment, whose derivative is $z$ times the density. The terms from the boundary cancel in the first derivative; the
    second is the density over the distance.
    """
    h1, h2, y = sp.symbols("h1 h2 y", real=True)
    step = sp.Symbol("step", positive=True)
    z = sp.Symbol("z", real=True)
    distribution, moment, whole = sp.Function("F"), sp.Function("M"), sp.Symbol("m", real=True)
    boundary = (h1 - h2) / step
    energy = y * moment(boundary) + h1 * distribution(boundary)
    energy += (y + step) * (whole - moment(boundary)) + h2 * (1 - distribution(boundary))

    def known(expression: sp.Expr) -> sp.Expr:
        """M' = z F' for the partial first moment, and functions at the boundary as symbols."""
        density, mass = sp.symbols("density mass", positive=True)
        slopes = {sp.Subs(sp.Derivative(moment(z), z), z, boundary): boundary * density}
        found = expression.doit().replace(
            lambda e: isinstance(e, sp.Subs),
            lambda e: (boundary if e.expr.has(moment) else 1) * density,
        )
        return found.subs(slopes).subs(distribution(boundary), mass)

    first = known(sp.diff(energy, h1))
    mass, density = sp.symbols("mass density", positive=True)
    second = known(sp.diff(distribution(boundary), h1))
    return Proof((first - mass, second - density / step), nonzero=(first, second))


CLAIMS: tuple[Claim, ...] = (transport_heights, transport_gradient)
