"""The pages of the study of verifications: the table of verdicts, and the discrepancies."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...numerics.conformance.official_code import CORRECTIONS, REMARKS
from ...numerics.support.files import write_text
from ..markup import code, fenced, number, plain, scientific, table
from ..studies.verification import fails

TABLE = "verification.md"
DISCREPANCIES = "discrepancies.md"
MEANING = {
    "error": "it could not be run",
    "not-linear": "it has no table, because its result is not linear in its inputs",
    "non-finite": "a value is not finite on finite inputs",
    "different-formula": "its rows differ from those of the reference",
    "identical": "its rows are those of the reference, to 1e-14 as shipped",
    "roundoff": "its rows are those of the reference in float64; as shipped they differ within the bound for rounding",
}


def write(answer: dict[str, Any], folder: Path) -> None:
    """Write both pages into the folder."""
    write_text(folder / TABLE, overview(answer))
    write_text(folder / DISCREPANCIES, discrepancies(answer))


def overview(answer: dict[str, Any]) -> str:
    """Method x implementation x verdict, and the targets without a method to compare with."""
    records = answer["records"]
    judged = [r for r in records if r["reference"] is not None or r["matches"]]
    head = ("method", "implementation", "verdict", "as shipped", "in float64", "order proved", "advertised", "observed")
    rows = sorted(((_method(r), _row(r)) for r in judged), key=lambda pair: pair[0])
    others = [(code(r["target"]), plain(r["verdict"]), plain(_first(r))) for r in records if r not in judged]
    parts = [
        "# Verification",
        _made(answer),
        "Every implementation was run on basis vectors, which gives its table row by row, and each row was compared "
        "with that of the method. *As shipped* and *in float64* are the largest relative errors of a row; then come "
        "the order proved for the method, the order that the name or the options of the implementation advertise, and "
        "the order observed.",
        "\n".join(f"- *{verdict}*: {meaning}." for verdict, meaning in MEANING.items()),
        table(head, [row for _, row in rows]),
        "## Without a method to compare with",
        table(("implementation", "verdict", "why"), others) if others else "None.",
    ]
    return "\n\n".join(parts) + "\n"


def discrepancies(answer: dict[str, Any]) -> str:
    """For each discrepancy: library and version, command, findings, proof, repair and the verdict after it."""
    parts = ["# Discrepancies", _made(answer)]
    if answer["discrepancies"]:
        head = ("implementation", "deviation", "after the repair")
        parts += [
            "Implementations that are not the method of their name, are not finite, have a lower order than they "
            "advertise, or fail with another error, such as writing into the tensors of the caller. Each has its "
            "numbers, the proof, what the code of the method's authors does, and where one is known the smallest "
            "repair, tried on a copy in memory. A different formula is not always a fault; its cost is stated.",
            table(head, [_line(entry) for entry in answer["discrepancies"]]),
        ]
    for entry in answer["discrepancies"]:
        parts += _entry(entry)
    if not answer["discrepancies"]:
        parts.append("None.")
    parts += ["## Corrected", *CORRECTIONS]
    return "\n\n".join(parts) + "\n"


def _line(entry: dict[str, Any]) -> tuple[str, ...]:
    errors = [f for f in entry["findings"] if f["severity"] == "error"]
    kinds = ", ".join(dict.fromkeys(f["kind"] for f in errors or entry["findings"] if f["kind"] != "roundoff"))
    return code(entry["target"]), plain(kinds), "-" if entry["repair"] is None else _after(entry["repair"])


def _after(repair: dict[str, Any]) -> str:
    """The method that the repaired copy equals."""
    name = repair["after"]["reference"]
    return code(name) if name else "finite, but not a method of the catalogue"


def _entry(entry: dict[str, Any]) -> Iterable[str]:
    yield f"## {code(entry['target'])}"
    library = next(name for name in reversed(entry["versions"]))
    command = code(f"samplerproof verify '{entry['target']}'")
    yield f"{plain(library)} {plain(entry['versions'][library])}; {command}: {plain(entry['verdict'])}."
    yield "\n".join(f"- {plain(finding['kind'])}: {plain(finding['detail'])}" for finding in entry["findings"])
    proofs = dict.fromkeys(name for name in (*entry["matches"][:1], entry["reference"]) if name)
    if proofs:
        yield f"Proof: {code('samplerproof prove ' + ' '.join(proofs))}."
    if entry["target"] in REMARKS:
        yield f"Beside it: {REMARKS[entry['target']]}"
    repair = entry["repair"]
    if repair is None:
        yield "No repair is given."
        return
    yield f"Repair, {plain(repair['what'])}; in {code(repair['module'])}:"
    lines = [line for old, new in repair["changes"] for line in (*_signed("-", old), *_signed("+", new))]
    yield fenced("\n".join(lines), "diff")
    after = repair["after"]
    error = f", {after['max_relative_error_float64']:.1e} in float64" if after["max_relative_error_float64"] else ""
    order = f", observed order {after['observed_order']:.2f}" if after["observed_order"] is not None else ""
    yield f"After this change in memory it is {_after(repair)}: {plain(after['verdict'])}{error}{order}."


def _signed(sign: str, text: str) -> list[str]:
    return [f"{sign} {line}" for line in text.splitlines()]


def _made(answer: dict[str, Any]) -> str:
    run = answer["manifest"]["run"]
    versions = {name: v for record in answer["records"] for name, v in record["versions"].items()}
    used = ", ".join(plain(f"{name} {version}") for name, version in sorted(versions.items()))
    return f"Made by `samplerproof study` on {run['steps']} steps, with {used}."


def _method(record: dict[str, Any]) -> str:
    return str(record["reference"] or next(iter(record["matches"]), "-"))


def _row(record: dict[str, Any]) -> tuple[str, ...]:
    errors = [scientific(record[f"max_relative_error{which}"]) for which in ("", "_float64")]
    orders = (record["nominal_order"], record["promised_order"])
    return (
        code(_method(record)),
        code(record["target"]),
        plain(outcome(record)),
        *errors,
        *("-" if order is None else str(order) for order in orders),
        number(record["observed_order"], ".2f"),
    )


def outcome(record: dict[str, Any]) -> str:
    """The verdict; if it conforms but fails, also the kinds of the findings that are errors."""
    kinds = dict.fromkeys(f["kind"] for f in record["findings"] if f["severity"] == "error")
    return f"{record['verdict']}, but fails: {', '.join(kinds)}" if fails(record) else str(record["verdict"])


def _first(record: dict[str, Any]) -> str:
    return next((str(finding["detail"]) for finding in record["findings"]), "-")
