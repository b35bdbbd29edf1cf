"""The orders of splitting integrators on phase space: of paths for any fields, and in law on Gaussian data."""

from __future__ import annotations

from collections.abc import Iterable

import sympy as sp

from ..splittings import HALF, SPLITTINGS, Splitting, Substep, parts
from .claim import Claim, Proof, claim
from .phase_space_claims import STATIONARY

H, X, P, TAU = sp.symbols("h X P tau", real=True)
BY_NAME = {splitting.name: splitting for splitting in SPLITTINGS}
PUBLISHED = ("naive-symplectic-euler", "reduced-symplectic-euler", "naive-velocity-verlet", "reduced-velocity-verlet")

# Fields near a point of the path, which is the origin: rates of x and m, each a linear part and what the score adds,
# a smooth field of x, m and the clock. Terms of second degree do not enter a defect of h^2.
LINEAR = sp.Matrix(2, 2, sp.symbols("k_xx k_xm k_mx k_mm", real=True))
SCORED = sp.Matrix(2, 4, sp.symbols("u u_x u_m u_t v v_x v_m v_t", real=True))
ROWS = {"A": (0,), "B": (1,), "E": (0, 1)}


def _rate(z: sp.Matrix, scored: sp.Matrix) -> sp.Matrix:
    return LINEAR * z + scored


def _field(z: sp.Matrix, at: sp.Expr) -> sp.Matrix:
    """What the score adds to the rates, at a state and a clock."""
    return SCORED * sp.Matrix([1, *z, at])


def _truncated(z: sp.Matrix, order: int) -> sp.Matrix:
    def cut(entry: sp.Expr) -> sp.Expr:
        whole = sp.expand(entry)
        return sum(whole.coeff(H, k) * H**k for k in range(order + 1))

    return z.applyfunc(cut)


def taylor(substeps: Iterable[Substep], order: int = 2) -> sp.Matrix:
    """The state after a step of length h from the origin, to a power of h."""
    z, kept = sp.zeros(2, 1), sp.zeros(2, 1)
    for step in substeps:
        length, at = step.share * H, step.at * H
        kept = kept if step.kept else _field(z, at)
        chosen = sp.Matrix([1 if row in ROWS[step.part] else 0 for row in (0, 1)])
        rate = _rate(z, kept)
        if step.midpoint:
            middle = z + length / 2 * rate.multiply_elementwise(chosen)
            kept = _field(middle, at)
            rate = _rate(middle, kept)
        z = _truncated(z + length * rate.multiply_elementwise(chosen), order)
    return z


def exact(order: int = 2) -> sp.Matrix:
    """The same of the flow: Taylor's series, by the derivative along the fields."""
    state = sp.Matrix([X, P])
    field = _rate(state, _field(state, TAU))
    series, term = state, state
    for k in range(1, order + 1):
        term = term.applyfunc(lambda e: sp.diff(e, X) * field[0] + sp.diff(e, P) * field[1] + sp.diff(e, TAU))
        series = series + H**k / sp.factorial(k) * term
    return series.subs({X: 0, P: 0, TAU: 0})


def defect(substeps: Iterable[Substep], power: int) -> sp.Matrix:
    """The coefficient of h^power in a step minus the flow."""
    return (taylor(substeps, power) - exact(power)).applyfunc(lambda entry: sp.expand(entry).coeff(H, power))


@claim(
    "splitting-defects",
    "With fresh scores and Euler substeps of $x' = A$, $m' = B$, fields without the clock, the $h^2$ defects of $x$ "
    "and $m$ are: BA $-(A A_x - A_m B)/2$, $-(A B_x + B B_m)/2$; BAB $-A A_x/2$, $-B B_m/4$; ABA $-A A_x/4$, $-B "
    "B_m/2$. Those of BAB and ABA vanish only where $x$ is absent from $A$ and $m$ from $B$, which $gamma$, $nu$ and "
    "the score prevent.",
    "pandey2024efficient",
)
def splitting_defects() -> Proof:
    """The leading defects of plain splittings.

    Each splitting is carried out on fields with symbolic values and slopes at a point, and compared with Taylor's
    series of the flow; the coefficients of $h^2$ are the stated ones, and none is zero.
    """
    still = {SCORED[0, 3]: 0, SCORED[1, 3]: 0}
    a, b = SCORED[0, 0], SCORED[1, 0]
    a_x, a_m, b_x, b_m = (LINEAR[i, j] + SCORED[i, j + 1] for i in (0, 1) for j in (0, 1))
    due = {
        (("B", 1), ("A", 1)): (-(a * a_x - a_m * b) / 2, -(a * b_x + b * b_m) / 2),
        (("B", HALF), ("A", 1), ("B", HALF)): (-a * a_x / 2, -b * b_m / 4),
        (("A", HALF), ("B", 1), ("A", HALF)): (-a * a_x / 4, -b * b_m / 2),
    }
    found = {order: defect([Substep(p, sp.Integer(1) * s) for p, s in order], 2).subs(still) for order in due}
    zero = [sp.expand(found[order][k] - values[k]) for order, values in due.items() for k in (0, 1)]
    return Proof(tuple(zero), nonzero=tuple(entry for found_of in found.values() for entry in found_of))


@claim(
    "splitting-order-1",
    "Symplectic Euler and velocity Verlet on phase space, naive or reduced, are of order 1 exactly, as Euler's method "
    "is: the terms of $h^0$ and $h^1$ agree with the flow for any fields, those of $h^2$ do not, in $x$ and in $m$.",
    "pandey2024efficient",
)
def splitting_order_1() -> Proof:
    """Splittings of order 1.

    Each method is carried out on fields with symbolic values and slopes at a point and compared with Taylor's series of
    the flow, power by power.
    """
    steps = [BY_NAME[name].substeps for name in ("euler", *PUBLISHED)]
    zero = [entry for substeps in steps for power in (0, 1) for entry in defect(substeps, power)]
    return Proof(tuple(zero), nonzero=tuple(entry for substeps in steps for entry in defect(substeps, 2)))


@claim(
    "splitting-order-2",
    "Strang's splitting with midpoint rules for its parts, and every score at the middle of the step, is of order 2 "
    "exactly, for any fields; with the scores at the start of the step it is of order 1.",
    "pandey2024efficient",
)
def splitting_order_2() -> Proof:
    """A splitting of order 2.

    In either order of its parts the method agrees with Taylor's series of the flow through $h^2$. With the scores at
    the start the term of $h^2$ does not vanish, and for two constant scores that of $h^3$ does not.
    """
    strang = BY_NAME["strang-midpoint"].substeps
    turned = [step._replace(part={"A": "B", "B": "A"}[step.part]) for step in strang]
    early = [step._replace(at=sp.S.Zero) for step in strang]
    zero = [entry for substeps in (strang, turned) for power in (0, 1, 2) for entry in defect(substeps, power)]
    only = {symbol: 0 for symbol in SCORED if symbol not in (SCORED[0, 0], SCORED[1, 0])}
    return Proof(tuple(zero), nonzero=(*defect(early, 2), *(entry.subs(only) for entry in defect(strang, 3))))


# On Gaussian data the score is -Q z, with a precision Q that changes with the clock: a step is z -> J z + noise.
PRECISIONS = [sp.Matrix([[q, c], [c, w]]) for q, c, w in (sp.symbols(f"q{k} c{k} w{k}", real=True) for k in (0, 1))]
WEIGHTS = sp.symbols("y0:8")
Series = list[sp.Matrix]  # coefficients of the powers of h


def in_law(splitting: Splitting, order: int) -> tuple[Series, Series]:
    """J and the covariance of the noise of a step of length h, to a power of h.

    The state is a matrix on the state before and on the noises so far, [2, 2 + 2 n]; every noise has its covariance.
    """
    have, state, covariances = parts(splitting.stochastic), _series(order, sp.eye(2)), []
    kept = _series(order, sp.zeros(2, 2))
    for step in splitting.substeps:
        part, length = have[step.part], _series(order, sp.zeros(2, 2), step.share * sp.eye(2))
        if part.score.is_zero_matrix:
            flow = [step.share**k * part.linear**k / sp.factorial(k) for k in range(order + 1)]
            state = _product(flow, state)
            before = _product(flow, [STATIONARY * term.T for term in flow])
            entering = [still - term for still, term in zip(_series(order, STATIONARY), before, strict=True)]
        else:
            precision = _series(order, PRECISIONS[0], step.at * PRECISIONS[1])
            fresh = [-term for term in _product(precision, state)]
            kept = [_with_columns(term, state[0].cols) for term in kept] if step.kept else fresh
            rate = [part.linear * term + part.score * asked for term, asked in zip(state, kept, strict=True)]
            if step.midpoint:
                middle = _sum(state, [term / 2 for term in _product(length, rate)])
                scored = [part.score * term for term in _product(precision, middle)]
                rate = [part.linear * term - asked for term, asked in zip(middle, scored, strict=True)]
            state, entering = _sum(state, _product(length, rate)), [term * part.noise for term in length]
        if not part.noise.is_zero_matrix:
            state = [term.row_join(new) for term, new in zip(state, _series(order, sp.eye(2)), strict=True)]
            covariances.append(entering)
    total = _series(order, sp.zeros(2, 2))
    for k, covariance in enumerate(covariances):
        to_end = [term[:, 2 + 2 * k : 4 + 2 * k] for term in state]
        total = _sum(total, _product(_product(to_end, covariance), [term.T for term in to_end]))
    return [term[:, :2] for term in state], total


def law_defect(splitting: Splitting, power: int) -> sp.Expr:
    """The coefficient of h^power, up to 2, of J and of the covariance minus the exact ones: entries, a symbol each."""
    whole = parts(splitting.stochastic)["E"]
    first = whole.linear - whole.score * PRECISIONS[0]
    change = -whole.score * PRECISIONS[1]  # of the first, in a unit of the clock
    due = ((sp.eye(2), sp.zeros(2, 2)), (first, whole.noise))
    second = (first**2 + change) / 2, (first * whole.noise + whole.noise * first.T) / 2
    entries = [
        e for got, want in zip(in_law(splitting, power), (*due, second)[power], strict=True) for e in got[power] - want
    ]
    return sp.expand(sum(weight * entry for weight, entry in zip(WEIGHTS, entries, strict=True)))


def _series(order: int, *terms: sp.Matrix) -> Series:
    """Coefficients of h^0, h^1, …, as many as the order has; the others vanish."""
    return [*terms, *(terms[0] * 0 for _ in range(order))][: order + 1]


def _sum(one: Series, other: Series) -> Series:
    return [a + b for a, b in zip(one, other, strict=True)]


def _product(one: Series, other: Series) -> Series:
    """The terms of the product up to the same power."""
    shape = sp.zeros(one[0].rows, other[0].cols)
    return [sum((one[i] * other[k - i] for i in range(k + 1)), shape) for k in range(len(one))]


def _with_columns(kept: sp.Matrix, columns: int) -> sp.Matrix:
    """A kept score on as many noises as the state has by now."""
    return kept.row_join(sp.zeros(2, columns - kept.cols))


@claim(
    "splitting-weak-order-1",
    "On Gaussian data the mean and the covariance after a step of Euler-Maruyama, OBA, BAO, OBAB, naive or reduced, "
    "and of SSCS agree with the exact ones to $h$, and not to $h^2$: their weak order is 1.",
    "pandey2024efficient",
)
def splitting_weak_order_1() -> Proof:
    """Stochastic splittings of weak order 1.

    A step is a matrix on the state and on the noises; its mean and its covariance are expanded in $h$, the precision of
    the data a symbolic matrix that changes with the clock, and compared with the exact ones.
    """
    chosen = [s for s in SPLITTINGS if s.stochastic and s.name != "sscs-midpoint"]
    zero = [law_defect(s, power) for s in chosen for power in (0, 1)]
    return Proof(tuple(zero), nonzero=tuple(law_defect(s, 2) for s in chosen))


@claim(
    "splitting-weak-order-2",
    "With the midpoint rule for its score's part, asked at the middle of the step, SSCS agrees to $h^2$: the "
    "splitting $e^{h L/2} e^{h S} e^{h L/2}$ of the generators is symmetric, and equals $e^{h (L + S)}$ to $h^2$ and "
    "not to $h^3$.",
    "pandey2024efficient",
)
def splitting_weak_order_2() -> Proof:
    """SSCS with a midpoint is of weak order 2.

    Mean and covariance on Gaussian data agree with the exact ones through $h^2$; with the score asked at the start they
    do not. The product of the three exponentials is expanded with generators that do not commute.
    """
    midpoint = BY_NAME["sscs-midpoint"]
    early = Splitting("early", True, tuple(step._replace(at=sp.S.Zero) for step in midpoint.substeps))
    left, right = sp.symbols("L S", commutative=False)

    def series(generator: sp.Expr) -> sp.Expr:
        return sum(H**k * generator**k / sp.factorial(k) for k in range(4))

    apart = sp.expand(series(left / 2) * series(right) * series(left / 2) - series(left + right))
    return Proof(
        (*(law_defect(midpoint, power) for power in (0, 1, 2)), *(apart.coeff(H, power) for power in (0, 1, 2))),
        nonzero=(law_defect(early, 2), apart.coeff(H, 3)),
    )


CLAIMS: tuple[Claim, ...] = (
    splitting_defects,
    splitting_order_1,
    splitting_order_2,
    splitting_weak_order_1,
    splitting_weak_order_2,
)
