"""Statements with formulas in plain letters, as claims have them, in Markdown with formulas in LaTeX."""

from __future__ import annotations

import re
from collections.abc import Callable

GREEK = (
    *("alpha", "beta", "gamma", "delta", "zeta", "eta", "theta", "kappa", "lambda", "mu", "nu", "pi", "rho", "sigma"),
    *("tau", "Phi", "Psi"),
)
FUNCTIONS = ("exp", "log", "sin", "cos", "tan", "tanh", "coth", "cosh", "arcsin", "min", "max", "sqrt", "sum", "prod")
UPRIGHT = ("Var", "Cov", "tr", "diag", "SNR", "mmse", "DDIM", "fine", "coarse", "end", "slope")
WORDS = {
    **{name: rf"\{name}" for name in (*GREEK, *FUNCTIONS)},
    **{name: rf"\operatorname{{{name}}}" for name in UPRIGHT},
    **{"eps": r"\epsilon", "epshat": r"\hat\epsilon", "phi": r"\varphi", "E": r"\mathbb E"},
    **{"x0hat": r"\hat x_0", "xhat": r"\hat x", "abar": r"\bar\alpha", "rho_hat": r"\hat\rho"},
}
SIGNS = {
    **{"<=": r"\le ", ">=": r"\ge ", "!=": r"\ne ", "->": r"\to ", "<-": r"\leftarrow ", "+-": r"\pm "},
    **{" | ": r" \mid ", "|. ": r"|\cdot ", "...": r"\dots "},
}
TOKEN = re.compile(
    r"(?P<group>(?:sqrt|[_^])\()|(?P<index>[_^]-?(?:[A-Za-z]+|\d+))|(?P<pair><\w+, \w+>)|(?P<law>N(?=\())"
    rf"|(?P<word>rho_hat|[A-Za-z]+\d*(?:hat)?)|(?P<sign>{'|'.join(map(re.escape, SIGNS))})"
)


def marked_up(text: str, plain: Callable[[str], str]) -> str:
    """Markdown of a text whose formulas stand between dollars.  plain: what is done to the words between them.

    Raises ValueError on a formula with a word that is not known here, or a dollar that is not closed.

    >>> marked_up("a step $e^{-h} x0hat$", str)
    'a step $e^{-h} \\\\hat x_0$'
    """
    pieces = text.split("$")
    if len(pieces) % 2 == 0:
        raise ValueError(f"a dollar is not closed: {text}")
    return "".join(f"${tex(piece)}$" if k % 2 else plain(piece) for k, piece in enumerate(pieces))


def tex(formula: str) -> str:
    """LaTeX of a formula in plain letters."""
    written, rest = "", formula
    while rest:
        if token := TOKEN.match(rest):
            rest = rest[token.end() :]
            if token["group"]:
                inner, rest = _bracket(rest)
                opening = r"\sqrt" if token["group"] == "sqrt(" else token["group"][0]
                piece = f"{opening}{{{tex(inner)}}}"
            elif token["index"]:
                sign, name = token[0][0], token[0][1:]
                piece = f"{sign}{{{'-' * name.startswith('-')}{_index(name.removeprefix('-'))}}}"
            elif token["pair"]:
                piece = rf"\langle {tex(token['pair'][1:-1])}\rangle "
            else:
                piece = r"\mathcal N" if token["law"] else SIGNS.get(token[0]) or _word(token[0])
        else:
            piece, rest = rest[0], rest[1:]
        apart = re.search(r"\\[A-Za-z]+$", written) and piece[0].isalpha()
        written += f" {piece}" if apart else piece
    return written


def _index(name: str) -> str:
    """A name below or above: one that is known, a few letters as a product of indices, or a word."""
    known = name in WORDS or len(name) < 3 or name.isdigit()
    return _word(name) if known else rf"\mathrm{{{name}}}"


def _word(word: str) -> str:
    """A name: known, a differential as in drho, a letter with its number as in c2, or one or two letters."""
    if word in WORDS:
        return WORDS[word]
    if word[0] == "d" and word[1:] in GREEK:
        return f"d{WORDS[word[1:]]}"
    if numbered := re.fullmatch(r"(d?[A-Za-z])(\d+)", word):
        return f"{numbered[1]}_{{{numbered[2]}}}"
    if len(word) > 2 and not word.isdigit():
        raise ValueError(f"a formula has the word {word!r}")
    return word


def _bracket(rest: str) -> tuple[str, str]:
    """What stands before the closing bracket, and what comes behind it."""
    depth = 1
    for end, sign in enumerate(rest):
        depth += (sign in "([") - (sign in ")]")
        if depth == 0:
            return rest[:end], rest[end + 1 :]
    raise ValueError(f"brackets do not close: {rest}")
