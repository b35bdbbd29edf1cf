"""Solvers with a fitted number a step: D-ODE solvers add a multiple of the difference of the last two outputs."""

from __future__ import annotations

import sympy as sp

from ..exponential import exact
from ..frames import DATA, NOISE, NOISE_RHO, Frame
from ..method import Method
from ..methods import find
from ..notation import alpha as now_alpha
from ..notation import eps, h, next_alpha, r, x
from ..order import OrderProof, prove_order
from ..parameter import Parameter
from ..rows import NOW, Row, past, stage
from .claim import Claim, Proof, claim

NUMBER = Parameter("number", "lambda of D-ODE", default=sp.S.One, domain=sp.Interval(-sp.oo, sp.oo))
number = NUMBER.symbol
REPAIR = 1 / (2 * r[0])  # h/(2 h_prev)


def distilled(frame: Frame, value: sp.Expr) -> Method:
    """w ((1 + value) F_n - value F_{n-1}), w the one-node weight of the frame."""
    w = frame.moment(0)
    return Method(
        name=f"d-ddim in {frame.name}",
        family="d-ode",
        frame=frame,
        rows=(Row((NOW, past(1)), published=(w * (1 + value), -w * value)),),
        order=1,
        cite="kim2024dode",
        summary="DDIM with a multiple of the difference of the last two outputs.",
        start=find("ddim"),
        parameters=(NUMBER,),
    )


def plain(frame: Frame) -> Method:
    """The one-node rule of a frame, which is DDIM in these three."""
    return Method("one-node", "ddim", frame, (Row((NOW,), exact),), 1, "song2021ddim", "one-node rule")


def compared(ours: OrderProof, share: sp.Expr, ddim: OrderProof) -> list[sp.Expr]:
    """Leading defects less `share` of DDIM's, tree by tree."""
    found = {d.tree: d.coefficient for d in ours.leading_defects}
    return [found.get(d.tree, sp.S.Zero) - share * d.coefficient for d in ddim.leading_defects]


@claim(
    "d-ode-order",
    "DDIM with $lambda (F_n - F_{n-1})$ added to its output, in the data, the noise and the $rho$ frame, has $1 - 2 "
    "lambda r$ times DDIM's leading defects, $r = h_prev/h$: it is of order 2 iff $lambda = h/(2 h_prev) + O(h)$, and "
    "is then DPM-Solver++(2M) in the data frame and DEIS-rhoAB1 in $rho$. After a first step of DDIM the second "
    "repays its error too with $lambda = (1 + r^2)/(2 r)$, 1 on equal steps.",
    "kim2024dode",
)
def d_ode_order() -> Proof:
    """D-DDIM is of order 2 for one choice of lambda.

    The order is proved in all three frames with $lambda$ as a symbol, and the leading defects are compared with DDIM's
    tree by tree. At $lambda = 1/(2 r)$ the proved order is 2 and the weights are those of the two named methods. The
    errors of the first two steps, in units of $h^2$, add up to $r^2 + 1 - 2 lambda r$, which vanishes at the stated
    $lambda$.
    """
    laws, orders, other = [], [], []
    for frame in (DATA, NOISE, NOISE_RHO):
        free, ddim = prove_order(distilled(frame, number)), prove_order(plain(frame))
        laws += compared(free, 1 - 2 * number * r[0], ddim)
        orders.append(sp.Integer(prove_order(distilled(frame, REPAIR)).order - 2))
        other += [d.coefficient for d in free.leading_defects]
    twins = [(DATA, "dpm-solver++-2m"), (NOISE_RHO, "deis-rhoab1")]
    same = [
        ours - theirs
        for frame, name in twins
        for ours, theirs in zip(distilled(frame, REPAIR).weights[0], find(name).weights[0], strict=True)
    ]
    second = r[0] ** 2 + (1 - 2 * number * r[0])  # both defects in units of h^2, along one direction
    repaid = second.subs(number, (1 + r[0] ** 2) / (2 * r[0]))
    return Proof((*laws, *orders, *same, repaid), nonzero=(*other, second))


@claim(
    "d-ode-gradient-estimation",
    "D-DDIM as released, $x' = DDIM(x) + lambda' (epshat_n - epshat_{n-1})$, is gradient estimation with $gamma = 1 + "
    "lambda$ a step, $lambda' = alpha' h lambda$, $h$ the step in $sigma/alpha$.",
    "kim2024dode",
)
def d_ode_gradient_estimation() -> Proof:
    """D-DDIM as released is gradient estimation.

    The record of gradient estimation at $gamma = 1 + lambda$ less the released update is zero; at $lambda = 0$ the
    update is another one.
    """
    before = sp.Symbol("eps_before", real=True)
    record = find("gradient-estimation")
    gamma = record.parameters[0].symbol
    now, then = (w.subs(gamma, 1 + number) for w in record.weights[0])
    ours = next_alpha * (x / now_alpha + now * eps + then * before)
    released = next_alpha * (x / now_alpha + h * eps) + next_alpha * h * number * (eps - before)
    return Proof((ours - released,), nonzero=(ours - released.subs(number, 0),))


@claim(
    "d-ode-teacher",
    "$S$ steps of DDIM for one have $1/S$ of its leading defects, and so has D-DDIM with $lambda = (1 - 1/S) h/(2 "
    "h_prev)$: fitted to a teacher of $S$ times the steps it tends to $1/S$ of DDIM's error, of order 1, and to order "
    "2 with the exact flow only. Teachers proved for $S = 2, 3, 4$, the student for every $S$.",
    "kim2024dode",
)
def d_ode_teacher() -> Proof:
    """A teacher of many steps does not raise the order.

    The substeps of the teacher are the stages of one step, whose order is proved, and whose leading defects are
    compared with DDIM's for three values of $S$. Those of the student follow with $lambda$ as a symbol. The normal
    equation of least squares gives that $lambda$.
    """
    ddim = prove_order(plain(NOISE_RHO))
    count = sp.Symbol("count", positive=True)
    value = (1 - 1 / count) * REPAIR
    free = prove_order(distilled(NOISE_RHO, number))
    student = [d.subs(number, value) for d in compared(free, sp.S.Zero, ddim)]
    laws = [law - d.coefficient / count for law, d in zip(student, ddim.leading_defects, strict=True)]
    for s in (2, 3, 4):
        laws += compared(prove_order(substeps(s)), sp.Rational(1, s), ddim)
    # The least squares: the number with <D, R - number D> = 0 for every D, R, here of two components.
    d1, d2, r1, r2 = sp.symbols("d1 d2 r1 r2", real=True)
    loss = (r1 - number * d1) ** 2 + (r2 - number * d2) ** 2
    normal = sp.diff(loss, number).subs(number, (d1 * r1 + d2 * r2) / (d1**2 + d2**2))
    return Proof((*laws, sp.simplify(normal)), nonzero=(*student, sp.diff(loss, number)))


def substeps(count: int) -> Method:
    """So many equal steps of DDIM in rho as the stages of one step."""
    share = h / count
    nodes = (NOW, *(stage(k) for k in range(1, count)))
    rows = tuple(
        Row(nodes[:k], to=1 if k == count else sp.Rational(k, count), published=(share,) * k)
        for k in range(1, count + 1)
    )
    return Method(f"{count} steps of ddim", "d-ode", NOISE_RHO, rows, 1, "kim2024dode", "a teacher")


CLAIMS: tuple[Claim, ...] = (d_ode_order, d_ode_gradient_estimation, d_ode_teacher)
