"""What is proved, measured and predicted of every sampler, and the proofs of the claims: kept, and renewed here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

from ...numerics.catalogue import METHODS
from ...numerics.leading.of_study import leading_errors_of, two_terms_of
from ...numerics.leading.second_term import TwoTerms, why_unknown
from ...numerics.records import Record
from ...numerics.stability import guided_gain, usable_steps
from ...numerics.studies.config import parse
from ...numerics.studies.run import run
from ...numerics.support.consent import Consent
from ...numerics.support.progress_bar import progress_bar
from ...theory.claims import CLAIMS
from ..proofs import prove
from ..reproduce import VP, G, doublings
from ..studies.bounds import M1
from .kept_records import RECORDS, Clock, Entry, Kept
from .record_keys import claim_key, method_key, second_term_key

GRID = {"kind": "uniform-lambda", "t_min": 1e-3, "t_max": 1.0}
STEPS, STEPS_WITH_NOISE = doublings(10, 640), doublings(10, 320)
SCALES = [1.25 * 1.3**k for k in range(13)]  # of guidance, to 29
VANISHING = 1e-9
HIGH = 3  # the order from which the second term of errors is kept as well
SHOWN = 8  # defects; a method of order 4 has some forty
CLAIM = {claim.name: claim for claim in CLAIMS}
OF_METHODS = Kept("methods", RECORDS / "methods", METHODS.keys(), lambda name, _: method_key(name))
OF_CLAIMS = Kept("claims", RECORDS / "claims", CLAIM.keys(), lambda name, _: claim_key(CLAIM[name]))
OF_SECOND_TERMS = Kept(
    "second-terms",
    RECORDS / "second_terms",
    [name for name, record in METHODS.items() if record.order >= HIGH and why_unknown(record) is None],
    lambda name, _: second_term_key(name),
)


def answers() -> dict[str, Any]:
    """All kept results of samplers and claims: {"convergence", "stability", "proofs", "claims"}.

    Errors from exact start values have the second term at their number of steps, `next`, where it is kept.
    Raises InputError where some are missing or stale.
    """
    kept, claims = OF_METHODS.load(), OF_CLAIMS.load()
    terms = {name: TwoTerms(**entry["terms"]) for name, entry in OF_SECOND_TERMS.load().items()}
    points = [point for entry in kept.values() for point in entry["convergence"]]
    for point in points:
        if point["kind"] == "exact" and point["method"] in terms:
            point["next"] = terms[point["method"]].next(point["steps"])
    return {
        "convergence": points,
        "stability": {name: entry["stability"] for name, entry in kept.items() if entry["stability"] is not None},
        "proofs": {name: entry["proof"] for name, entry in kept.items()},
        "claims": list(claims.values()),
    }


def renew_methods(only: Iterable[str] = ()) -> None:
    """Renew the results of the samplers named, or else the stale ones; each is kept as soon as it is finished."""
    clock = Clock()
    for name in OF_METHODS.chosen(only):
        result = of_method(METHODS[name])
        OF_METHODS.write(name, result, clock.manifest())
    OF_METHODS.remove_others()


def renew_second_terms(only: Iterable[str] = ()) -> None:
    """The same for the second terms of the errors from exact start values."""
    clock = Clock()
    for name in OF_SECOND_TERMS.chosen(only):
        found = two_terms_of(parse(study("exact", [name])))[name]
        OF_SECOND_TERMS.write(name, {"terms": asdict(found)}, clock.manifest())
    OF_SECOND_TERMS.remove_others()


def renew_claims(only: Iterable[str] = ()) -> None:
    """The same for claims.  Raises AssertionError on a claim that does not hold."""
    clock = Clock()
    for name in OF_CLAIMS.chosen(only):
        claim, proof = CLAIM[name], CLAIM[name].prove()
        if not proof.holds:
            raise AssertionError(f"{name} does not hold")
        counts = {"zero": len(proof.zero), "nonzero": len(proof.nonzero)}
        OF_CLAIMS.write(name, {"statement": claim.statement, "cite": claim.cite, **counts}, clock.manifest())
    OF_CLAIMS.remove_others()


def of_method(record: Record) -> Entry:
    """All results of a sampler: {"convergence", "stability", "proof"}; stability is None where there is noise."""
    (proof,) = prove([record.name], False)
    stability = None if record.stochastic else _stability(record)
    return {"convergence": _convergence(record), "stability": stability, "proof": _shortened(proof)}


def _convergence(record: Record) -> list[Entry]:
    if not record.stochastic:
        return [*measured("exact", record), *(measured("ramp", record) if record.history else [])]
    by_density = measured("noise", record)
    if any(entry["value"] is not None for entry in by_density):
        return by_density
    # A law that is joint with too many earlier outputs to be carried on a mixture is known on a Gaussian.
    return measured("gaussian", record)


def study(kind: str, methods: Sequence[str]) -> dict[str, Any]:
    """exact, ramp: samplers of the flow from exact start values, or started by themselves; noise, gaussian: the law."""
    noisy = kind in ("noise", "gaussian")
    return {
        "target": G if kind == "gaussian" else M1,
        "schedule": VP,
        "grid": GRID,
        "run": {
            "methods": list(methods),
            "steps": STEPS_WITH_NOISE if noisy else STEPS,
            "metrics": ["tv" if noisy else "trajectory"],
            "start": "exact" if kind == "exact" else "ramp",
            **({} if noisy else {"points": 501}),
        },
    }


def measured(kind: str, record: Record) -> list[Entry]:
    """The errors of a sampler in the study of a kind; from exact start values with their leading terms, if known."""
    parsed = parse(study(kind, [record.name]))
    with tempfile.TemporaryDirectory() as folder, progress_bar(f"{record.name}, {kind}") as progress:
        answer = run(parsed, Path(folder), progress, Consent(large=True))
    expected = leading_errors_of(parsed) if kind == "exact" else {}
    entries = []
    for entry in answer["records"]:
        leading = expected.get((entry["method"], entry["steps"]))
        value = None if leading is None else leading.at(entry["metric"], entry["steps"])
        if value is not None and value < VANISHING * entry["value"]:
            value = None  # the leading term is zero on these steps: what is left of it is roundoff
        entries.append({"kind": kind, **entry, "predicted": value})
    return entries


def _stability(record: Record) -> list[float | None]:
    """The usable step at every guidance scale; None where no step grows."""
    steps = usable_steps(record.name, [guided_gain(0.0, 1.0, scale) for scale in SCALES])
    return [step if isfinite(step) else None for step in steps]


def _shortened(proof: Entry) -> Entry:
    defects = proof["leading_defects"]
    keys = ("statement", "proved", "proved_order", "proved_order_free", "conditions")
    return {**{key: proof[key] for key in keys}, "defects": len(defects), "leading_defects": defects[:SHOWN]}
