"""Leading residuals against moments found without a forest: a polynomial drift and test function in one dimension.

The exact moment comes from the generator, the sampler's from its rows as polynomials in its noises; both are exact.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import pytest
import sympy as sp

from samplerproof.theory.forests import ROOT, Forest
from samplerproof.theory.method import Method
from samplerproof.theory.methods import li_sde
from samplerproof.theory.methods import sde as records
from samplerproof.theory.methods.sde import tau
from samplerproof.theory.noise_model import Noise, NoiseModel
from samplerproof.theory.notation import c2, h
from samplerproof.theory.weak_order import prove_weak_order

z, u = sp.symbols("z u")
START = sp.Rational(1, 2)
G = 1 + 2 * z - z**2 + u * (1 - 3 * z + z**2) + 2 * u**2
F = z**4 - z**3 + 2 * z**2 + z
NUMBERS = {tau: sp.Rational(1, 2), c2: sp.Rational(2, 5)}

ORDER_ONE, ORDER_TWO = (
    [records.SA_SOLVER_1, li_sde.LI_ACCELERATED_SDE],
    [records.SDE_DPM_SOLVER_PP_2S, records.SEEDS_2],
)


def through(expression: sp.Expr, power: int) -> sp.Expr:
    """A polynomial in h, cut off."""
    return sum(c * h**k for (k,), c in sp.Poly(sp.expand(expression), h).terms() if k <= power)


def taylor(expression: sp.Expr, power: int) -> sp.Expr:
    """The series in h of an expression with phi functions, by sympy."""
    numbers = sp.sympify(expression).subs(NUMBERS).rewrite(sp.exp)
    return sp.series(numbers, h, 0, power + 1).removeO()


def exact_moment(sampler: Method, power: int) -> sp.Expr:
    """E F(z(h)) through h^power, from d/du E f = E(G f' + V'/2 f'')."""
    spread = sp.diff(taylor(sampler.step_noise.variance(sp.S.One), power + 1), h).subs(h, u) / 2

    def moment(f: sp.Expr, depth: int) -> sp.Expr:
        """E f(z(h)) for f in z, with `depth` more powers of h."""
        result = f.subs(z, START)
        if depth:
            rate = sp.Poly(sp.expand(G * sp.diff(f, z) + spread * sp.diff(f, z, 2)), u)
            for (k,), part in rate.terms():
                result += sp.integrate(sp.expand(h**k * moment(part, depth - 1)), (h, 0, h))
        return through(result, power)

    return moment(F, power)


def numerical_moment(sampler: Method, power: int) -> sp.Expr:
    """E F of the last row: rows as polynomials in their noises, and the moments of Gaussians."""
    ends = [row.end for row in sampler.rows]
    covariances = [[taylor(sampler.step_noise.covariance(i, j), power) for j in range(i + 1)] for i in range(len(ends))]
    noises = sp.symbols(f"n:{len(ends)}")
    places, made = [sp.S.Zero, *ends], [START]
    for row, weights, noise in zip(sampler.rows, sampler.weights, noises, strict=True):
        end, moved = places[len(made)], sp.S.Zero
        for node, weight in zip(row.nodes, weights, strict=True):
            c = places[node.stage]
            a = taylor(weight * sp.exp(sampler.step_noise.frame.rate * (end - c) * h), power)
            moved += a * G.subs({z: made[node.stage], u: c * h}).subs(NUMBERS)
        made.append(worth(START + moved + noise, noises, power))
    total = sp.S.Zero
    for powers, coefficient in sp.Poly(worth(F.subs(z, made[-1]), noises, power), *noises).terms():
        letters = [k for k, count in enumerate(powers) for _ in range(count)]
        total += coefficient * paired(letters, covariances)
    return through(total, power)


def worth(expression: sp.Expr, noises: tuple[sp.Symbol, ...], power: int) -> sp.Expr:
    """Without what comes after h^power in the mean: two noises are worth one h."""
    terms = sp.Poly(sp.expand(expression), h, *noises).terms()
    kept = [(p, c) for p, c in terms if 2 * p[0] + sum(p[1:]) <= 2 * power]
    return sum(c * prod(x**k for x, k in zip((h, *noises), p, strict=True)) for p, c in kept)


def paired(letters: list[int], covariances: list[list[sp.Expr]]) -> sp.Expr:
    """The mean of a product of Gaussians: the sum over all ways to pair them."""
    if not letters:
        return sp.S.One
    first, *rest = letters
    return sum(
        covariances[max(first, other)][min(first, other)] * paired(rest[:k] + rest[k + 1 :], covariances)
        for k, other in enumerate(rest)
    )


def differential(forest: Forest) -> sp.Expr:
    """The elementary differential of F and G in one dimension."""

    def factor(vertex: int) -> sp.Expr:
        arguments = len(forest.children(vertex)) + len(forest.ends(vertex))
        if vertex == ROOT:
            return sp.diff(F, z, arguments)
        return sp.diff(G, z, arguments, u, forest.legs[vertex - 1])

    return prod(factor(vertex) for vertex in (ROOT, *forest.nodes)).subs({z: START, u: 0})


@pytest.mark.parametrize("sampler", [*ORDER_ONE, *ORDER_TWO], ids=lambda s: s.name)
def test_the_error_of_a_moment_is_the_sum_of_the_leading_residuals(sampler: Method) -> None:
    proof = prove_weak_order(sampler)
    expected = sum(
        e.coefficient.subs(NUMBERS) * differential(e.forest) / e.forest.symmetry for e in proof.leading_residuals
    )
    power = proof.order + 1
    error = sp.expand(numerical_moment(sampler, power) - exact_moment(sampler, power))
    assert expected
    assert error == expected * h**power


def test_moments_see_a_noise_of_the_stage_that_is_not_shared() -> None:
    shared = records.SDE_DPM_SOLVER_PP_2S
    whole = sum(a.factor**2 * a.variance for a in shared.amplitudes(1))
    sampler = replace(shared, noise=NoiseModel(shared.strength, (shared.step_noise.row(0), Noise(whole, (sp.S.Zero,)))))
    (residual,) = prove_weak_order(sampler).leading_residuals
    error = sp.expand(numerical_moment(sampler, 2) - exact_moment(sampler, 2))
    assert error == residual.coefficient.subs(NUMBERS) * differential(residual.forest) * h**2 != 0
    assert numerical_moment(shared, 2) == exact_moment(shared, 2)
