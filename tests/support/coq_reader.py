"""Read an order proof in formal/methods back: its definitions as series of fractions, without our printer.

A file's terms are those of formal/Orders.v: #3 an integer, pow x 2, (e1 1) a coefficient, h, phi k c, c • x, $c, ….
Everything is a series of certificate_checker, and names mean what they do in a run of a certificate.
"""

from __future__ import annotations

import re
from fractions import Fraction

from certificate_checker import Run, Series, arc, phi

TOKEN = re.compile(r"\s*(#?\d+|%[SK]|[A-Za-z_]\w*|[-+*/^()•$\[\];,])")


class Reader:
    """Terms -> series, for one step of a run."""

    def __init__(self, run: Run) -> None:
        self.run, self.names = run, dict(run.ratios(0))
        self.tokens: list[str] = []

    def define(self, terms: dict[str, str]) -> None:
        """Definitions, in order: each may use those before."""
        for name, text in terms.items():
            self.names[name] = self.read(text)

    def read(self, text: str) -> Series:
        self.tokens = TOKEN.findall(text)
        if "".join(self.tokens) != re.sub(r"\s", "", text):
            raise ValueError(f"not a term: {text}")
        value = self.sum()
        if self.tokens:
            raise ValueError(f"left over: {self.tokens}")
        return value

    def take(self, token: str = "") -> str:
        found = self.tokens.pop(0)
        if token and found != token:
            raise ValueError(f"{found}, not {token}")
        return found

    def at(self, *tokens: str) -> bool:
        return bool(self.tokens) and self.tokens[0] in tokens

    def sum(self) -> Series:
        total = self.product()
        while self.at("+", "-"):
            total = total + self.product() if self.take() == "+" else total - self.product()
        return total

    def product(self) -> Series:
        total = self.signed()
        while self.at("*", "/", "•"):
            total = total / self.signed() if self.take() == "/" else total * self.signed()
        return total

    def signed(self) -> Series:
        if self.at("-"):
            self.take()
            return -self.signed()
        base = self.applied()
        if self.at("^"):
            self.take()
            return base ** int(self.take())
        return base

    def applied(self) -> Series:
        """A function of Orders.v with its arguments, or an atom."""
        if not self.tokens or not self.tokens[0][0].isalpha():
            return self.atom()
        name, h = self.take(), self.names["h"]
        match name:
            case "pow":
                return self.atom() ** int(self.take())
            case "phi":
                return phi(int(self.take()), self.atom() * h)
            case "inverse":
                return h.of(1) / self.atom()
            case "exponential":
                return phi(0, self.atom())
            case "log_alpha":
                self.take("l")
                return self.run.taylor("l", self.place() * h)
            case "growth":
                kappa, end, place = self.atom(), self.atom(), self.atom()
                return phi(0, kappa * (end - place) * h)
            case "weight_at":
                self.take("q")
                return self.run.taylor("q", self.place() * h) + 1
            case "moment":
                self.take("q")
                return self.names[f"m{self.take()}"]
            case "rate_moment":
                self.take("q")
                return self.run.rate_moment(self.atom())
            case "arc":
                return arc(self.atom())
            case "near":
                self.atom()
                symbol = self.take()
                return self.names["middle" if symbol == "middle" else f"r{symbol[1:]}"]
        # The coefficients of a ratio 1 + e h, of w and of log alpha.
        if self.tokens and self.tokens[0].isdecimal():
            index = int(self.take())
            if name in ("q", "l"):
                return self.run.slopes[f"{name}{index}"]
            assert index == 1
            return self.names["e0" if name == "middle" else name]
        return self.names[name]

    def atom(self) -> Series:
        if self.at("$"):
            self.take()
            return self.atom()
        if self.at("("):
            self.take()
            value = self.place() if self.at("At", "Near") else self.sum()
            self.take(")")
            if self.at("%S"):
                self.take()
            return value
        token = self.take()
        return self.names["h"].of(Fraction(token[1:])) if token[0] == "#" else self.names[token]

    def place(self) -> Series:
        if self.at("("):
            self.take()
            value = self.place()
            self.take(")")
            return value
        assert self.take() in ("At", "Near")
        return self.atom()


def module(text: str, name: str) -> str:
    """The text of a module of a file, with what belongs to the step and not to the predictor before it."""
    found = re.search(rf"^Module {name}\.$(.*)^End {name}\.$", text, re.MULTILINE | re.DOTALL)
    assert found, name
    return found[1]


def definitions(text: str) -> dict[str, str]:
    """Definition NAME : series K := TERM., by name, each once."""
    return dict(re.findall(r"^Definition (\w+) : series K := (.*)\.$", text, re.MULTILINE))


def first_argument(text: str) -> str:
    """The text up to the bracket that closes its first one."""
    depth = 0
    for end, sign in enumerate(text, start=1):
        depth += (sign == "(") - (sign == ")")
        if not depth:
            return text[:end]
    raise ValueError(f"not closed: {text}")


def rows(text: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Every row of `step`: the place where it ends, and of its outputs (source, name of the share)."""
    body = text[text.index("Definition step :") :].partition("|}.")[0]
    found: list[tuple[str, list[tuple[str, str]]]] = []
    for line in body.splitlines():
        if stage := re.search(r"MakeStage K \((.*)\) \[$", line):
            found.append((stage[1], []))
        elif "outputs := [" in line:
            found.append(("At #1", []))
        elif output := re.search(r"Output K \((.*)\) (a_\w+)", line):
            found[-1][1].append((output[1], output[2]))
    return found


def states(text: str) -> list[tuple[str, str]]:
    """(place, name of the coefficient) of every state that `step` carries."""
    body = text[text.index("Definition step :") :].partition("|}.")[0]
    (line,) = re.findall(r"states := \[(.*)\];", body)
    return re.findall(r"\(((?:At|Near) [^,]*), (c_\d)\)", line)


def defects(text: str) -> list[tuple[str, str, int, str]]:
    """(kind, tree or size, power, value) of leading_defects: kind `tree`, `size` or `empty`."""
    found = re.search(r"^Theorem leading_defects :\n(.*?)\.$", text, re.MULTILINE | re.DOTALL)
    assert found
    read: list[tuple[str, str, int, str]] = []
    for line in found[1].split(" /\\\n"):
        if empty := re.fullmatch(r"\s*residual_empty step (\d+) = (.*)", line):
            read.append(("empty", "", int(empty[1]), empty[2]))
        elif one := re.fullmatch(r"\s*residual step \((.*)\) (\d+) = (.*)", line):
            read.append(("tree", one[1], int(one[2]), one[3]))
        else:
            every = re.fullmatch(
                r"\s*\(forall t, size t = (\d+) -> residual step t (\d+) = one / subdensities t \* (.*)\)", line
            )
            assert every, line
            read.append(("size", every[1], int(every[2]), every[3]))
    return read
