"""Formulas for a terminal: LaTeX as theory/latex.py writes it, in plain text with Greek letters."""

from __future__ import annotations

import re

GREEK = dict(alpha="α", beta="β", gamma="γ", epsilon="ε", eta="η", lambda_="λ", rho="ρ", sigma="σ", tau="τ", varphi="φ")
SYMBOLS = {name.rstrip("_"): sign for name, sign in GREEK.items()} | {"log": "log", "min": "min"}
ACCENTS = {"hat": "\u0302", "tilde": "\u0303"}  # they combine with the letter before
RAISED = str.maketrans("0123456789()", "⁰¹²³⁴⁵⁶⁷⁸⁹⁽⁾")


def plain_formula(latex: str) -> list[str]:
    r"""The lines of an `aligned` environment; x_{n+1} &= \frac{a}{2 b} x_n becomes x[n+1] = a/(2 b) x[n].

    Raises KeyError on a command that theory/latex.py does not write.
    """
    body = latex.removeprefix("\\begin{aligned}\n").removesuffix("\n\\end{aligned}")
    lines = body.replace(r"\\ &\quad", "").rstrip(".").split(",\\\\\n")
    return [_line(line) for line in lines]


def _line(latex: str) -> str:
    for sign, plain in (("&", ""), (r"\left", ""), (r"\right", ""), (r"\,", " ")):
        latex = latex.replace(sign, plain)
    text = re.sub(r" +", " ", _text(latex)).strip()
    text = re.sub(r"([(\[]) ", r"\1", re.sub(r" ([)\]])", r"\1", text))
    text = re.sub(r"(?<=[(\[])- |(?<== )- ", "-", text)  # a sign in front
    return re.sub(r"(?<=[^=]) -(?=\S)", " - ", text)  # a difference


def _text(latex: str) -> str:
    """The text of a piece of LaTeX, command by command."""
    written, rest = "", latex
    while rest:
        if command := re.match(r"\\([A-Za-z]+)", rest):
            piece, rest = _command(command[1], rest[command.end() :])
        elif rest[0] in "_^":
            argument, after = _argument(rest[1:])
            piece, rest = (_index if rest[0] == "_" else _power)(_text(argument)), after
        elif rest[0] == "{":
            argument, rest = _argument(rest)
            piece = _text(argument)
        else:
            piece, rest = rest[0], rest[1:]
        written += piece
    return written


def _command(name: str, rest: str) -> tuple[str, str]:
    """The text of a command, and what comes behind its arguments."""
    if name in SYMBOLS:
        return SYMBOLS[name], rest
    inner, rest = _argument(rest.lstrip("_ " if name == "int" else " "))
    first = _text(inner)
    if name in ACCENTS:
        return first + ACCENTS[name], rest
    if name in ("text", "operatorname"):
        return first, rest
    if name == "sqrt":
        return f"√({first})" if " " in first else f"√{first}", rest
    if name not in ("frac", "tfrac", "int"):
        raise KeyError(name)
    inner, rest = _argument(rest.lstrip("^ "))
    second = _text(inner)
    if name == "int":
        return f"∫[{first}, {second}]", rest
    above = f"({first})" if _is_sum(first) else first
    return f"{above}/({second})" if " " in second else f"{above}/{second}", rest


def _argument(latex: str) -> tuple[str, str]:
    """The argument in braces, a command with its own argument or one character, and what comes behind it."""
    if command := re.match(r"\\text\{[^}]*\}|\\[A-Za-z]+", latex):
        return command[0], latex[command.end() :]
    if latex[0] != "{":
        return latex[0], latex[1:]
    depth = 0
    for end, sign in enumerate(latex):
        depth += (sign == "{") - (sign == "}")
        if depth == 0:
            return latex[1:end], latex[end + 1 :]
    raise ValueError(f"braces do not close: {latex}")


def _is_sum(text: str) -> bool:
    """Whether there is a plus or minus between terms, outside of brackets."""
    depth, outside = 0, ""
    for sign in text.strip():
        depth += (sign in "([") - (sign in ")]")
        outside += sign if depth == 0 else "."
    return bool(re.search(r"[^ ] [+-]", outside))


def _index(text: str) -> str:
    """A grid index in brackets, any other index behind its letter: x[n+1], r1."""
    return f"[{text}]" if re.search(r"\bn\b|t\+1", text) else text


def _power(text: str) -> str:
    """A number as a raised one, as are the stages (1); any other exponent behind ^."""
    plain = text.replace(" ", "")
    if re.fullmatch(r"[0-9]+|\([0-9]+\)", plain):
        return plain.translate(RAISED)
    return f"^{plain}" if len(plain) == 1 else f"^({text.strip()})"
