"""Noise schedules: alpha, sigma and the clocks as functions of t, and t as a function of lambda.

Written with expm1, log1p and sines of differences, so that the generated code is accurate where the plain
formulas cancel (t -> 0). Claims prove each line against its definition.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from .notation import lam, t


@dataclass(frozen=True)
class Schedule:
    """alpha(t), sigma(t), rho^2(t), lambda(t) and the inverse t(lambda).

    domain: the closed interval of t (None: unbounded).  prior: the standard deviation of the usual start law,
    "unit" for N(0, 1) or "sigma" for N(0, sigma^2).
    """

    name: str
    parameters: tuple[sp.Symbol, ...]
    domain: tuple[sp.Expr, sp.Expr | None]
    prior: str
    alpha: sp.Expr
    sigma: sp.Expr
    rho2: sp.Expr
    lam: sp.Expr
    time: sp.Expr
    cite: str
    defaults: tuple[tuple[sp.Symbol, sp.Rational], ...] = ()

    @cached_property
    def dalpha(self) -> sp.Expr:
        return sp.diff(self.alpha, t)

    @cached_property
    def dsigma(self) -> sp.Expr:
        return sp.diff(self.sigma, t)


def variance_preserving(
    name: str,
    parameters: tuple[sp.Symbol, ...],
    energy: sp.Expr,
    time_of_energy: sp.Expr,
    cite: str,
    defaults: tuple[tuple[sp.Symbol, sp.Rational], ...] = (),
) -> Schedule:
    """alpha = e^{-I/2}, sigma^2 = 1 - e^{-I}, rho^2 = e^I - 1 for the integrated rate I(t) = -log alpha^2."""
    return Schedule(
        name=name,
        parameters=parameters,
        domain=(sp.S.Zero, None),
        prior="unit",
        alpha=sp.exp(-energy / 2),
        sigma=sp.sqrt(-expm1(-energy)),
        rho2=expm1(energy),
        lam=-sp.log(expm1(energy)) / 2,
        time=time_of_energy,
        cite=cite,
        defaults=defaults,
    )


beta_min, beta_max = sp.symbols("beta_min beta_max", positive=True)
_energy = log1p(sp.exp(-2 * lam))  # I as a function of lambda, for every variance-preserving schedule
VP_LINEAR = variance_preserving(
    "vp-linear",
    (beta_min, beta_max),
    energy=beta_min * t + (beta_max - beta_min) * t**2 / 2,
    # the root of the quadratic, rationalised so that it does not cancel for small I
    time_of_energy=2 * _energy / (beta_min + sp.sqrt(beta_min**2 + 2 * (beta_max - beta_min) * _energy)),
    cite="song2021scorebased",
    defaults=((beta_min, sp.Rational(1, 10)), (beta_max, sp.Integer(20))),
)

# cosine: alpha = cos(a) / cos(a_0) with the angle a = (pi/2) (t + s) / (1 + s), a_0 = a(0); d = a - a_0.
offset = sp.Symbol("offset", positive=True)
COSINE_START = sp.pi * offset / (2 * (1 + offset))
COSINE_GAIN = sp.pi * t / (2 * (1 + offset))
_cos = sp.cos(COSINE_START)
_sigma_lam = 1 / sp.sqrt(1 + sp.exp(2 * lam))
_alpha_lam = 1 / sp.sqrt(1 + sp.exp(-2 * lam))
_sin_a = sp.sqrt(sp.sin(COSINE_START) ** 2 + _cos**2 * _sigma_lam**2)
_cos_a = _cos * _alpha_lam
COSINE = Schedule(
    name="cosine",
    parameters=(offset,),
    domain=(sp.S.Zero, sp.S.One),
    prior="unit",
    alpha=sp.cos(COSINE_START + COSINE_GAIN) / _cos,
    sigma=sp.sqrt(sp.sin(COSINE_GAIN) * sp.sin(2 * COSINE_START + COSINE_GAIN)) / _cos,
    rho2=sp.sin(COSINE_GAIN) * sp.sin(2 * COSINE_START + COSINE_GAIN) / sp.cos(COSINE_START + COSINE_GAIN) ** 2,
    lam=sp.log(sp.cos(COSINE_START + COSINE_GAIN) ** 2 / (sp.sin(COSINE_GAIN) * sp.sin(2 * COSINE_START + COSINE_GAIN)))
    / 2,
    # sin d = cos^2 a_0 sigma^2 / sin(a + a_0),  cos d = cos a cos a_0 + sin a sin a_0: neither cancels
    time=2
    * (1 + offset)
    / sp.pi
    * sp.atan2(
        _cos**2 * _sigma_lam**2 / (_sin_a * _cos + _cos_a * sp.sin(COSINE_START)),
        _cos_a * _cos + _sin_a * sp.sin(COSINE_START),
    ),
    cite="nichol2021improved",
    defaults=((offset, sp.Rational(8, 1000)),),
)

sigma_min, sigma_max = sp.symbols("sigma_min sigma_max", positive=True)
_ve = sigma_min * (sigma_max / sigma_min) ** t
VE = Schedule(
    name="ve",
    parameters=(sigma_min, sigma_max),
    domain=(sp.S.Zero, sp.S.One),
    prior="sigma",
    alpha=sp.S.One,
    sigma=_ve,
    rho2=_ve**2,
    lam=-sp.log(sigma_min) - t * sp.log(sigma_max / sigma_min),
    time=-(lam + sp.log(sigma_min)) / sp.log(sigma_max / sigma_min),
    cite="song2021scorebased",
    defaults=((sigma_min, sp.Rational(1, 100)), (sigma_max, sp.Integer(50))),
)

EDM = Schedule(
    name="edm",
    parameters=(),
    domain=(sp.S.Zero, None),
    prior="sigma",
    alpha=sp.S.One,
    sigma=t,
    rho2=t**2,
    lam=-sp.log(t),
    time=sp.exp(-lam),
    cite="karras2022edm",
)

FLOW = Schedule(
    name="flow",
    parameters=(),
    domain=(sp.S.Zero, sp.S.One),
    prior="sigma",
    alpha=1 - t,
    sigma=t,
    rho2=(t / (1 - t)) ** 2,
    lam=sp.log((1 - t) / t),
    time=1 / (1 + sp.exp(lam)),
    cite="lipman2023flow",
)

SCHEDULES: tuple[Schedule, ...] = (VP_LINEAR, COSINE, VE, EDM, FLOW)

# Li et al.'s discrete schedule has no t: b_1 = T^-c0, and b_k for k = 2..T below.
levels, c0, c1, k = sp.symbols("levels c0 c1 k", positive=True)
_rate = c1 * sp.log(levels) / levels
LI_FIRST_BETA = levels**-c0
LI_BETA = _rate * sp.Min(1, LI_FIRST_BETA * (1 + _rate) ** (k - 1))
