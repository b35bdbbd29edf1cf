"""Names: every record by its name and its aliases; the rest with the nearest ones."""

from __future__ import annotations

import pytest

from samplerproof.numerics.catalogue import METHODS, resolve
from samplerproof.numerics.errors import InputError
from samplerproof.theory.methods import METHODS as THEORY


def test_the_catalogue_is_that_of_the_theory() -> None:
    assert list(METHODS) == [m.name for m in THEORY]
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
        ("ddmi", "nearest: ddim"),
        ("", "known: ddim"),
        ("ddim?eta=0.5", "takes no parameters"),
    ],
)
def test_unknown_names(name: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        resolve(name)
    assert says in str(refused.value)
