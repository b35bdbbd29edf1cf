"""DEIS in rho: Adams-Bashforth on dz/drho = epshat, z = x/alpha."""

from __future__ import annotations

from ..exponential import exact
from ..frames import NOISE_RHO
from ..method import NOW, Method, Row, past
from .classical import DDIM


def rho_adams_bashforth(degree: int, start: Method) -> Method:
    """Interpolation of degree `degree` in rho, order degree + 1, started by the method of a degree less."""
    return Method(
        name=f"deis-rhoab{degree}",
        family="deis",
        frame=NOISE_RHO,
        rows=(Row(nodes=(NOW, *(past(k) for k in range(1, degree + 1))), rule=exact),),
        order=degree + 1,
        cite="zhang2023deis",
        summary=f"Integrate the interpolant of the last {degree + 1} noise predictions exactly in rho.",
        start=start,
    )


DEIS_RHOAB1 = rho_adams_bashforth(1, DDIM)
DEIS_RHOAB2 = rho_adams_bashforth(2, DEIS_RHOAB1)
DEIS_RHOAB3 = rho_adams_bashforth(3, DEIS_RHOAB2)
