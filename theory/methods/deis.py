"""DEIS: noise predictions interpolated in rho, or in t, and integrated exactly; z = x/alpha, dz/drho = epshat."""

from __future__ import annotations

from ..exponential import exact
from ..frames import NOISE_RHO, NOISE_T, Frame
from ..method import Method
from ..rows import NOW, Row, past
from .ddim import DDIM


def adams_bashforth(degree: int, frame: Frame, name: str, start: Method, aliases: tuple[str, ...] = ()) -> Method:
    """Interpolation of that degree in the frame's clock, order degree + 1, started by the method of a degree less."""
    clock = "rho" if frame is NOISE_RHO else "t"
    return Method(
        name=f"{name}{degree}",
        label=f"DEIS-{clock}AB{degree}",
        family="deis",
        frame=frame,
        rows=(Row(nodes=(NOW, *(past(k) for k in range(1, degree + 1))), rule=exact),),
        order=degree + 1,
        cite="zhang2023deis",
        summary=f"Integrate the interpolant in {clock} of the last {degree + 1} noise predictions exactly.",
        start=start,
        aliases=aliases,
    )


DEIS_RHOAB1 = adams_bashforth(1, NOISE_RHO, "deis-rhoab", DDIM)
DEIS_RHOAB2 = adams_bashforth(2, NOISE_RHO, "deis-rhoab", DEIS_RHOAB1)
DEIS_RHOAB3 = adams_bashforth(
    *(3, NOISE_RHO, "deis-rhoab", DEIS_RHOAB2),
    aliases=("diffusers:LMSDiscreteScheduler", "k-diffusion:sample_lms", "comfyui:lms"),
)
DEIS_TAB1 = adams_bashforth(1, NOISE_T, "deis-tab", DDIM)
DEIS_TAB2 = adams_bashforth(2, NOISE_T, "deis-tab", DEIS_TAB1)
DEIS_TAB3 = adams_bashforth(3, NOISE_T, "deis-tab", DEIS_TAB2)

ALL = (DEIS_TAB1, DEIS_TAB2, DEIS_TAB3, DEIS_RHOAB1, DEIS_RHOAB2, DEIS_RHOAB3)
