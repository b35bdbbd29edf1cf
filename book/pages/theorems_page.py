"""The page of all theorems: title, statement, source, proof, and a permanent label for each."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...numerics.catalogue import METHODS
from ...theory.claims import CLAIMS, Claim
from ...theory.formal.order_file import coq_file
from ..markup import plain, table
from ..records.kept_records import ROOT
from .myst import slug
from .statement_formula import marked_up

CHAPTERS = ROOT / "proofs_notebooks"
FOLDER = "claims"  # of the book, with the proofs as they run


def theorems(answers: dict[str, Any]) -> dict[str, str]:
    """The page, with all claims in the order of the book and then the orders of all methods, and the proofs' files.

    answers: the kept results of samplers and claims; that of a claim exists where its proof holds.
    """
    parts = [
        "# All theorems",
        "Every identity that is proved here, then the order of every method. Links to them are permanent: they end in "
        "the label of the theorem, as in `theorems.html#claim-ddim-angle`, and `samplerproof cite --theorem NAME` "
        "proves a theorem by its label and prints a citation with its statement, the version and a hash of the proof.",
        "An identity is decided in exact algebra, with symbols for the schedule, the steps and the parameters. Its "
        "proof runs in two directions: some expressions have to vanish, and others must not, so that a statement that "
        "holds for everything fails. The words below say which; the file beside them is the proof that runs, in the "
        "tests and in the chapters that are named. $\\hat x_0$ and $\\hat\\epsilon$ are the data and the noise "
        "prediction, a prime marks the end of the step, and the [glossary](glossary.md) has all other letters.",
        "## Identities",
        *_claims({claim["name"] for claim in answers["claims"]}),
        "## Orders",
        "Each is proved from both sides: all conditions up to the order hold, and one of the next order fails. Those "
        "with a file are also [checked by the kernel of Coq](kernel_checked.md).",
        table(("sampler", "name", "theorem", "in Coq"), list(_orders(answers["proofs"]))),
    ]
    sources = {_source(claim) for claim in CLAIMS}
    files = {f"{FOLDER}/{source.name}": source.read_text(encoding="utf-8") for source in sorted(sources)}
    return {"theorems.md": "\n\n".join(parts) + "\n", **files}


def _claims(proved: set[str]) -> Iterator[str]:
    chapters = {file.stem: file.read_text(encoding="utf-8") for file in sorted(CHAPTERS.glob("*.md"))}
    for claim in (claim for claim in CLAIMS if claim.name in proved):
        source = _source(claim).name
        run = [f"[](chapters/{name}.md)" for name, text in chapters.items() if f'"{claim.name}"' in text]
        where = f", and runs in {' and in '.join(run)}" if run else ""
        yield f"(claim-{claim.name})=\n### {claim.title}"
        yield f"`claim-{claim.name}`, from {{cite:t}}`{claim.cite}`"
        yield marked_up(claim.text, plain)
        yield (
            f"*Proof.* {marked_up(claim.argument, str)} The proof as code is in "
            f"{{download}}`{source} <{FOLDER}/{source}>`{where}."
        )


def _source(claim: Claim) -> Path:
    return Path(inspect.getfile(claim.prove))


def _orders(proofs: dict[str, dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for name, record in METHODS.items():
        statement = proofs[name]["statement"].removeprefix(f"{name} ")
        path = None if record.stochastic else coq_file(name)
        file = f"{{download}}`{Path(path).name} <{path}>`" if path else ""
        yield f"[{plain(record.label)}](#order-{slug(name)})", f"`{name}`", plain(statement), file
