"""The catalogue: every sampler as a record, one file a family."""

from __future__ import annotations

import sympy as sp

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
from .deis import DEIS_RHOAB1, DEIS_RHOAB2, DEIS_RHOAB3, DEIS_TAB1, DEIS_TAB2, DEIS_TAB3
from .li import LI_ACCELERATED_ODE, LI_CODE_ACCELERATED_ODE, LI_DDIM
from .pndm import IPNDM_2, IPNDM_3, IPNDM_4, PLMS, PLMS_3, PNDM, PNDM_START, S_PNDM
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
    ETD_RK4,
    RES_3S,
)
from .stochastic import SAMPLERS
from .two_state import BDIA_DDIM, LAMBDA_DDIM
from .unipc import (
    UNIPC_1,
    UNIPC_1_BH1,
    UNIPC_1_VARY,
    UNIPC_2,
    UNIPC_2_BH1,
    UNIPC_2_VARY,
    UNIPC_2_VARY_PUBLISHED,
    UNIPC_3,
    UNIPC_3_BH1,
    UNIPC_3_VARY,
    UNIPC_3_VARY_PUBLISHED,
)

__all__ = ["METHODS", "SAMPLERS", "find"]

# Those of the probability flow; SAMPLERS are those of the reverse SDE.
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
    RES_3S,
    ETD_RK4,
    DEIS_TAB1,
    DEIS_TAB2,
    DEIS_TAB3,
    DEIS_RHOAB1,
    DEIS_RHOAB2,
    DEIS_RHOAB3,
    DEIS_RHO_KUTTA3,
    DEIS_RHO_RK4,
    IPNDM_2,
    IPNDM_3,
    IPNDM_4,
    PNDM_START,
    PNDM,
    S_PNDM,
    PLMS_3,
    PLMS,
    UNIPC_1,
    UNIPC_2,
    UNIPC_3,
    UNIPC_1_BH1,
    UNIPC_2_BH1,
    UNIPC_3_BH1,
    UNIPC_1_VARY,
    UNIPC_2_VARY,
    UNIPC_3_VARY,
    UNIPC_2_VARY_PUBLISHED,
    UNIPC_3_VARY_PUBLISHED,
    EDM_HEUN,
    BDIA_DDIM,
    LAMBDA_DDIM,
    LI_DDIM,
    LI_ACCELERATED_ODE,
    LI_CODE_ACCELERATED_ODE,
    FLOW_EULER,
    FLOW_HEUN,
    FLOW_MIDPOINT,
)


def find(name: str) -> Method:
    """The record of that name or alias, with values for its parameters after a `?`; KeyError if there is none."""
    base, _, query = name.partition("?")
    for method in (*METHODS, *SAMPLERS):
        if base in (method.name, *method.aliases):
            pairs = (pair.partition("=") for pair in query.split("&") if pair)
            return method.at({key: sp.Rational(value) for key, _, value in pairs})
    raise KeyError(name)
