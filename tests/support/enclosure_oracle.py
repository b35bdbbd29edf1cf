"""Generated weight functions against rigorous enclosures: the theory's weights in ball arithmetic (Arb)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from math import frexp, prod
from types import ModuleType

import sympy as sp
import torch
from flint import arb, ctx, fmpq

from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.generated import weight_functions as generated
from samplerproof.theory.exponential import one_node
from samplerproof.theory.method import named
from samplerproof.theory.methods import find
from samplerproof.theory.notation import moments
from samplerproof.theory.phi_functions import arc, phi

EPS = 2.0**-52
BITS = 100
SAMPLES = 150
Names = Mapping[str, float]


def shown(name: str, expressions: Sequence[sp.Expr]) -> tuple[sp.Expr, ...]:
    """Expressions of a record in the names of the generated code."""
    return tuple(find(name).shown(named(sp.sympify(e))) for e in expressions)


# Function name -> the theory's weights, and the names of its arguments.
FUNCTIONS: dict[str, tuple[Sequence[sp.Expr], tuple[str, ...]]] = {
    row.weights: (shown(name, find(name).applied[i]), row.arguments)
    for name, record in METHODS.items()
    for i, row in enumerate(record.rows)
}
FUNCTIONS |= {
    row.states: (shown(name, find(name).carried(i)), row.state_arguments)
    for name, record in METHODS.items()
    for i, row in enumerate(record.rows)
    if row.states is not None
}
FUNCTIONS |= {
    row.noises: (shown(name, [a.value for a in find(name).amplitudes(i)]), row.noise_arguments)
    for name, record in METHODS.items()
    for i, row in enumerate(record.rows)
    if row.noises is not None
}
# In these r1 and r2 are the places of the stages, as r and c2 are elsewhere, and no step ratios.
STAGED = {row.weights for m in METHODS.values() if "r1" in m.numbers for row in m.rows}
# In these the length of earlier steps is in an exponent.
LONG_EXPONENT = {
    name
    for name, (weights, _) in FUNCTIONS.items()
    if any(str(s) in ("r1", "r2") for w in weights for f in w.atoms(phi) for s in f.args[1].free_symbols)
} - STAGED
FUNCTIONS["one_node"] = ((one_node(sp.Symbol("kappa", integer=True)),), ("h", "kappa"))
FUNCTIONS["one_node_smooth"] = (moments[:1], ("m0",))


def phi_ball(k: int, z: arb) -> arb:
    """(e^z - sum_{j<k} z^j/j!) / z^k; the bits that it loses for a small z are added first."""
    if z == 0:
        return 1 / arb.fac_ui(k)
    lost = k * max(0, 2 - frexp(float(z))[1])
    with ctx.workprec(BITS + 40 + lost):
        return (z.exp() - sum((z**j / arb.fac_ui(j) for j in range(k)), start=arb(0))) / z**k


def arc_ball(z: arb) -> arb:
    """(z - arctan z)/z^3; the bits that it loses for a small z are added first."""
    if z == 0:
        return arb(1) / 3
    with ctx.workprec(BITS + 40 + 3 * max(0, 2 - frexp(float(z))[1])):
        return (z - z.atan()) / z**3


def ball(expression: sp.Expr, names: Names) -> arb:
    """An enclosure of an expression at floats, which are exact numbers."""
    if isinstance(expression, sp.Symbol):
        return arb(names[expression.name])
    if isinstance(expression, sp.Rational):
        return arb(fmpq(int(expression.p), int(expression.q)))
    if isinstance(expression, phi):
        with ctx.workprec(4 * BITS):  # its ball must survive the cancellation in phi
            z = ball(expression.args[1], names)
        return phi_ball(int(expression.args[0]), z)
    if isinstance(expression, arc):
        with ctx.workprec(4 * BITS):
            return arc_ball(ball(expression.args[0], names))
    parts = [ball(a, names) for a in expression.args]
    if isinstance(expression, sp.Add):
        return sum(parts, start=arb(0))
    if isinstance(expression, sp.Mul):
        return prod(parts, start=arb(1))
    assert isinstance(expression, sp.Pow), expression
    if abs(expression.exp) == sp.Rational(1, 2):
        return parts[0].sqrt() ** int(2 * expression.exp)
    assert expression.exp.is_Integer, expression
    return parts[0] ** int(expression.exp)


def enclose(weight: sp.Expr, names: Names) -> tuple[arb, arb]:
    """A weight, and the sum of the absolute values of its terms."""
    with ctx.workprec(BITS):
        terms = [ball(term, names) for term in sp.Add.make_args(sp.expand(weight))]
        return sum(terms, start=arb(0)), sum(map(abs, terms), start=arb(0))


def within(value: float, true: arb, absolute: arb) -> bool:
    """Whether a float64 value certainly lies within 8 eps times the sum of absolute terms."""
    return bool(abs(arb(value) - true) <= 8 * EPS * absolute)


def random_arguments(name: str, chance: random.Random) -> dict[str, float]:
    """|h| in [1e-7, 10], ratios in [1e-3, 1e3], all log-uniform; a1 in [1/2, 2]; fractions below 1; tau below 3.

    Churn lies up to sqrt 2 away in sigma. A step with noise goes forward: h > 0.
    """
    # b h, tau^2 h, r h <= 5: the exponential of a rounded product loses half an eps for every unit of it.
    ranges = {"h": (-7, 1), "a1": (-0.3, 0.3), "middle": (-2, 0), "gamma": (-3, 0), "b": (-3, -0.3)}
    ranges |= {"r": (-2, -0.01), "c2": (-2, -0.01)} | ({"r1": (-2, -0.01), "r2": (-2, -0.01)} if name in STAGED else {})
    ranges |= {"tau": (-3, 0.48), "eta": (-3, 0), "alpha_ratio": (-1, 0), "noised_place": (-4, -0.47)}
    arguments = FUNCTIONS[name][1]
    names = {a: 10 ** chance.uniform(*ranges.get(a, (-3, 3))) for a in arguments}
    if "tau" in names:
        names["h"] = min(names["h"], 5 / names["tau"] ** 2)
    if name in LONG_EXPONENT:
        names["h"] = min(names["h"], 5 / sum(names[r] for r in ("r1", "r2") if r in names))
    if "noised_place" in names:
        names["noised_place"] /= -names["h"]
    elif not name.endswith("_noises"):
        for signed in {"h", "b", "rate_moment", *(m.name for m in moments)} & set(names):
            names[signed] *= chance.choice([-1, 1])
    if "next_rho" in names:  # a step goes to less noise
        names["next_rho"] = names["rho"] * chance.random()
        names["h"] = names["next_rho"] - names["rho"]
    return names | ({"kappa": float(chance.choice([-1, 0, 1]))} if "kappa" in arguments else {})


def enclosed(function: str, module: ModuleType = generated) -> Iterator[tuple[float, arb, arb]]:
    """The values of every weight of a generated function, each with its enclosure and the sum of absolute terms."""
    chance = random.Random(function)
    weights, arguments = FUNCTIONS[function]
    samples = [random_arguments(function, chance) for _ in range(SAMPLES)]
    inputs = (torch.tensor([names[a] for names in samples], dtype=torch.float64) for a in arguments)
    for weight, result in zip(weights, getattr(module, function)(*inputs), strict=True):
        values = torch.as_tensor(result, dtype=torch.float64).expand(len(samples)).tolist()
        for names, value in zip(samples, values, strict=True):
            yield value, *enclose(weight, names)
