"""The page of a method: everything known of it from the catalogue, the proofs, the studies and the verifications."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import Any

import sympy as sp

from ...numerics.catalogue import METHODS, starts
from ...numerics.conformance.report import own_name
from ...numerics.generated.citations import CITATIONS
from ...numerics.records import GeneratedParameter, Record
from ...theory.emit.render import weight_functions
from ...theory.frames import FRAMES
from ...theory.latex import CLOCKS, PREDICTION, latex, tex
from ...theory.methods import find
from ...theory.notation import u
from ..markup import code, fenced, plain, scientific, table
from ..tables.claimed_table import claimed, in_words
from .measured import measured, picture
from .myst import display, facts, link, slug
from .order_section import order

KINDS = {
    "one-step": "one step, one output",
    "multistep": "several steps: outputs of earlier steps are used again",
    "multistage": "several stages within a step",
    "predictor-corrector": "a predicted point, then a correction with the output made there",
    "general-linear": "several steps and stages",
}


def page(record: Record, answers: dict[str, Any], verified: Sequence[dict[str, Any]]) -> str:
    """The page of a method.

    answers: the kept results of all methods.  verified: the verdicts that concern this one.
    """
    parts = [
        f"# {plain(record.label)}",
        _searched(record),
        record.summary,
        _names(record),
        facts(_facts(record)),
        "## Formula",
        frame_sentence(record.frame),
        display(latex(find(record.name))),
        f"`samplerproof derive {record.name} --format json` has its nodes and weights one by one.",
        f"(order-{slug(record.name)})=\n## Order",
        *order(record, answers["proofs"][record.name]),
        "## Start-up and last step",
        _start(record),
        "## Measured",
        *measured(record, [entry for entry in answers["convergence"] if entry["method"] == record.name]),
        *_orders(record, answers["orders"]),
        "## Stability",
        *_stability(record),
        "## Code",
        "Generated from the formula above; this is the code that runs. `h` and the step ratios are float64 tensors.",
        fenced(weight_functions(find(record.name)).rstrip(), "python"),
        "## Implementations",
        *_implementations(record, verified),
        "## Cite",
        f"{{cite:t}}`{record.cite}`; `samplerproof cite {record.name}` prints:",
        fenced(CITATIONS[record.cite], "bibtex"),
    ]
    return "\n\n".join(parts) + "\n"


def _orders(record: Record, orders: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The orders measured on two targets, and the last error of the law over its leading term, in sentences."""
    own = [row for row in orders if row["method"] == record.name]
    if own:
        words = "; ".join(in_words(row, record.order) for row in own)
        yield f"Orders measured on [two targets](../claimed_orders.md): {words} steps."
    for row in own:
        if row.get("over_leading"):
            yield (
                f"On the Gaussian the relative error of the variance at {row['steps'][-1]} steps is "
                f"{row['over_leading'][-1]:.3f} times its [leading term](../chapters/stochastic_orders.md), which "
                "comes from the proof of the order and has no fitted parameter."
            )


def concerns(record: Record, verification: dict[str, Any]) -> bool:
    """Whether a verdict is on an implementation that was compared with the method, or equals it."""
    return record.name in (verification["reference"], *map(own_name, verification["matches"]))


def frame_sentence(name: str) -> str:
    """The frame as a sentence with its equation."""
    frame = FRAMES[name]
    clock = CLOCKS[frame.column]
    weight = frame.c * sp.exp(frame.kappa * u) if frame.rate is None else frame.rate
    written = tex(weight).replace("{u}", f"{{{clock}}}") if frame.rate is None else r"\frac{d\rho}{dt}"
    factor = "" if frame.factor == 1 else tex(frame.factor) + r"\,"
    product = f"{'' if written == '1' else written + chr(92) + ', '}{factor}{PREDICTION[frame.prediction]}"
    scale = "x" if frame.scale == 1 else f"x/{tex(frame.scale)}"
    return f"Its [frame](../glossary.md) is `{name}`: $z = {scale}$ obeys $dz/d{clock} = {product}$."


def _names(record: Record) -> str:
    own = [f"`{alias}`" for alias in record.aliases if ":" not in alias]
    others = f"other names of the same table are {', '.join(own)}" if own else "it has no other name in the literature"
    return f"Its name here is `{record.name}`; {others}."


def _searched(record: Record) -> str:
    """Entries of the index, which the search finds first: the name, then all aliases."""
    return f"```{{index}} {', '.join((f'! {record.name}', *(a for a in record.aliases if ',' not in a)))}\n```"


def _facts(record: Record) -> Iterator[tuple[str, str]]:
    yield "family", record.family
    yield "kind", KINDS[record.kind]
    yield "frame", f"`{record.frame}`"
    yield "noise", "yes: it samples the reverse SDE" if record.stochastic else "none: it samples the flow"
    yield "in the catalogue since", record.since
    yield ("weak order" if record.stochastic else "order"), str(record.order)
    yield "order claimed", _claim(record)
    yield "model evaluations a step", str(record.nfe_per_step)
    for parameter in record.parameters:
        yield f"parameter `{parameter.name}`", _domain(parameter)


def _claim(record: Record) -> str:
    """What the literature claims, and what has that order where the sampler has not."""
    claim = claimed().get(record.name)
    if claim is None:
        return "no claim was read"
    more = "" if claim.order <= record.order else ", [more than is proved](../claimed_orders.md)"
    repair = f"; {link(claim.repair)} has it" if claim.repair else ""
    return f"{claim.order} by {plain(claim.where)}{more}{repair}"


def _domain(p: GeneratedParameter) -> str:
    first, last = (r"\le" if p.closed and end not in p.excluded else "<" for end in (p.low, p.high))
    low, high = ("" if p.low == -inf else f"{p.low} {first} "), ("" if p.high == inf else f" {last} {p.high}")
    but = "".join(rf",\ \ne {value}" for value in p.excluded if value not in (p.low, p.high))
    domain = "any number" if not low and not high else rf"${low}\text{{{p.name}}}{high}{but}$"
    orders = "".join(f"; order {order} at {value}" for value, order in p.orders)
    return f"{domain}, by default {p.default}{orders}"


def _start(record: Record) -> str:
    chain = starts(record)
    if not chain:
        begin = "It needs no history: the first step is like all others."
    else:
        names = ", then ".join(link(method.name) for method in reversed(chain))
        first = "step is" if record.history == 1 else f"{record.history} steps are"
        begin = f"Without history, the first {first} taken by {names}."
    whole = f" A whole run, start-up included, is of order {record.order_asymptotic}."
    return f"{begin}{whole} The last step: {record.last_step}."


def _stability(record: Record) -> Iterator[str]:
    if record.stochastic:
        yield "Not decided for samplers with noise."
        return
    if record.stability is None:
        yield "On $dz/du = c z$ no real $c < 0$ limits the step, in the limit of short steps."
    else:
        yield (
            f"On $dz/du = c z$ with real $c < 0$ the steps are bounded, in the limit of short steps, as long as "
            f"$h |c| < {record.stability:.6g}$."
        )
    yield picture(record, "stability")
    yield (
        r"Left: the longest step in $\lambda$ whose errors do not grow under guidance of scale $s$, if the condition "
        "determines the sample; without a line every step is stable. Right: the region in which $dz/du = c z$ stays "
        "bounded, for short steps."
    )


def _implementations(record: Record, verified: Sequence[dict[str, Any]]) -> Iterator[str]:
    theirs = [f"`{alias}`" for alias in record.aliases if ":" in alias]
    if theirs:
        yield f"In libraries it is called {', '.join(theirs)}."
    if verified:
        head = ("implementation", "verdict", "as shipped", "in float64", "order observed", "equals")
        yield table(head, [_verified(record, v) for v in verified])
        yield (
            "The errors are the largest relative ones of a row of its table. "
            "[All verdicts](../verification.md), [what deviates and why](../discrepancies.md)."
        )
    elif not theirs:
        yield "The catalogue lists none."
    yield f"Compare yours: `samplerproof verify package.module:callable --against {record.name}`."


def _verified(record: Record, v: dict[str, Any]) -> tuple[str, ...]:
    observed = v["observed_order"]
    return (
        code(v["target"]),
        plain(v["verdict"]),
        scientific(v["max_relative_error"]),
        scientific(v["max_relative_error_float64"]),
        "-" if observed is None else f"{observed:.2f}",
        ", ".join(_equal(record, name) for name in v["matches"]) or "-",
    )


def _equal(record: Record, match: str) -> str:
    """The record that an implementation equals, and in brackets what differs in some steps."""
    name, more = own_name(match), match[len(own_name(match)) :]
    if name == record.name:
        return f"this{plain(more)}"
    return (link(name) if name in METHODS else code(name)) + plain(more)
