"""Classical Runge-Kutta methods in a frame without a rate; those in rho are DEIS's rhoRK."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from ..frames import NOISE_RHO, VELOCITY, Frame
from ..method import Method
from ..notation import h
from ..rows import NOW, Node, Place, Row, stage

HALF, THIRD, SIXTH = (sp.Rational(1, n) for n in (2, 3, 6))


def tableau_rows(places: Sequence[Place], matrix: Sequence[Sequence[sp.Expr]]) -> tuple[Row, ...]:
    """A Butcher tableau without its first row: places c_2, c_3, …, 1 of the rows, and their weights a_ij, then b_j.

    Zero weights are left out: what is not used is not a node.
    """
    rows = []
    for place, line in zip((*places, 1), matrix, strict=True):
        nodes: list[Node] = [NOW, *(stage(k) for k in range(1, len(line)))]
        used = [(node, a * h) for node, a in zip(nodes, line, strict=True) if a != 0]
        rows.append(Row(nodes=tuple(n for n, _ in used), published=tuple(a for _, a in used), to=place))
    return tuple(rows)


def runge_kutta(
    name: str,
    label: str,
    frame: Frame,
    places: Sequence[int | sp.Rational],
    matrix: Sequence[Sequence[sp.Expr]],
    order: int,
    cite: str,
    summary: str,
) -> Method:
    """A Butcher tableau as a method in the frame; see tableau_rows."""
    return Method(
        name=name,
        label=label,
        family="flow" if frame is VELOCITY else "deis",
        frame=frame,
        rows=tableau_rows(places, matrix),
        order=order,
        cite=cite,
        summary=summary,
        provenance="published; a classical Butcher tableau",
    )


DEIS_RHO_KUTTA3 = runge_kutta(
    "deis-rho-kutta3",
    "DEIS-rho3Kutta",
    NOISE_RHO,
    (HALF, 1),
    ((HALF,), (-sp.S.One, sp.Integer(2)), (SIXTH, 4 * SIXTH, SIXTH)),
    order=3,
    cite="zhang2023deis",
    summary="Kutta's third-order method in rho.",
)
DEIS_RHO_RK4 = runge_kutta(
    "deis-rho-rk4",
    "DEIS-rho4RK",
    NOISE_RHO,
    (HALF, HALF, 1),
    ((HALF,), (sp.S.Zero, HALF), (sp.S.Zero, sp.S.Zero, sp.S.One), (SIXTH, THIRD, THIRD, SIXTH)),
    order=4,
    cite="zhang2023deis",
    summary="The classical Runge-Kutta method in rho.",
)

ALL = (DEIS_RHO_KUTTA3, DEIS_RHO_RK4)
