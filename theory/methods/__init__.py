"""The catalogue: every sampler as a record, one file a family."""

from __future__ import annotations

import sympy as sp

from ...names.lookup import Entry, Names
from ..method import Method
from .adams import (
    DPM_SOLVER_3M_PUBLISHED,
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
from .sde import SAMPLERS
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
    DPM_SOLVER_3M_PUBLISHED,
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


def _entry(method: Method) -> Entry:
    return Entry(method.name, method.aliases, tuple(p.bounds for p in method.parameters))


_BY_NAME = {method.name: method for method in (*METHODS, *SAMPLERS)}
NAMES = Names(map(_entry, _BY_NAME.values()))


def find(name: str, field: str = "method") -> Method:
    """The record of that name or alias, with values for its parameters after a `?`, as names/lookup.py reads it.

    Where every value is the default it is the record as it stands, its parameters free; `settled` puts them in.
    Raises InputError on an unknown name, parameter or value.
    """
    choice = NAMES.parse(name, field)
    values = {key: sp.Rational(value.numerator, value.denominator) for key, value in choice.values}
    return _BY_NAME[choice.base].at(values)
