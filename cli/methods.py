"""`samplerproof methods`: the catalogue as plain data."""

from __future__ import annotations

from typing import Any

from ..numerics.catalogue import METHODS

KEYS = (
    "name",
    "aliases",
    "family",
    "kind",
    "frame",
    "order",
    "order_asymptotic",
    "stochastic",
    "nfe_per_step",
    "stability",
    "cite",
)


def catalogue() -> list[dict[str, Any]]:
    """One dictionary a sampler, in the catalogue's order; order is the nominal one."""
    return [{key: _plain(getattr(record, key)) for key in KEYS} for record in METHODS.values()]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
