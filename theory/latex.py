"""A record as a formula: LaTeX as papers write it, and a plain description."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .frames import Frame
from .method import Method
from .notation import NOTATION, SHRINK, alpha, h, sigma, t
from .phi_functions import phi
from .rows import Node, Place, grid_position

NAMES = {entry.symbol: entry.latex for entry in NOTATION.values()}
CLOCKS = {"lam": r"\lambda", "rho": r"\rho", "rho2": r"\rho^2", "t": "t", "neg_log_alpha": r"-\log\alpha"}
LONG = 150  # characters of LaTeX that fit in a line
PREDICTED = {"data": r"\hat x_0", "noise": r"\hat\epsilon", "score": "s", "velocity": "v"}


def tex(expression: sp.Expr) -> str:
    return str(sp.latex(expression, symbol_names=NAMES))


def _at(expression: sp.Expr, index: str) -> str:
    """alpha, sigma and t of an expression at a grid point."""
    subscripted = {v: sp.Symbol(f"{NAMES[v]}_{{{index}}}", positive=True) for v in (alpha, sigma, t)}
    return str(sp.latex(expression.subs(subscripted, simultaneous=True)))


def _index(place: Place) -> str:
    if not isinstance(place, int):
        return f"n+{tex(place)}" if isinstance(place, sp.Symbol) else f"n+{place}"
    return "n" if place == 0 else f"n{place:+d}"


def _stage(method: Method, k: int) -> str:
    """The result of row k of a step: a predicted point, or the k-th stage."""
    index = _index(method.rows[k - 1].to)
    return rf"\tilde x_{{{index}}}" if method.corrects else f"x^{{({k})}}_{{{index}}}"


def _state(method: Method, node: Node) -> str:
    """The vector at which a node's output was made."""
    if node.stage:
        return _stage(method, node.stage)
    return rf"\tilde x_{{{_index(-node.back)}}}" if method.corrects else f"x_{{{_index(-node.back)}}}"


def _output(method: Method, node: Node) -> str:
    """The frame's F at a node: factor times prediction."""
    frame = method.frame
    index = _index(method.rows[node.stage - 1].to if node.stage else -node.back)
    factor = "" if frame.factor == 1 else _at(frame.factor, index) + r"\,"
    return rf"{factor}{PREDICTED[frame.prediction]}({_state(method, node)})"


def _sum(terms: list[tuple[sp.Expr, str]]) -> str:
    """c_1 f_1 + c_2 f_2 - …, signs pulled out, sums in brackets."""
    text = ""
    for coefficient, symbol in terms:
        negative = coefficient.could_extract_minus_sign()
        magnitude = -coefficient if negative else coefficient
        sign = "-" if negative else "+" if text else ""
        body = "" if magnitude == 1 else tex(magnitude)
        if isinstance(magnitude, sp.Add):
            body = rf"\left({body}\right)"
        text += f" {sign} {body} {symbol}" if text else f"{sign}{body} {symbol}".lstrip()
    return text


def _gathered(method: Method, index: str) -> str:
    """Output scale times the one-node weight, as papers write it."""
    frame = method.frame
    scale = _at(frame.output_scale, index)
    if method.noise is not None:
        if frame.kappa == 1:
            return rf"{scale} \left(1 - e^{{{tex(-method.step_noise.frame.rate * h)}}}\right)"
        return rf"-{_sum([(1 + method.strength, scale.removeprefix('-').strip())])} \left(e^{{h}} - 1\right)"
    if frame.kappa == 0:
        return f"{scale} h" if scale != "1" else "h"
    exponent = "-h" if frame.kappa == 1 else "h"
    sign = "-" if frame.kappa == 1 else ""
    return rf"{sign}{scale} \left(e^{{{exponent}}} - 1\right)"


def _row_latex(method: Method, k: int) -> tuple[str, list[str]]:
    """Row k of a step, counted from 1, and the weights that it gives names, as they would not fit in a line."""
    frame, row, weights = method.frame, method.rows[k - 1], method.applied[k - 1]
    index = _index(row.to)
    left = f"x_{{{index}}}" if k == len(method.rows) else _stage(method, k)
    carry = _sum([_carried(frame, index, back, c) for back, c in enumerate(method.carried(k - 1))])
    noise = _noise(method, k, index)
    if not row.nodes:
        return rf"{left} &= {carry}{noise}", []
    outputs = [_output(method, node) for node in row.nodes]
    where: list[str] = []
    whole = (1 + method.strength) * method.moment(0)
    shares = [sp.expand(sp.cancel(w / whole)) for w in weights]
    if row.to == 1 and frame.rate is None and not any(share.has(phi, h, SHRINK) for share in shares):
        gathered = _gathered(method, index)
        inner = _sum(list(zip(shares, outputs, strict=True)))
        bracket = inner if len(outputs) == 1 else rf"\left[{inner}\right]"
    else:
        gathered = _at(frame.output_scale, index)
        terms = list(zip(map(sp.factor_terms, weights), outputs, strict=True))
        inner = _sum(terms)
        if len(inner) > LONG and len(terms) > 1:
            named = [f"W_{{{j}}}" if len(method.rows) == 1 else f"W^{{({k})}}_{{{j}}}" for j in range(len(terms))]
            inner = " + ".join(rf"{name}\, {output}" for name, output in zip(named, outputs, strict=True))
            where = [f"{name} &= {tex(weight)}" for name, (weight, _) in zip(named, terms, strict=True)]
        bracket = rf"\left[{inner}\right]"
    joint = gathered if gathered.startswith("-") else f"+ {gathered}"
    line = rf"{left} &= {carry} {joint}\, {bracket}"
    broken = r" \\ &\quad" if noise and len(line + noise) > LONG else ""
    return f"{line}{broken}{noise}", where


def _noise(method: Method, k: int, index: str) -> str:
    """The noises of row k: sigma at its end, times what each comes with."""
    text = ""
    for drawn, amplitude in enumerate(method.amplitudes(k - 1), start=1):
        root = rf"\sqrt{{{tex(plain(amplitude.variance))}}}"
        factor = plain(amplitude.factor)
        body = root if factor == 1 else rf"{tex(factor)} {root}"
        text += rf" + {_at(sigma, index)} {body}\, z_{{{drawn}}}"
    return text


def plain(expression: sp.Expr) -> sp.Expr:
    """Without phi functions where that is shorter: 2 h phi_1(-2h) as 1 - e^{-2h}."""
    written = sp.expand(sp.cancel(expression.rewrite(sp.exp)))
    return min(expression, written, key=lambda e: len(tex(e)))


def _carried(frame: Frame, index: str, back: int, c: sp.Expr) -> tuple[sp.Expr, str]:
    """A state's coefficient in the frame, and the state in x."""
    state = f"x_{{{_index(-back)}}}" if back else "x_n"
    if frame.scale == 1 or index == _index(-back):
        return c, state
    return c, rf"\frac{{{_at(frame.scale, index)}}}{{{_at(frame.scale, _index(-back))}}} {state}"


def latex(method: Method) -> str:
    """Every row of the method and the meaning of h and the step ratios, as an aligned environment."""
    clock = CLOCKS[method.frame.column]
    written = [_row_latex(method, k) for k in range(1, len(method.rows) + 1)]
    lines, named = [line for line, _ in written], [line for _, weights in written for line in weights]
    where = [*named, rf"h &= {clock}_{{n+1}} - {clock}_n" if clock != r"\rho^2" else r"h &= \rho_{n+1}^2 - \rho_n^2"]
    power = "^2" if clock == r"\rho^2" else ""
    base = r"\rho" if power else clock
    rows = range(len(method.rows))
    used = [*method.applied, *(method.carried(i) for i in rows), *(a for i in rows for a in method.amplitudes(i))]
    names = {a for row in used for a in method.arguments(row)}
    for k in range(1, 6):
        if f"r{k}" in names:
            newer, older = _index(1 - k), _index(-k)
            where.append(rf"r_{{{k}}} &= ({base}_{{{newer}}}{power} - {base}_{{{older}}}{power})/h")
    if "a1" in names:
        where.append(r"a_{t+1} &= (\alpha_{n-1}/\alpha_n)^2")
    if "kick" in names:
        where.append(r"g &= -\log\left(1 + \min(S_\text{churn}/N, \sqrt 2 - 1)\right)/h")
    if "middle" in names:
        where.append(rf"c_t &= ({base}(\tfrac12 (t_n + t_{{n+1}})){power} - {base}_n{power})/h")
    for k in range(5):
        if f"m{k}" in names:
            where.append(rf"M_{k} &= \int_{{t_n}}^{{t_{{n+1}}}} \left(\frac{{t - t_n}}{{h}}\right)^{k} d\rho")
    if "damped" in names:
        where.append(r"M_b &= \int_{t_n}^{t_{n+1}} e^{b (t - t_{n+1})} d\rho")
    body = ",\\\\\n".join("  " + line for line in (*lines, *where))
    return f"\\begin{{aligned}}\n{body}.\n\\end{{aligned}}"


def describe(method: Method) -> dict[str, Any]:
    """The record as plain data: frame, rows with nodes and weights (text and LaTeX), provenance."""
    frame = method.frame
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
            {"name": p.name, "symbol": p.symbol.name, "default": str(p.default), "domain": str(p.domain)}
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
                "to": row.to if isinstance(row.to, int) else str(row.to),
                "end": str(grid_position(row.to)),
                "nodes": [{"back": n.back, "stage": n.stage, "position": str(method.position(n))} for n in row.nodes],
                "rule": "published" if row.rule is None else row.rule.__name__.removesuffix("_rule"),
                "weights": [str(w) for w in method.applied[i]],
                "weights_latex": [tex(w) for w in method.applied[i]],
                "states": [str(c) for c in method.carried(i)],
                "noises": [str(amplitude.value) for amplitude in method.amplitudes(i)],
            }
            for i, row in enumerate(method.rows)
        ],
        "strength": str(method.shown(method.strength)),
        "latex": latex(method),
    }
