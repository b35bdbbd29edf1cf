"""The glossary: every term with its symbol, its meaning and its name in the code; every symbol, parameter and frame."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from ...theory.frames import FRAMES, Frame
from ...theory.latex import CLOCKS, PREDICTION, tex
from ...theory.methods import METHODS
from ...theory.notation import NOTATION, u
from ..markup import code, plain, table
from .statement_formula import marked_up


@dataclass(frozen=True)
class Term:
    """A word that the project uses for one thing.

    meaning: with formulas between dollars, in plain letters.
    symbol: the names of its symbols in theory/notation.py, or LaTeX.  code: where it is in the package, with the
    package's name left out: a module, or module:name.
    """

    name: str
    meaning: str
    code: str
    symbol: str = ""


TERMS = (
    Term(
        "sampler",
        "an algorithm that turns noise into data by calls of a model, on a grid: a method or an external sampler",
        "numerics.sample:sample",
    ),
    Term(
        "method",
        "a sampler that is a record of the catalogue; samplerproof methods lists them",
        "theory.method:Method",
    ),
    Term(
        "record",
        "the declaration of a method: frame, rows, order, start-up, citation. In a study, one measured value",
        "numerics.records:Record",
    ),
    Term(
        "external sampler",
        "third-party code that is verified, or run in a study, by calling it",
        "numerics.conformance.adapters.callables",
    ),
    Term(
        "table (tableau)",
        "a sampler on one grid, as coefficients: each row is affine in start vectors, model outputs and noises",
        "numerics.tableau:Tableau",
    ),
    Term(
        "row",
        "one vector that a sampler computes, with the point where the model is evaluated next; a step has one or more",
        "numerics.coefficients:StepRows",
    ),
    Term("grid", "the noise levels that a run visits, noisiest first", "numerics.grids:Grid", "u_0, \\dots, u_N"),
    Term(
        "level", "how noisy a vector is: a point with its $alpha$ and $sigma$", "numerics.points:Point", "alpha sigma"
    ),
    Term("step", "the way from one grid point to the next; $N$ steps need $N + 1$ points", "numerics.grids:Grid", "h"),
    Term("step ratio", "the length of an earlier step over that of the present one", "numerics.coefficients", "r1 r2"),
    Term(
        "schedule",
        "$alpha$ and $sigma$ as functions of time, in $x_t = alpha x_0 + sigma eps$: vp-linear, cosine, ve, edm, flow, "
        "li",
        "numerics.schedules:Schedule",
        "alpha sigma",
    ),
    Term(
        "frame",
        "scale, clock and prediction in which the probability flow has no linear part: $dz/du = w F$ with $z = x/m$",
        "theory.frames:Frame",
    ),
    Term(
        "clock",
        "the time in which a frame counts its steps: $lambda$, $rho$, $rho^2$ or $t$",
        "theory.frames:Frame",
        "u",
    ),
    Term(
        "prediction",
        "what a model returns of a noisy vector: data, noise, velocity or score, each an affine image of the others",
        "theory.prediction_formulas",
        "x0 eps velocity score",
    ),
    Term(
        "denoiser",
        "a model in the form that samplers call: a noisy vector and its level to the data prediction",
        "numerics.denoisers:Denoiser",
    ),
    Term(
        "target law",
        "the law of the data that a sampler should reach: a Gaussian mixture, with exact score and flow",
        "numerics.targets.mixture:GaussianMixture",
    ),
    Term("target", "in verify, the external sampler that a string names", "numerics.conformance.report:TargetInfo"),
    Term(
        "leading error",
        "the first term $C/N^p$ of the error of a run, computed before the run without a fitted number",
        "numerics.leading.leading_error",
    ),
    Term(
        "leading defect",
        "a term of the local error at the first order that fails: a coefficient times an elementary differential of "
        "$G$",
        "numerics.generated.defects:DEFECTS",
    ),
    Term(
        "order, nominal",
        "$p$ where a step on the exact solution has an error of size $h^{p+1}$; of a method with noise, the weak order",
        "theory.order:prove_order",
        "p",
    ),
    Term("order, asymptotic", "the order of a whole run with the method's own start-up", "theory.startup"),
    Term("order, observed", "the exponent $a$ in $N^{-a}$ that measured errors follow", "numerics.rates:fit", "a"),
    Term(
        "order, weak",
        "the order of means of smooth functions of the samples, for every smooth model",
        "theory.weak_order:prove_weak_order",
    ),
    Term(
        "order in law", "the order of the law of the samples with an exact score", "theory.order_in_law:prove_law_order"
    ),
    Term("order for free ratios", "the order where step ratios stay away from 1", "theory.order:prove_order"),
    Term(
        "NFE",
        "number of function evaluations: calls of the model in a run, or in a step",
        "numerics.tableau:Tableau.nfe",
    ),
    Term("history", "how many earlier outputs or states a step uses", "numerics.records:Record"),
    Term("start-up", "how the first steps are made, where a method has history", "numerics.catalogue:starts"),
    Term(
        "ramp",
        'a start-up by methods of lower order; start = "ramp" in a study, against exact start values',
        "numerics.catalogue:starts",
    ),
    Term("read-back", "the table of any sampler, from runs on basis vectors", "numerics.readback"),
    Term(
        "reference",
        "what something is compared with: in verify the record of a target, on a network a flow of fine steps",
        "numerics.conformance.judge.references:Reference",
    ),
    Term(
        "verdict",
        "the result of verify: identical, roundoff, different-formula, …",
        "numerics.conformance.report:Verdict",
    ),
    Term(
        "finding", "an observation that comes with a verdict: an error or a note", "numerics.conformance.report:Finding"
    ),
    Term(
        "claim",
        "a statement with an exact proof: expressions that vanish, and others that must not",
        "theory.claims:CLAIMS",
    ),
    Term(
        "phase space",
        "a state together with its momentum, diffused as one: states of shape $[n, 2 d]$, in the clock $b$, "
        "the integral of $beta$",
        "numerics.phase_space.phase_process:PhaseSpace",
    ),
    Term(
        "splitting integrator",
        "a sampler on phase space that advances parts of the reversed drift in turn, each over a share of the step",
        "numerics.phase_space.splitting_records:Splitting",
    ),
)


def glossary() -> str:
    """Every term, every symbol with its meaning, the parameters and the frames."""
    terms = [
        (plain(term.name), _symbols(term.symbol), marked_up(term.meaning, plain), code(_place(term))) for term in TERMS
    ]
    symbols = [(f"${entry.latex}$", code(name), marked_up(entry.meaning, plain)) for name, entry in NOTATION.items()]
    parts = [
        "# Glossary and notation",
        "One word for one thing, each with its symbol and with its name in the package `samplerproof`.",
        table(("term", "symbol", "meaning", "in code"), terms),
        "## Symbols",
        "Every symbol, as it is written here, as the code calls it, and what it means.",
        table(("symbol", "in code", "meaning"), symbols),
        "## Parameters of methods",
        "The names that may stand behind the question mark of a method's name, and their symbols in formulas.",
        table(("symbol", "name", "meaning", "methods"), _parameters()),
        "## Frames",
        r"In a frame the probability flow reads $dz/du = w\,F$ with $z = x/m$: its linear part is gone. "
        "[The chapter on frames](chapters/schedules_and_frames.md) derives them.",
        table(("frame", "scale $m$", "clock $u$", "prediction $F$", "weight $w$"), map(_frame, FRAMES.values())),
    ]
    return "\n\n".join(parts) + "\n"


def _parameters() -> list[tuple[str, ...]]:
    """A row for each parameter: its symbol, name and meaning, and the methods that have it."""
    methods: dict[tuple[str, ...], list[str]] = {}
    for method in METHODS:
        for p in method.parameters:
            methods.setdefault((f"${p.latex}$", code(p.name), marked_up(p.meaning, plain)), []).append(
                code(method.name)
            )
    return [(*parameter, ", ".join(names)) for parameter, names in methods.items()]


def _place(term: Term) -> str:
    return term.code.replace(":", ".")


def _symbols(symbol: str) -> str:
    """LaTeX of symbols by their names in the notation, or as it is given."""
    names = symbol.split()
    if names and all(name in NOTATION for name in names):
        return f"${', '.join(NOTATION[name].latex for name in names)}$"
    return f"${symbol}$" if symbol else ""


def _frame(frame: Frame) -> tuple[str, ...]:
    weight = frame.c * sp.exp(frame.kappa * u) if frame.rate is None else None
    factor = "" if frame.factor == 1 else tex(frame.factor) + r"\,"
    return (
        f"`{frame.name}`",
        f"${tex(frame.scale)}$",
        f"${CLOCKS[frame.column]}$",
        f"${factor}{PREDICTION[frame.prediction]}$",
        r"$d\rho/dt$" if weight is None else f"${tex(weight)}$",
    )
