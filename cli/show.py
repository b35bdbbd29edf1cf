"""Tables for a terminal, and JSON without NaN."""

from __future__ import annotations

import json as standard_json
import shutil
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Column, Table

from ..book.markup import number, scientific
from ..book.proofs import term
from ..numerics.text_table import aligned, described
from .fitted_tables import print_table

if TYPE_CHECKING:
    pass

LEVELS = ("sigma", "alpha", "t", "lambda")


def json(answer: object) -> None:
    """Print the answer as JSON.  Raises ValueError on NaN, which JSON does not have."""
    print(standard_json.dumps(answer, indent=1, allow_nan=False))


def methods(records: list[dict[str, Any]]) -> None:
    """The catalogue as a table; a narrow terminal leaves out what `methods NAME` shows."""
    others = [record for record in records if "why" in record]
    records = [record for record in records if "why" not in record]
    if records:
        _records(records)
    if others:
        table = Table("without a record", "claimed", "proved", "measured", "nearest", Column("why", overflow="fold"))
        for r in others:
            table.add_row(r["name"], *_orders(r), r["near"] or "-", r["why"])
        print_table(table, ("nearest", "claimed"))


def _orders(record: dict[str, Any]) -> tuple[str, str, str]:
    """The orders of a sampler without a record: claimed, proved, measured."""
    claimed, proved = (number(record[key], "d") for key in ("claimed_order", "proved_order"))
    return claimed, proved, number(record["observed_order"], ".2f")


def _records(records: list[dict[str, Any]]) -> None:
    columns = ("order", "with start-up", "NFE per step", "stochastic", "kind", "frame", "family", "stability", "cite")
    table = Table("name", *columns, Column("also known as", overflow="fold"))
    for r in records:
        numbers = (str(r["order"]), str(r["order_asymptotic"]), str(r["nfe_per_step"]))
        texts = ("yes" if r["stochastic"] else "no", r["kind"], r["frame"], r["family"])
        stability = "-" if r["stability"] is None else f"{r['stability']:.4g}"
        table.add_row(r["name"], *numbers, *texts, stability, r["cite"], " ".join(_names(r)))
    print_table(table, ("also known as", "cite", "stability", "family", "frame", "kind", "with start-up", "stochastic"))


def techniques(found: list[tuple[str, str, str]]) -> None:
    """Techniques around samplers, below the methods: name, title, page of the book below _build/html."""
    if found:
        table = Table("technique", Column("title", overflow="fold"), "page")
        for row in found:
            table.add_row(*row)
        print_table(table, ("title",))


def _without_record(answer: dict[str, Any]) -> None:
    """A library's sampler that has no record: why."""
    near = answer["near"]
    facts = [
        ("why", answer["why"]),
        ("nearest", "-" if near is None else f"{near}; samplerproof methods '{near}'"),
        ("order", "claimed {}, proved {}, measured {}".format(*_orders(answer))),
        ("read in", answer["read_in"]),
    ]
    print(described(f"{answer['name']}: no record of the catalogue", facts))


def method(record: dict[str, Any]) -> None:
    """All of one method, a fact a line."""
    if "why" in record:
        return _without_record(record)
    name, start, claim = record["name"], record["start"], record["claimed"]
    order = f"{record['order']}, proved{', in the weak sense' if record['stochastic'] else ''}"
    order += " for step ratios 1 + O(h)" if record["equal_steps"] else ""
    stability = "not bounded" if record["stability"] is None else f"stable while h |c| < {record['stability']:.4g}"
    facts = [
        *([("asked for", f"{record['named']['name']}, {record['named']['read_in']}")] if "named" in record else []),
        ("also known as", "\n".join(_names(record)) or "-"),
        ("family", f"{record['family']}, {record['kind']}, frame {record['frame']}"),
        ("order", f"{order}; samplerproof prove '{name}'"),
        *([] if claim is None else [("claimed", _claim(claim))]),
        ("with start-up", f"{record['order_asymptotic']}{'' if start is None else f', first steps by {start}'}"),
        ("NFE per step", str(record["nfe_per_step"])),
        ("noise", "stochastic" if record["stochastic"] else "none"),
        ("parameters", "\n".join(map(_parameter, record["parameters"])) or "-"),
        ("stability", stability),
        ("last step", record["last_step"]),
        ("a step", "\n".join(record["rows"])),
        ("formula", f"samplerproof derive '{name}'"),
        ("page", f"{record['page']} in the book (make book)"),
        ("since", record["since"]),
        ("cite", record["bibtex"]),
    ]
    print(described(f"{name}: {record['summary']}", facts))


def _names(record: dict[str, Any]) -> list[str]:
    """Aliases, then other names of libraries."""
    return list(dict.fromkeys([*record["aliases"], *record["libraries"]]))


def _claim(claim: dict[str, Any]) -> str:
    """The claimed order, by what, and what has it."""
    repair = "" if claim["repair"] is None else f"; {claim['repair']} has it"
    return f"{claim['order']}, by {claim['where']}{repair}"


def _parameter(parameter: dict[str, Any]) -> str:
    """A parameter with its domain, an end that is infinite left out."""
    low = "" if parameter["low"] is None else f"{parameter['low']} <= "
    high = "" if parameter["high"] is None else f" <= {parameter['high']}"
    return f"{low}{parameter['name']}{high}, {parameter['default']} by default"


def grids(kinds: list[dict[str, Any]]) -> None:
    """The kinds of grid as a table."""
    folded = (Column(head, overflow="fold") for head in ("parameters", "also known as", "cite or source"))
    table = Table("name", *folded)
    for kind in kinds:
        parameters = [p["name"] + _default(p) for p in kind["parameters"]]
        source = kind["cite"] or kind["source"] or "-"
        table.add_row(kind["name"], " ".join(parameters), " ".join(kind["aliases"]), source)
    print_table(table, ("also known as", "cite or source"))


def _default(parameter: dict[str, Any]) -> str:
    """The default of a parameter behind its name, as a decimal; nothing where a value is needed."""
    text = parameter["default"]
    if text is None:
        return ""
    return f"={text}" if parameter["words"] else f"={float(Fraction(text)):g}"


def levels(answer: dict[str, Any]) -> None:
    """The levels of a grid, one line each."""
    print(f"{answer['name']}, {answer['steps']} steps, schedule {answer['schedule']}")
    rows = zip(*(answer[key] for key in LEVELS), strict=True)
    table = Table("n", *LEVELS)
    for n, row in enumerate(rows):
        table.add_row(str(n), *(number(value, ".8g") for value in row))
    print_table(table)
    for finding in answer["findings"]:
        print(_finding("grid", finding))


def _finding(of: str, finding: dict[str, Any]) -> str:
    """A finding about a grid in a line."""
    return f"{of}{'' if finding['severity'] == 'note' else ' (error)'}: {finding['detail']}"


def proofs(answer: list[dict[str, Any]]) -> None:
    """Claimed and proved orders, with the shortest of the leading defects: one line each."""
    defect_column = Column("a leading defect", overflow="fold")
    table = Table("name", "claimed", "proved", "free ratios", "with start-up", "holds", defect_column, "seconds")
    for entry in answer:
        shortest = min(entry["leading_defects"], key=lambda d: len(d["coefficient"]))
        orders = [entry[key] for key in ("claimed_order", "proved_order", "proved_order_free", "order_asymptotic")]
        holds = "yes" if entry["proved"] else "NO"
        table.add_row(entry["name"], *map(str, orders), holds, term(shortest), f"{entry['seconds']:.2f}")
    print_table(table, ("seconds", "with start-up", "claimed", "a leading defect"))


def study(answer: dict[str, Any]) -> None:
    """The errors of a study, their orders and leading errors, and how many records were computed."""
    from ..numerics.studies.external_answer import external_lines
    from ..numerics.studies.study_table import study_text

    print(study_text(answer, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))
    for line in external_lines(answer["external"]):
        print(line)
    for made in answer["grids"]:
        # What is found with every number of steps is one line.
        alike: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for finding in made["findings"]:
            alike.setdefault((finding["severity"], finding["detail"]), []).append(finding)
        for found in alike.values():
            steps = ", ".join(str(finding["steps"]) for finding in found)
            print(_finding(f"grid {made['name']}, N = {steps}", found[0]))
    counts = answer["manifest"]
    again = f" ({counts['recomputed']} of them again: their stored values were damaged)" if counts["recomputed"] else ""
    print(f"{counts['computed']} records computed{again}, {counts['reused']} reused")


def exponents(rows: list[dict[str, Any]]) -> None:
    """The exponents behind the figures, beside the orders that they should show."""
    table = Table("study", "method", "metric", "order", "exponent", "status", "local orders", "N")
    for row in rows:
        window = "-" if row["window"] is None else "{}..{}".format(*row["window"])
        cells = (row["study"], row["method"], row["metric"], str(row["order"]))
        orders = " ".join(f"{order:.2f}" for order in row["local_orders"]) or "-"
        table.add_row(*cells, number(row["exponent"], ".3f"), row["status"], orders, window)
    print_table(table, ("local orders", "N"))


def seeds(rows: list[dict[str, Any]]) -> None:
    """The techniques: the verdict on the claim of each, and the number that it rests on."""
    table = Table("technique", "verdict here", "number", "page")
    for row in rows:
        table.add_row(row["system"], row["verdict"], f"{row['number']:.4g}", row["page"])
    print_table(table, ("page",))


def verification(answer: dict[str, Any]) -> None:
    """A line a target."""
    from ..book.tables.verification_tables import outcome

    table = Table("target", "verdict", "record", "as shipped", "in float64", "order", "observed")
    for record in answer["records"]:
        numbers = [scientific(record[f"max_relative_error{which}"]) for which in ("", "_float64")]
        name = ", ".join(record["matches"][:1]) or record["reference"] or "-"
        proved = record["nominal_order"]
        orders = ("-" if proved is None else str(proved), number(record["observed_order"], ".2f"))
        table.add_row(record["target"], outcome(record), name, *numbers, *orders)
    print_table(table, ("as shipped", "in float64", "observed"))
    for missing in answer["missing"]:
        print(f"missing: {missing['target']}; {missing['checkout']}")


def trained(record: dict[str, Any]) -> None:
    """Size, training time and loss of a trained network, or the distances of a student."""
    print(f"{record['parameters']} parameters, {record['seconds']:.0f} s on {record['device']}")
    if "outcomes" in record:
        from ..numerics.few_step.outcomes import OUTCOMES  # torch is slow to import

        measured = [key for key in OUTCOMES if key in next(iter(record["outcomes"].values()))]
        rows = [[name, *(f"{found[key]:.4g}" for key in measured)] for name, found in record["outcomes"].items()]
        print(aligned(("sampler, steps", *(OUTCOMES[key] for key in measured)), rows))
        return
    loss, trivial = (record["validation"][key] for key in ("loss", "trivial"))
    print(f"loss on held-out data {loss:.4f}; of the trivial predictor {trivial:.4f}")


def written(folder: Path) -> None:
    """The folder of the files."""
    print(f"written to {folder}/")
