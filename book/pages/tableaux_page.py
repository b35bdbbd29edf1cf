"""The page on RES4LYF's tableaux: claimed, proved and run, the failing condition, and the smallest repair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..markup import code, number, plain, table
from .myst import ONE_SIDEBAR

FILE = "tableaux.md"
HEAD = ("tableau", "group", "stages", "claimed", "proved", "stiff", "in a run", "fails next")

PAGE = """# RES4LYF's tableaux

The order of {count} tableaux of [RES4LYF]({repository}), `{file}` at commit `{commit}`, decided by trees from both
sides: all conditions of the order hold, and the one under *fails next* does not. The coefficients are facts that were
read there; [res4lyf.toml](tableaux/res4lyf.toml) has them in the form that `samplerproof prove --tableau` takes.

*Claimed* is what its name, its source or a comment beside it claims. *Proved* is the order for a smooth model and one
number L; implicit tableaux are decided at their converged stages. *Stiff* is the order that holds for every L
(Hochbruck and Ostermann), and behind it the one where the conditions of this order hold at b(0) alone. *In a run* is
the order that was [observed](verification.md) on a mixture, where a run was kept: it is an independent check.

In a run with the options as they come, exponential tableaux act on D - x_n, which is the tableau here if its rows
integrate a constant exactly; Lawson's do not. Linear tableaux take (x_n - D)/sigma_n for the noise there, with which
all are of order 2 at most; with `noise_anchor=0` they are what is proved here, as the read-back of `rk4_4s` shows.
The hybrid `abnorsett` ones are passed a difference of sigma where the step in lambda belongs; what is proved is the
tableau with the step. Orders of multistep ones hold for all step ratios where their weights contain them: for `res_2m`,
`res_3m`, `dpmpp_2m`, `dpmpp_3m`, and `abnorsett_2m` and `abnorsett_3m`, which run the weights of `res_2m` and `res_3m`.

## Where proof and claim differ

{differ}

## All

{all}

Not among them: {left_out}.

## By sweeps

An implicit tableau with a stated number of sweeps is an explicit one, with all stages of a sweep in parallel: Picard
iteration, as in ParaDiGMS, which sweeps over a chain of Euler steps, and in collocation. Stages start as the exact
linear part of x_n. With m sweeps the order proved is m + 1, up to that of the converged tableau; Gauss-Seidel sweeps,
which use new outputs within a sweep, have smaller errors and the same order. The orders observed are those between N
and 2 N steps, uniform in lambda from -2 to 2, on mixtures with two and with three components (`N` has that of each);
the method with sixteen stages is among them.

{measured}
"""


def tableaux_page(kept: Mapping[str, Any], verified: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The page.  kept: the result of tableau_results.  verified: the kept verdicts, with observed orders."""
    rows = sorted(kept["tableaux"], key=lambda row: (_gap(row), row["name"]))
    observed = {_name(record["target"]): record["observed_order"] for record in verified if _is_plain(record["target"])}
    mended = [
        (*_row(row, observed)[:5], _repair(row))
        for row in rows
        if row["claimed"] is not None and row["claimed"] != row["order"]
    ]
    text = PAGE.format(
        count=len(rows),
        **{key: kept[key] for key in ("repository", "file")},
        commit=kept["commit"][:12],
        differ=table((*HEAD[:5], "smallest repair"), mended),
        all=table(HEAD, [_row(row, observed) for row in rows]),
        measured=table(
            ("scheme", "stages", "proved", "N", "two components", "three components"),
            [
                (
                    *(row["name"], str(row["stages"]), str(row["order"]), ", ".join(map(str, row["steps"]))),
                    *(f"{order:.2f}" for order in row["observed"]),
                )
                for row in kept["measured"]
            ],
        ),
        left_out="; ".join(f"{plain(names)} ({plain(reason)})" for names, reason in kept["left_out"]),
    )
    return {FILE: ONE_SIDEBAR + text}


def _gap(row: Mapping[str, Any]) -> int:
    """Negative where less is proved than claimed; the largest disagreement comes first."""
    return 0 if row["claimed"] is None else int(row["order"] - row["claimed"])


def _name(target: str) -> str:
    return target.removeprefix("res4lyf:").partition("?")[0]


def _is_plain(target: str) -> bool:
    """A target of RES4LYF with the options as they come, but for the last call of the model."""
    options = target.partition("?")[2]
    return target.startswith("res4lyf:") and options in ("", "extra_options=enable_final_model_call")


def _row(row: Mapping[str, Any], observed: Mapping[str, float | None]) -> tuple[str, ...]:
    past = f" + {row['past']} past" if row["past"] else ""
    stiff = "-" if row["stiff_order"] is None else f"{row['stiff_order']} ({row['stiff_order_weakened']})"
    failing = row["failing"]
    where = f"{failing['coefficient']} h^{failing['power']}  {failing['tree']}"
    if row["rows_off"]:
        rows = "row" if len(row["rows_off"]) == 1 else "rows"
        where += f"; not equal to c: the sum of {rows} {', '.join(map(str, row['rows_off']))}"
    return (
        code(row["name"]),
        row["group"].replace("_", " "),
        f"{row['stages']}{past}",
        "-" if row["claimed"] is None else str(row["claimed"]),
        str(row["order"]),
        stiff,
        number(observed.get(row["name"]), ".2f"),
        code(where),
    )


def _repair(row: Mapping[str, Any]) -> str:
    repair = row["repair"]
    return "none found" if repair is None else f"{plain(repair['change'])}: order {repair['order']}"
