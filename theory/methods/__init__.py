"""The catalogue: every sampler as a record, one file a family."""

from __future__ import annotations

import sympy as sp

from ...names.lookup import Entry, Names
from ..method import Method
from . import (
    adams,
    ancestral,
    consistency,
    ddim,
    deis,
    edm,
    er_sde,
    flow_matching,
    gradient_estimation,
    ipndm_variable,
    li,
    li_sde,
    pndm,
    runge_kutta,
    sde,
    singlestep,
    two_state,
    unipc,
)

__all__ = ["METHODS", "ODE_METHODS", "SDE_METHODS", "find"]

# Those of the probability flow, in the order of the catalogue.
ODE_METHODS: tuple[Method, ...] = (
    *ddim.ALL,
    *adams.ALL,
    *singlestep.ALL,
    *deis.ALL,
    *runge_kutta.ALL,
    *pndm.ALL,
    *ipndm_variable.ALL,
    *gradient_estimation.ALL,
    *unipc.ALL,
    *edm.ALL,
    *two_state.ALL,
    *li.ALL,
    *flow_matching.ALL,
)
# Those with noise.
SDE_METHODS: tuple[Method, ...] = (*sde.ALL, *ancestral.ALL, *er_sde.ALL, *li_sde.ALL, *consistency.ALL)
METHODS = (*ODE_METHODS, *SDE_METHODS)


def _entry(method: Method) -> Entry:
    return Entry(method.name, method.aliases, tuple(p.bounds for p in method.parameters))


_BY_NAME = {method.name: method for method in METHODS}
NAMES = Names(map(_entry, _BY_NAME.values()))


def find(name: str, field: str = "method") -> Method:
    """The record of that name or alias, with values for its parameters after a `?`, as names/lookup.py reads it.

    Where every value is the default it is the record as it stands, its parameters free; `settled` puts them in.
    Raises InputError on an unknown name, parameter or value.
    """
    choice = NAMES.parse(name, field)
    values = {key: sp.Rational(value.numerator, value.denominator) for key, value in choice.values}
    return _BY_NAME[choice.base].at(values)
