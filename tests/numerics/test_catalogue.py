"""Names: every record by its name and its aliases; the rest with the nearest ones."""

from __future__ import annotations

import pytest
from kinds import STOCHASTIC

from samplerproof.numerics.catalogue import METHODS, resolve
from samplerproof.numerics.errors import InputError
from samplerproof.theory.methods import METHODS as THEORY
from samplerproof.theory.methods import SDE_METHODS, find
from samplerproof.theory.order import prove_order

pytestmark = pytest.mark.check


def test_the_catalogue_is_that_of_the_theory() -> None:
    assert list(METHODS) == [m.name for m in THEORY]
    assert list(STOCHASTIC) == [m.name for m in SDE_METHODS]
    for sampler in SDE_METHODS:
        record = METHODS[sampler.name]
        assert (record.law_order, record.gaussian_order) == (sampler.law_order, sampler.gaussian_order)
        assert [(p.name, p.default, p.orders) for p in record.parameters] == [
            (p.name, p.default, p.orders) for p in sampler.parameters
        ]
    for method in THEORY:
        record = METHODS[method.name]
        assert (record.order, record.order_asymptotic, record.kind, record.history, record.cite, record.aliases) == (
            method.order,
            method.order_asymptotic,
            method.kind,
            method.history,
            method.cite,
            method.aliases,
        )


@pytest.mark.parametrize("alias", ["edm-euler", "exp-adams-1", "exp-adams-noise-1", "dpm-solver-1", "unip-1"])
def test_aliases_of_ddim(alias: str) -> None:
    assert resolve(alias).name == "ddim"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("dpm-solver++2m", "dpm-solver++-2m"),
        ("ddmi", "nearest: ddpm, ddim"),
        ("", "known: bdia-ddim, bdia-edm, consistency, d-ddim"),
        ("ddim?eta=0.5", "takes no parameters"),
        ("ddpm?eta=1", "takes no parameters"),
        ("sa-solver-4", "nearest: sa-solver-3"),
    ],
)
def test_unknown_names(name: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        resolve(name)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("name", "canonical", "order", "asymptotic"),
    [
        ("bdia-ddim?gamma=1", "bdia-ddim?gamma=1", 2, 2),
        ("bdia-ddim?gamma=0.25", "bdia-ddim?gamma=1/4", 1, 1),
        ("bdia-ddim?gamma=0.5", "bdia-ddim", 1, 1),  # the default
        ("dpm-solver-2s?r=3e-1", "dpm-solver-2s?r=3/10", 2, 2),
        ("res-2s?r=1/3", "dpm-solver++-2s-taylor?r=1/3", 2, 2),
        ("lambda-ddim?b=-2", "lambda-ddim?b=-2", 1, 1),
    ],
)
def test_parameters(name: str, canonical: str, order: int, asymptotic: int) -> None:
    """Both sides of the wall agree on the name, the order and the weights' parameters."""
    record, method = resolve(name), find(canonical)
    assert (record.name, record.order, record.order_asymptotic) == (canonical, order, asymptotic)
    assert (method.name, method.order, method.order_asymptotic) == (canonical, order, asymptotic)
    assert prove_order(method).order == order


@pytest.mark.parametrize(
    ("name", "canonical", "order", "asymptotic"),
    [
        ("ddim-eta?eta=0.5", "ddim-eta?eta=1/2", 1, 1),
        ("euler-ancestral?eta=0", "ddim-eta?eta=0", 1, 1),
        ("ddim-eta?eta=1", "ddim-eta", 1, 1),  # the default
        ("sa-solver-3?tau=0.2", "sa-solver-3?tau=1/5", 2, 2),
        ("sa-solver-3?tau=0", "sa-solver-3?tau=0", 3, 2),  # the first step is of order 1
        ("sa-solver-p2c2?tau=0", "sa-solver-p2c2?tau=0", 3, 3),
        ("sa-solver-p3c3?tau=0", "sa-solver-p3c3?tau=0", 4, 3),
        ("sde-dpm-solver++-2s?tau=2&r=1/3", "sde-dpm-solver++-2s?r=1/3&tau=2", 2, 2),
        ("dpmpp-sde?r=0.25", "dpmpp-sde?r=1/4", 2, 2),
        ("seeds-2?c2=2/3", "seeds-2?c2=2/3", 2, 2),
        ("edm-churn?churn=0", "edm-churn?churn=0", 2, 2),
        ("edm-churn?churn=1e6", "edm-churn?churn=1000000", 1, 1),
    ],
)
def test_parameters_of_stochastic_samplers(name: str, canonical: str, order: int, asymptotic: int) -> None:
    """Both sides of the wall agree on the name, the order and the start-up. (Weak orders are proved elsewhere.)"""
    record, method = resolve(name), find(canonical)
    assert (record.name, record.order, record.order_asymptotic) == (canonical, order, asymptotic)
    assert (method.name, method.order, method.order_asymptotic) == (canonical, order, asymptotic)
    assert record.stochastic


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("bdia-ddim?gamma=2", "0 <= gamma <= 1"),
        ("bdia-ddim?gamma=x", "gamma is a number such as 1/2"),
        ("bdia-ddim?gamma=1/0", "gamma is a number such as 1/2"),
        ("bdia-ddim?eta=1", "bdia-ddim takes gamma"),
        ("bdia-ddim?", "bdia-ddim takes gamma"),
        ("bdia-ddim?gamma=1&gamma=1", "each once"),
        ("dpm-solver-2s?r=0", "0 < r <= 1"),
        ("dpm-solver-2s?r=1.000001", "0 < r <= 1"),
        ("dpm-solver-3s-taylor?r1=2/3", "0 < r1 <= 1, not 2/3"),
        ("lambda-ddim?b=inf", "b is a number"),
        ("lambda-ddim?b=nan", "b is a number"),
        ("ddim-eta?eta=-1/10", "0 <= eta <= 1"),
        ("ddim-eta?eta=1.5", "0 <= eta <= 1"),
        ("euler-ancestral?s_noise=1", "ddim-eta takes eta"),
        ("sa-solver-2?tau=-1", "0 <= tau <= inf"),
        ("sa-solver-2?tau=inf", "tau is a number such as 1"),
        ("sa-solver-2?tau2=1", "sa-solver-2 takes tau"),
        ("edm-churn?churn=-40", "0 <= churn <= inf"),
        ("edm-churn?churn=all", "churn is a number such as 40"),
        ("sde-dpm-solver++-2s?r=2", "0 < r <= 1"),
        ("sde-dpm-solver++-2s?r=1/2&tau=-1/2", "0 <= tau <= inf"),
        ("dpmpp-sde?r=0", "0 < r <= 1"),
        ("seeds-2?c2=1.1", "0 < c2 <= 1"),
    ],
)
def test_parameters_that_are_refused_in_one_line(name: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        resolve(name, "run.methods[0]")
    assert says in str(refused.value)
    assert str(refused.value).startswith(f"run.methods[0]: got '{name}'")
    assert "\n" not in str(refused.value)
