"""The tableaux of a library, as data in the form of `prove --tableau`: what each claims, and what is proved of it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .own_tableaux import tableau_of

FILE = Path(__file__).resolve().parent / "tableaux" / "res4lyf.toml"
LONG = 24  # characters of a coefficient that is shown as it is
CHANGES = ("c", "A", "b", "U", "v")

Entry = dict[str, Any]


def library() -> Entry:
    """The file: repository, commit, file, left_out, and the tableaux under `tableau`."""
    found: Entry = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return found


def proved_entry(entry: Mapping[str, Any]) -> Entry:
    """What is proved of a tableau of a library, and of its repair.

    claimed: the order by its name or source, null where there is none.  failing: the failing condition with the
    shortest coefficient.  rows_off: the rows whose entries do not sum to c, counted from 1.
    """
    from ..theory.scheme import prove_scheme
    from ..theory.stiff_order import stiff_orders

    _, scheme, claimed, _ = tableau_of(own_fields(entry), entry["name"], summed=False)
    proof, stiff, series = prove_scheme(scheme), stiff_orders(scheme), scheme.expansion()
    sums = zip(scheme.sums, scheme.c, strict=False)
    shortest = min(proof.leading_defects, key=lambda defect: len(str(defect.coefficient)))
    coefficient = str(shortest.coefficient)
    if shortest.coefficient.is_number and (scheme.tolerance or len(coefficient) > LONG):
        coefficient = f"{float(shortest.coefficient):.3g}"
    return {
        "name": entry["name"],
        "group": entry["group"],
        "kind": scheme.kind,
        "stages": scheme.stages,
        "past": scheme.history,
        "claimed": claimed,
        "order": proof.order,
        "stiff_order": stiff and stiff[0],
        "stiff_order_weakened": stiff and stiff[1],
        "failing": {"tree": str(shortest.tree), "power": shortest.power, "coefficient": coefficient},
        "rows_off": [i for i, (a, c) in enumerate(sums, 1) if series.counts(series.element(a) - series.element(c))],
        "repair": _repaired(entry),
    }


def repaired(entry: Mapping[str, Any]) -> Entry | None:
    """The tableau with its repair in it; None where it has none."""
    repair = entry.get("repair")
    return None if repair is None else {**own_fields(entry), **{key: repair[key] for key in CHANGES if key in repair}}


def own_fields(entry: Mapping[str, Any]) -> Entry:
    """The fields that a file of one's own has too."""
    return {key: value for key, value in entry.items() if key not in ("group", "repair")}


def _repaired(entry: Mapping[str, Any]) -> Entry | None:
    from ..theory.scheme import prove_scheme

    if (mended := repaired(entry)) is None:
        return None
    _, scheme, _, _ = tableau_of(mended, entry["name"])
    return {"change": entry["repair"]["change"], "order": prove_scheme(scheme).order}
