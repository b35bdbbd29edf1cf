"""The catalogue: every sampler as a record, one file a family."""

from __future__ import annotations

from ..method import Method
from .adams import (
    DPM_SOLVER_PP_2M,
    DPM_SOLVER_PP_3M_PUBLISHED,
    EXP_ADAMS_2,
    EXP_ADAMS_3,
    EXP_ADAMS_4,
    EXP_ADAMS_NOISE_2,
    EXP_ADAMS_NOISE_3,
    EXP_ADAMS_NOISE_4,
)
from .classical import DDIM, EDM_HEUN, FLOW_EULER
from .deis import DEIS_RHOAB1, DEIS_RHOAB2, DEIS_RHOAB3
from .ipndm import IPNDM_2, IPNDM_3, IPNDM_4
from .li import LI_ACCELERATED_ODE, LI_DDIM
from .runge_kutta import DEIS_RHO_KUTTA3, DEIS_RHO_RK4, FLOW_HEUN, FLOW_MIDPOINT
from .singlestep import (
    DPM_SOLVER_2S,
    DPM_SOLVER_2S_TAYLOR,
    DPM_SOLVER_3S,
    DPM_SOLVER_3S_TAYLOR,
    DPM_SOLVER_PP_2S,
    DPM_SOLVER_PP_2S_TAYLOR,
    DPM_SOLVER_PP_3S,
    DPM_SOLVER_PP_3S_TAYLOR,
)
from .unipc import UNIPC_1, UNIPC_2, UNIPC_3

METHODS: tuple[Method, ...] = (
    DDIM,
    EXP_ADAMS_2,
    EXP_ADAMS_3,
    EXP_ADAMS_4,
    EXP_ADAMS_NOISE_2,
    EXP_ADAMS_NOISE_3,
    EXP_ADAMS_NOISE_4,
    DPM_SOLVER_PP_2M,
    DPM_SOLVER_PP_3M_PUBLISHED,
    DPM_SOLVER_2S,
    DPM_SOLVER_2S_TAYLOR,
    DPM_SOLVER_3S,
    DPM_SOLVER_3S_TAYLOR,
    DPM_SOLVER_PP_2S,
    DPM_SOLVER_PP_2S_TAYLOR,
    DPM_SOLVER_PP_3S,
    DPM_SOLVER_PP_3S_TAYLOR,
    DEIS_RHOAB1,
    DEIS_RHOAB2,
    DEIS_RHOAB3,
    DEIS_RHO_KUTTA3,
    DEIS_RHO_RK4,
    IPNDM_2,
    IPNDM_3,
    IPNDM_4,
    UNIPC_1,
    UNIPC_2,
    UNIPC_3,
    EDM_HEUN,
    LI_DDIM,
    LI_ACCELERATED_ODE,
    FLOW_EULER,
    FLOW_HEUN,
    FLOW_MIDPOINT,
)


def find(name: str) -> Method:
    """The record of that name or alias; KeyError if there is none."""
    for method in METHODS:
        if name in (method.name, *method.aliases):
            return method
    raise KeyError(name)
