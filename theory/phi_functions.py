"""The phi functions: phi_0(z) = e^z, phi_k(z) = sum_j z^j / (j+k)! = (phi_{k-1}(z) - 1/(k-1)!) / z.

They stay atoms: weights are linear in them, code calls them by name, and only a proof that must decide
whether an expression is zero rewrites them in exponentials.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from .notation import h


class phi(sp.Function):  # type: ignore[misc]
    """phi_k(z) as an atom; phi_k(0) = 1/k! (Hochbruck and Ostermann 2010, eq. 2.10)."""

    nargs = 2

    @classmethod
    def eval(cls, k: sp.Expr, z: sp.Expr) -> sp.Expr | None:
        if not (k.is_Integer and k.is_nonnegative):
            raise ValueError(f"phi: index must be an integer >= 0, got {k}")
        return 1 / sp.factorial(k) if z.is_zero else None

    def fdiff(self, argindex: int = 2) -> sp.Expr:
        """phi_k' = phi_k - k phi_{k+1}."""
        k, z = self.args
        return phi(k, z) - k * phi(k + 1, z)

    def _eval_rewrite_as_exp(self, k: sp.Expr, z: sp.Expr, **_: Any) -> sp.Expr:
        return (sp.exp(z) - sum(z**j / sp.factorial(j) for j in range(int(k)))) / z**k

    def _latex(self, printer: Any, **_: Any) -> str:
        k, z = self.args
        return rf"e^{{{printer._print(z)}}}" if k == 0 else rf"\varphi_{{{k}}}\left({printer._print(z)}\right)"


class rate_moment(sp.Function):  # type: ignore[misc]
    """The integral of e^{b (u - u_{n+1})} w(u) du over the step, for a smooth weight w: a number of its own."""

    nargs = 1

    def _latex(self, printer: Any, **_: Any) -> str:
        return rf"M_{{{printer._print(self.args[0])}}}"


class arc(sp.Function):  # type: ignore[misc]
    """(z - arctan z)/z^3 = 1/3 - z^2/5 + z^4/7 - … as an atom: what is left of arctan beyond its tangent."""

    nargs = 1

    @classmethod
    def eval(cls, z: sp.Expr) -> sp.Expr | None:
        return sp.Rational(1, 3) if z.is_zero else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        (z,) = self.args
        return (1 / (1 + z**2) - 3 * arc(z)) / z

    def _latex(self, printer: Any, **_: Any) -> str:
        return rf"\operatorname{{arc}}\left({printer._print(self.args[0])}\right)"


def moment(k: int, kappa: int, end: sp.Expr) -> sp.Expr:
    """Integral of e^{-kappa (end h - tau)} (tau/h)^k over tau in [0, end h].

    Equals k! end^{k+1} h phi_{k+1}(-kappa end h); for kappa = 0 the plain h end^{k+1} / (k+1).
    """
    return sp.factorial(k) * end ** (k + 1) * h * phi(k + 1, -kappa * end * h)


def is_zero(expression: sp.Expr) -> bool:
    """Decide exactly whether an expression rational in its symbols, square roots and exponentials vanishes.

    phi, expm1, log1p and circular functions are written in exponentials and logarithms; every exponential e^{q a}
    (q rational) becomes a power of one independent generator per a; the numerator of the resulting rational function
    must be the zero polynomial.
    """
    plain = sp.sympify(expression).rewrite(sp.exp).rewrite(sp.log)
    terms = {e: _exponent_terms(e) for e in plain.atoms(sp.exp)}
    roots: dict[sp.Expr, int] = {}
    for pairs in terms.values():
        for q, a in pairs:
            roots[a] = sp.ilcm(roots.get(a, 1), q.q)
    generators = {a: sp.Dummy(f"E{i}", positive=True) for i, a in enumerate(sorted(roots, key=sp.default_sort_key))}
    powers = {e: sp.prod(generators[a] ** (q * roots[a]) for q, a in pairs) for e, pairs in terms.items()}
    numerator = sp.fraction(sp.together(plain.xreplace(powers)))[0]
    return bool(sp.expand(sp.radsimp(numerator)) == 0)


def _exponent_terms(exponential: sp.Expr) -> list[tuple[sp.Rational, sp.Expr]]:
    """The exponent as a sum of rational multiples q a."""
    exponent = sp.expand(sp.expand_log(exponential.args[0]))
    return [term.as_coeff_Mul() for term in sp.Add.make_args(exponent)]
