"""`python -m samplerproof.book.records methods|networks`: make what the book shows, where that takes long.

methods: everything proved, measured and predicted of the samplers.  networks: the set study on networks.  The answers
are kept in book/records. A record knows the generated code that it was made with; where that has changed, the build
ends with the command that makes the record anew.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

from ...numerics.errors import InputError
from ...numerics.leading.of_study import leading_errors_of
from ...numerics.records import Record
from ...numerics.stability import guided_gain, usable_steps
from ...numerics.studies.config import parse
from ...numerics.studies.run import run
from ...numerics.support.consent import Consent
from ...numerics.support.files import write_text
from ...numerics.support.manifest import generated, manifest
from ...numerics.support.progress_bar import progress_bar
from ..proofs import prove
from ..reproduce import VP, G, doublings, with_networks
from ..studies.bounds import M1

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "book" / "records" / "methods.json"
VERIFIED = ROOT / "book" / "records" / "verification" / "records.json"
NETWORKS = ROOT / "book" / "records" / "networks" / "records.json"
TRIED = ROOT / "book" / "records" / "tried.json"
RENEW = {
    KEPT: "python -m samplerproof.book.records methods",
    NETWORKS: "python -m samplerproof.book.records networks",
    VERIFIED: "samplerproof study book/verification.toml --out book/records/verification",
    TRIED: "make tried",
}
GRID = {"kind": "uniform-lambda", "t_min": 1e-3, "t_max": 1.0}
STEPS, STEPS_WITH_NOISE = doublings(10, 640), doublings(10, 320)
SCALES = [1.25 * 1.3**k for k in range(13)]  # of guidance, to 29
SHOWN = 8  # defects; a method of order 4 has some forty


def read(file: Path) -> dict[str, Any]:
    """What a kept record holds.  InputError where it is missing."""
    if not file.exists():
        raise InputError("record", str(file), f"made by `{RENEW[file]}`")
    answer: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return answer


def load(file: Path) -> dict[str, Any]:
    """The same.  InputError, too, where it was made with other generated code."""
    answer = read(file)
    made_with = answer["manifest"].get("generated")
    if made_with != generated():
        name = file.relative_to(ROOT).as_posix()
        raise InputError(name, f"of generated code {str(made_with)[:8]}", f"made anew by `{RENEW[file]}`")
    return answer


def make(records: Sequence[Record]) -> dict[str, Any]:
    """The answers for these samplers, and every claim with what its proof consists of."""
    started = datetime.now(UTC)
    flow, noisy = [r for r in records if not r.stochastic], [r for r in records if r.stochastic]
    measured = [*_measured("exact", flow), *_measured("ramp", [r for r in flow if r.history])]
    by_density = _measured("noise", noisy)
    carried = {entry["method"] for entry in by_density if entry["value"] is not None}
    # A law that is joint with too many earlier outputs to be carried on a mixture is known on a Gaussian.
    measured += [entry for entry in by_density if entry["method"] in carried]
    measured += _measured("gaussian", [r for r in noisy if r.name not in carried])
    return {
        "convergence": measured,
        "stability": {r.name: _stability(r) for r in flow},
        "proofs": {proof["name"]: _shortened(proof) for proof in prove([r.name for r in records], False)},
        "claims": list(_claims()),
        "manifest": manifest(0, started),
    }


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


def _measured(kind: str, records: Sequence[Record]) -> list[dict[str, Any]]:
    """Errors of all samplers of a kind, in one study; from exact start values with their leading terms, if known."""
    if not records:
        return []
    parsed = parse(study(kind, [r.name for r in records]))
    with tempfile.TemporaryDirectory() as folder, progress_bar(kind) as progress:
        answer = run(parsed, Path(folder), progress, Consent(large=True))
    expected = leading_errors_of(parsed) if kind == "exact" else {}
    entries = []
    for entry in answer["records"]:
        leading = expected.get((entry["method"], entry["steps"]))
        value = None if leading is None else leading.at(entry["metric"], entry["steps"])
        entries.append({"kind": kind, **entry, "predicted": value})
    return entries


def _stability(record: Record) -> list[float | None]:
    """The usable step at every guidance scale; None where no step grows."""
    steps = usable_steps(record.name, [guided_gain(0.0, 1.0, scale) for scale in SCALES])
    return [step if isfinite(step) else None for step in steps]


def _shortened(proof: dict[str, Any]) -> dict[str, Any]:
    defects = proof["leading_defects"]
    keys = ("statement", "proved", "proved_order", "proved_order_free", "conditions")
    return {**{key: proof[key] for key in keys}, "defects": len(defects), "leading_defects": defects[:SHOWN]}


def _claims() -> Iterable[dict[str, Any]]:
    from ...theory.claims import CLAIMS

    for claim in CLAIMS:
        proof = claim.prove()
        if not proof.holds:
            raise AssertionError(f"{claim.name} does not hold")
        yield {
            "name": claim.name,
            "statement": claim.statement,
            "cite": claim.cite,
            "zero": len(proof.zero),
            "nonzero": len(proof.nonzero),
        }


def make_networks() -> None:
    """Run the set study on networks, and keep its answer, its tables and its pictures."""
    with tempfile.TemporaryDirectory() as folder, progress_bar("networks") as progress:
        out = Path(folder)
        answer = with_networks(out, False, progress)["checkpoints"]
        NETWORKS.parent.mkdir(parents=True, exist_ok=True)
        for made in [*out.glob("*.md"), *out.glob("*.svg"), *out.glob("checkpoints/*.png")]:
            shutil.copy(made, NETWORKS.parent / made.name)
    keep(NETWORKS, answer)


def keep(file: Path, answer: dict[str, Any]) -> None:
    write_text(file, json.dumps(answer, indent=1, allow_nan=False) + "\n")
    print(f"written to {file.relative_to(ROOT).as_posix()}")
