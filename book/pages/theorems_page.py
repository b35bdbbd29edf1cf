"""The page of all theorems: statement, source, size of the proof, and a permanent label for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...numerics.catalogue import METHODS
from ...theory.formal.order_file import coq_file
from ..markup import plain, table
from ..records.kept_records import ROOT
from .myst import slug

CHAPTERS = ROOT / "proofs_notebooks"


def theorems(answers: dict[str, Any]) -> str:
    """All claims in the order of the book, then the orders of all methods.  answers: their kept results."""
    parts = [
        "# All theorems",
        "Every identity that is proved here, then the order of every method. Links to them are permanent: they end in "
        "the name of the claim, which is also the name of its proof in `theory/claims`. An identity is decided in "
        "exact algebra: its proof is a list of expressions that vanish, and of others that must not, so that a "
        "statement that holds for everything fails. The tests run every proof, and so do the chapters named here.",
        "## Identities",
        *_claims(answers["claims"]),
        "## Orders",
        "Each is proved from both sides: all conditions up to the order hold, and one of the next order fails. Those "
        "with a file are also [checked by the kernel of Coq](kernel_checked.md).",
        table(("sampler", "theorem", "in Coq"), list(_orders(answers["proofs"]))),
    ]
    return "\n\n".join(parts) + "\n"


def _claims(claims: Sequence[dict[str, Any]]) -> Iterator[str]:
    chapters = {file.stem: file.read_text(encoding="utf-8") for file in sorted(CHAPTERS.glob("*.md"))}
    for claim in claims:
        also = f", {claim['nonzero']} others do not" if claim["nonzero"] else ""
        proof = f"Proof: {_expressions(claim['zero'])}{also}. {{cite:t}}`{claim['cite']}`"
        yield f"(claim-{claim['name']})=\n### `{claim['name']}`"
        run = [f"[](chapters/{name}.md)" for name, text in chapters.items() if f'"{claim["name"]}"' in text]
        where = f" Run in {' and in '.join(run)}." if run else ""
        yield f"{plain(claim['statement'])}\n\n{proof}.{where}"


def _expressions(count: int) -> str:
    return "one expression vanishes" if count == 1 else f"{count} expressions vanish"


def _orders(proofs: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for name, record in METHODS.items():
        statement = proofs[name]["statement"].removeprefix(f"{name} ")
        path = None if record.stochastic else coq_file(name)
        file = f"{{download}}`{Path(path).name} <{path}>`" if path else ""
        yield f"[`{name}`](#order-{slug(name)})", plain(statement), file
