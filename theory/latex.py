"""A record as a formula: LaTeX as papers write it, and a plain description."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from .method import RATE_MOMENT, Method
from .notation import NOISED_PLACE, NOTATION, TWO_STEP_ALPHA_RATIO, alpha, h, sigma, t
from .phi_functions import phi
from .rows import Node, Place

NAMES = {entry.symbol: entry.latex for entry in NOTATION.values()}
CLOCKS = {"lam": r"\lambda", "rho": r"\rho", "rho2": r"\rho^2", "t": "t", "neg_log_alpha": r"-\log\alpha"}
LONG = 150  # characters of LaTeX that fit in a line
PREDICTION = {"data": r"\hat x_0", "noise": r"\hat\epsilon", "score": "s", "velocity": "v"}


def tex(expression: sp.Expr, names: Mapping[sp.Symbol, str] | None = None) -> str:
    """LaTeX of an expression, symbols as the notation table writes them, or as these names do."""
    return str(sp.latex(expression, symbol_names=NAMES | dict(names or {})))


def latex(method: Method) -> str:
    """Every row of the method and the meaning of h and the step ratios, as an aligned environment."""
    return _Formula(method).text()


def plain(expression: sp.Expr) -> sp.Expr:
    """Without phi functions where that is shorter: 2 h phi_1(-2h) as 1 - e^{-2h}."""
    written = sp.expand(sp.cancel(expression.rewrite(sp.exp)))
    return min(expression, written, key=lambda e: len(tex(e)))


def _at(expression: sp.Expr, index: str) -> str:
    """alpha, sigma and t of an expression at a grid point."""
    subscripted = {v: sp.Symbol(f"{NAMES[v]}_{{{index}}}", positive=True) for v in (alpha, sigma, t)}
    return str(sp.latex(expression.subs(subscripted, simultaneous=True)))


@dataclass(frozen=True)
class _Formula:
    """The parts of a method's formula."""

    method: Method

    def tex(self, expression: sp.Expr) -> str:
        """LaTeX of an expression, parameters under their names."""
        return tex(expression, {p.symbol: p.latex for p in self.method.parameters})

    def text(self) -> str:
        """All rows, then the meaning of their letters."""
        written = [self.row(k) for k in range(1, len(self.method.rows) + 1)]
        lines, weights = [line for line, _ in written], [line for _, named in written for line in named]
        body = ",\\\\\n".join("  " + line for line in (*lines, *weights, *self.letters()))
        return f"\\begin{{aligned}}\n{body}.\n\\end{{aligned}}"

    def letters(self) -> Iterator[str]:
        """What h, the step ratios and the other numbers of the formula are."""
        method, clock = self.method, CLOCKS[self.method.frame.column]
        base, power = clock.removesuffix("^2"), "^2" if clock.endswith("^2") else ""
        yield rf"h &= {base}_{{n+1}}{power} - {base}_n{power}"
        rows = range(len(method.rows))
        used = [*method.applied, *(method.carried(i) for i in rows), *(a for i in rows for a in method.amplitudes(i))]
        names = {name for numbers in used for name in method.arguments(numbers)} - set(method.names.values())
        for k in range(1, 6):
            if f"r{k}" in names:
                newer, older = self.index(1 - k), self.index(-k)
                yield rf"r_{{{k}}} &= ({base}_{{{newer}}}{power} - {base}_{{{older}}}{power})/h"
        if "a1" in names:
            yield r"a_{t+1} &= (\alpha_{n-1}/\alpha_n)^2"
        if NOISED_PLACE.name in names:
            yield r"g &= -\log\left(1 + \min(S_\text{churn}/N, \sqrt 2 - 1)\right)/h"
        if "middle" in names:
            yield rf"c_t &= ({base}(\tfrac12 (t_n + t_{{n+1}})){power} - {base}_n{power})/h"
        for k in range(5):
            if f"m{k}" in names:
                yield rf"M_{k} &= \int_{{t_n}}^{{t_{{n+1}}}} \left(\frac{{t - t_n}}{{h}}\right)^{k} d\rho"
        if RATE_MOMENT.name in names:
            yield r"M_b &= \int_{t_n}^{t_{n+1}} e^{b (t - t_{n+1})} d\rho"

    def index(self, place: Place) -> str:
        """The index of a vector at a place."""
        if not isinstance(place, int):
            return f"n+{self.tex(place)}" if isinstance(place, sp.Symbol) else f"n+{place}"
        return "n" if place == 0 else f"n{place:+d}"

    def stage(self, k: int) -> str:
        """The result of row k of a step: a predicted point, or the k-th stage."""
        index = self.index(self.method.rows[k - 1].to)
        return rf"\tilde x_{{{index}}}" if self.method.corrects else f"x^{{({k})}}_{{{index}}}"

    def state(self, node: Node) -> str:
        """The vector at which a node's output was made."""
        if node.stage:
            return self.stage(node.stage)
        index = self.index(-node.back)
        return rf"\tilde x_{{{index}}}" if self.method.corrects else f"x_{{{index}}}"

    def output(self, node: Node) -> str:
        """The frame's F at a node: factor times prediction."""
        frame = self.method.frame
        index = self.index(self.method.rows[node.stage - 1].to if node.stage else -node.back)
        factor = "" if frame.factor == 1 else _at(frame.factor, index) + r"\,"
        return rf"{factor}{PREDICTION[frame.prediction]}({self.state(node)})"

    def sum(self, terms: list[tuple[sp.Expr, str]]) -> str:
        """c_1 f_1 + c_2 f_2 - …, signs pulled out, sums in brackets."""
        text = ""
        for coefficient, symbol in terms:
            negative = coefficient.could_extract_minus_sign()
            magnitude = -coefficient if negative else coefficient
            sign = "-" if negative else "+" if text else ""
            body = "" if magnitude == 1 else self.tex(magnitude)
            if isinstance(magnitude, sp.Add):
                body = rf"\left({body}\right)"
            text += f" {sign} {body} {symbol}" if text else f"{sign}{body} {symbol}".lstrip()
        return text

    def gathered(self, index: str) -> str:
        """Output scale times the one-node weight, as papers write it."""
        method, frame = self.method, self.method.frame
        scale = _at(frame.output_scale, index)
        if method.noise is not None:
            if frame.kappa == 1:
                return rf"{scale} \left(1 - e^{{{self.tex(-method.step_noise.frame.rate * h)}}}\right)"
            return rf"-{self.sum([(1 + method.strength, scale.removeprefix('-').strip())])} \left(e^{{h}} - 1\right)"
        if frame.kappa == 0:
            return f"{scale} h" if scale != "1" else "h"
        exponent = "-h" if frame.kappa == 1 else "h"
        sign = "-" if frame.kappa == 1 else ""
        return rf"{sign}{scale} \left(e^{{{exponent}}} - 1\right)"

    def row(self, k: int) -> tuple[str, list[str]]:
        """Row k of a step, counted from 1, and the weights that it gives names, as they would not fit in a line."""
        method, frame, row = self.method, self.method.frame, self.method.rows[k - 1]
        index = self.index(row.to)
        left = f"x_{{{index}}}" if k == len(method.rows) else self.stage(k)
        carry = self.sum([self.carried(index, back, c) for back, c in enumerate(method.carried(k - 1)) if c != 0])
        noise = self.noise(k, index)
        if not row.nodes:
            return rf"{left} &= {carry}{noise}", []
        weights, outputs = method.applied[k - 1], [self.output(node) for node in row.nodes]
        named: list[str] = []
        whole = (1 + method.strength) * method.moment(0)
        shares = [sp.expand(sp.cancel(w / whole)) for w in weights]
        if row.to == 1 and frame.rate is None and not any(share.has(phi, h, TWO_STEP_ALPHA_RATIO) for share in shares):
            # The one-node weight, times shares that are numbers of the grid.
            scale = self.gathered(index)
            inner = self.sum(list(zip(shares, outputs, strict=True)))
            bracket = inner if len(outputs) == 1 else rf"\left[{inner}\right]"
        else:
            # The output scale, times weights; long ones get names.
            scale = _at(frame.output_scale, index)
            terms = list(zip(map(sp.factor_terms, weights), outputs, strict=True))
            inner = self.sum(terms)
            if len(inner) > LONG and len(terms) > 1:
                mark = "" if len(method.rows) == 1 else f"^{{({k})}}"
                letters = [f"W{mark}_{{{j}}}" for j in range(len(terms))]
                inner = " + ".join(rf"{letter}\, {output}" for letter, output in zip(letters, outputs, strict=True))
                named = [f"{letter} &= {self.tex(w)}" for letter, (w, _) in zip(letters, terms, strict=True)]
            bracket = rf"\left[{inner}\right]"
        joint = scale if scale.startswith("-") or not carry else f"+ {scale}"
        line = rf"{left} &= {carry} {joint}\, {bracket}".replace("&=  ", "&= ")
        broken = r" \\ &\quad" if noise and len(line + noise) > LONG else ""
        return f"{line}{broken}{noise}", named

    def noise(self, k: int, index: str) -> str:
        """The noises of row k: sigma at its end, times what each is multiplied by."""
        text = ""
        for drawn, amplitude in enumerate(self.method.amplitudes(k - 1), start=1):
            root = rf"\sqrt{{{self.tex(plain(amplitude.variance))}}}"
            factor = plain(amplitude.factor)
            body = "" if amplitude.value == 1 else rf" {root}" if factor == 1 else rf" {self.tex(factor)} {root}"
            text += rf" + {_at(sigma, index)}{body}\, z_{{{drawn}}}"
        return text

    def carried(self, index: str, back: int, c: sp.Expr) -> tuple[sp.Expr, str]:
        """A state's coefficient in the frame, and the state in x."""
        frame, before = self.method.frame, self.index(-back)
        state = f"x_{{{before}}}" if back else "x_n"
        if frame.scale == 1 or index == before:
            return c, state
        return c, rf"\frac{{{_at(frame.scale, index)}}}{{{_at(frame.scale, before)}}} {state}"


def describe(method: Method) -> dict[str, Any]:
    """The record as plain data: frame, rows with nodes and weights (text and LaTeX), provenance."""
    frame = method.frame

    def plain_text(expression: sp.Expr) -> str:
        return str(method.shown(expression))

    return {
        "name": method.name,
        "aliases": list(method.aliases),
        "summary": method.summary,
        "family": method.family,
        "kind": method.kind,
        "provenance": method.provenance,
        "cite": method.cite,
        "order": method.order,
        "order_asymptotic": method.order_asymptotic,
        "start": method.start.name if method.start else None,
        "parameters": [
            {"name": p.name, "symbol": p.name, "default": str(p.default), "domain": str(p.domain)}
            for p in method.parameters
        ],
        "frame": {
            "name": frame.name,
            "scale": str(frame.scale),
            "clock": str(frame.clock),
            "prediction": frame.prediction,
            "weight": str(frame.c * sp.exp(frame.kappa * sp.Symbol("u")) if frame.rate is None else frame.rate),
            "factor": str(frame.factor),
        },
        "rows": [
            {
                "to": row.to if isinstance(row.to, int) else plain_text(row.to),
                "end": plain_text(row.end),
                "nodes": [
                    {"back": n.back, "stage": n.stage, "position": plain_text(method.position(n))} for n in row.nodes
                ],
                "rule": "published" if row.rule is None else row.rule.__name__.removesuffix("_rule"),
                "weights": [plain_text(w) for w in method.applied[i]],
                "weights_latex": [_Formula(method).tex(w) for w in method.applied[i]],
                "states": [plain_text(c) for c in method.carried(i)],
                "noises": [plain_text(amplitude.value) for amplitude in method.amplitudes(i)],
            }
            for i, row in enumerate(method.rows)
        ],
        "strength": plain_text(method.strength),
        "latex": latex(method),
    }
