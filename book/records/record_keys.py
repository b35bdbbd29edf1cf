"""Keys of kept results: a result is stale when the key of what it comes from is another one than it was made with.

A key covers the generated code of the samplers involved (numerics/support/sampler_code.py) and the version of the code
that computes the result. A word in a summary, an alias or a new sampler changes no key of another sampler.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from ...numerics.catalogue import METHODS
from ...numerics.checkpoints.load import load
from ...numerics.support.sampler_code import definitions, needed, sampler_code
from ...theory.claims import Claim
from ..techniques.all_trials import Trial
from ..techniques.technique import Technique

# Raise the number of a kind by one whenever a change of the code that computes changes a kept value of that kind:
# tests/cli/test_kept_records.py computes some values again and compares them. That of
# checkouts is raised by those who have them.
ENGINE = {
    **{"methods": 2, "claims": 1, "networks": 1, "verification": 4, "techniques": 1},
    **{"checkouts": 2, "trials": 1, "signed-errors": 1, "tableaux": 1, "arena": 1, "orders": 1, "versions": 1},
    **{"figures": 1, "second-terms": 1},
}


def method_key(name: str) -> str:
    """The key of all that is proved, measured and predicted of a sampler."""
    return _key("methods", sampler_code(name))


def second_term_key(name: str) -> str:
    """The key of the second term of a sampler's error."""
    return _key("second-terms", sampler_code(name))


def claim_key(claim: Claim) -> str:
    """The key of a claim: its statement, its source, and its proof with the helpers that it uses in its module."""
    module = Path(inspect.getfile(claim.prove)).read_text(encoding="utf-8")
    proof = needed(_definitions(module), [claim.prove.__name__])
    return _key("claims", claim.statement, claim.cite, proof)


def network_key(networks: Iterable[str], methods: Iterable[str]) -> str:
    """The key of what these samplers do on checkpoints of the project."""
    return _key("networks", *map(_sha256, networks), *map(sampler_code, methods))


def published_key(files: Iterable[str], methods: Iterable[str]) -> str:
    """The key of what samplers do on a network that others published.  files: the SHA-256 of each of its files."""
    return _key("networks", *files, *map(sampler_code, methods))


def signed_key(methods: Iterable[str]) -> str:
    """The key of the signed errors of samplers on mixtures."""
    return _key("signed-errors", *map(sampler_code, methods))


def arena_key(systems: Iterable[str]) -> str:
    """The key of the arena: its samplers, and the code of those of the catalogue."""
    every = list(systems)
    return _key("arena", *every, *(sampler_code(name) for name in every if name in METHODS))


def figures_key(figure: dict[str, Any]) -> str:
    """The key of a table on Gaussian data, redone: what others printed, and of which data."""
    return _key("figures", figure)


def orders_key(name: str) -> str:
    """The key of the orders that runs of a sampler show."""
    return _key("orders", sampler_code(name))


def verification_key(
    kind: str, target: str, steps: int, against: str | None, references: Iterable[str], *commit: str | None
) -> str:
    """The key of a verdict: the target as it is run, the records that it was compared with, and where it comes from."""
    return _key(kind, target, steps, against, *map(sampler_code, references), *commit)


def technique_key(technique: Technique) -> str:
    """The key of a technique's measurement: its source, with the helpers that it uses in its module."""
    module = Path(inspect.getfile(technique.measure)).read_text(encoding="utf-8")
    return _key("techniques", needed(_definitions(module), [technique.measure.__name__]))


def tableaux_key(data: dict[str, Any]) -> str:
    """The key of what is proved of the tableaux of a library: its file."""
    return _key("tableaux", data)


def versions_key(library: str, versions: Iterable[str], text: str) -> str:
    """The key of what a reproducer prints with versions of a library."""
    return _key("versions", library, *versions, text)


def trial_key(trial: Trial) -> str:
    """The key of a technique's trial on networks: these, and its source with the helpers in its module."""
    module = Path(inspect.getfile(trial.measure)).read_text(encoding="utf-8")
    source = needed(_definitions(module), [trial.measure.__name__])
    return _key("trials", *map(_sha256, trial.networks), source)


def _key(kind: str, *parts: Any) -> str:
    return hashlib.sha256(repr((kind, ENGINE[kind], *parts)).encode()).hexdigest()[:32]


_definitions = cache(definitions)
_sha256 = cache(lambda network: load(network).sha256)
