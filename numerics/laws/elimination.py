"""A tableau as moves of a density: every vector from the one before it, a few carried numbers and fresh noise.

A density can be moved over v -> f(v) + c z with fresh z. A noise that was used before, as at the end of a step whose
stage shares its path, is therefore eliminated: the row of v_j gives

    z_j = (v_j - sum_k s_k v_k - sum_k o_k d_k) / c_j,

and where the noises are increments of one path the earlier states cancel.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ..errors import InputError
from ..tableau import Tableau

ROUNDING = 1e-13  # a sum that is smaller relative to its terms has cancelled


class Symbol(NamedTuple):
    """A number of a run: "v" a vector, "d" its output, "z" the noise drawn there, "w" a combination."""

    kind: str
    number: int


Terms = dict[Symbol, float]


@dataclass
class Move:
    """v_vector = sum of terms + noise * z, with fresh z.

    remade: the law is moved to the new vector, and everything before it except `carried` is forgotten; otherwise the
    vector is a function of the vector of the law.  carried: the numbers that later rows still need, each as a sum of
    numbers known before the move.
    """

    vector: int
    terms: Terms
    noise: float
    remade: bool
    carried: dict[Symbol, Terms] = field(default_factory=dict)


def moves(tableau: Tableau) -> list[Move]:
    """The moves of a run, in order; the last one makes the sample.

    Raises InputError for more than one given vector (their joint law is not known), and for a noise that the row of its
    own vector does not use: it cannot be eliminated.
    """
    if tableau.given != 1:
        raise InputError("tableau.given", tableau.given, "one start vector: the joint law of several is not known")
    found = _solved_for_noises(tableau)
    _forget(found)
    return found


def uses(later: list[Move]) -> dict[Symbol, list[Move]]:
    """For every symbol the moves that have it as a term, in order."""
    found: dict[Symbol, list[Move]] = defaultdict(list)
    for move in later:
        for symbol in move.terms:
            found[symbol].append(move)
    return found


def reaches(todo: list[Move], cutoffs: list[float]) -> list[Terms]:
    """After every move, for the numbers needed later: the sum over their uses of |coefficient| times the cutoff."""
    found: list[Terms] = []
    need: Terms = defaultdict(float)
    for move in reversed(todo):
        found.append(dict(need))
        before: Terms = defaultdict(float) if move.remade else need
        for symbol, terms in move.carried.items():
            for s, c in terms.items():
                before[s] += abs(c) * need[symbol]
        for s, c in move.terms.items():
            before[s] += abs(c) * cutoffs[move.vector]
        need = before
    return found[::-1]


def _solved_for_noises(tableau: Tableau) -> list[Move]:
    """The rows as moves without earlier noises.

    An output at a vector that depends on a carried number is known only if the law is moved there; then the vector of
    the law before is eliminated instead. A corrected vector, which is not evaluated, stays a sum of symbols.
    """
    found: list[Move] = []
    solved: dict[Symbol, Terms] = {}
    base, last = 0, len(tableau.points) - 1
    for i, line in enumerate(_lines(tableau), start=1):
        noise = line.pop(Symbol("z", i), 0.0)
        terms = _expand(line, solved)
        for symbol in terms:
            if symbol.kind == "z":
                raise InputError(
                    f"tableau.noises[{i - 1}]", terms[symbol], f"vector {symbol.number} itself has none of its noise"
                )
        old = any(symbol.number < base for symbol in terms)
        if noise == 0 and old and not tableau.evaluated[i] and i < last:
            solved[Symbol("v", i)] = terms
            continue
        remade = noise != 0 or old or i == last
        found.append(Move(i, terms, noise, remade))
        if noise != 0:
            solved[Symbol("z", i)] = _solve(i, terms, noise)
        elif remade and Symbol("v", base) in terms:
            rest = dict(terms)
            solved[Symbol("v", base)] = _solve(i, rest, rest.pop(Symbol("v", base)))
        if remade:
            base = i
    return found


def _lines(tableau: Tableau) -> list[Terms]:
    """The rows as sums of symbols."""
    lines: list[Terms] = []
    tables = (("v", 1, tableau.states), ("d", 1, tableau.outputs), ("z", 0, tableau.noises))
    for row in range(len(tableau.states)):
        line: Terms = {}
        for kind, latest, table in tables:
            for lag, c in enumerate(table[row].tolist()):
                if c != 0:
                    line[Symbol(kind, row + tableau.given - latest - lag)] = c
        lines.append(line)
    return lines


def _solve(i: int, rest: Terms, coefficient: float) -> Terms:
    """(v_i - rest) / coefficient."""
    return {Symbol("v", i): 1 / coefficient} | {symbol: -c / coefficient for symbol, c in rest.items()}


def _expand(line: Terms, solved: Mapping[Symbol, Terms]) -> Terms:
    """The sum with every solved symbol replaced, without terms that cancel."""
    total: dict[Symbol, float] = defaultdict(float)
    size: dict[Symbol, float] = defaultdict(float)
    open_terms = list(line.items())
    while open_terms:
        symbol, c = open_terms.pop()
        if symbol in solved:
            open_terms += [(inner, c * factor) for inner, factor in solved[symbol].items()]
        else:
            total[symbol] += c
            size[symbol] += abs(c)
    return {symbol: c for symbol, c in total.items() if abs(c) > ROUNDING * size[symbol]}


def _forget(found: list[Move]) -> None:
    """Set at every move the numbers to carry; the law is always moved to a vector after which nothing is needed.

    Where fewer moves than numbers remain, a sum for each of these moves is carried instead of the numbers.
    """
    # Numbers known at the vector of the law; those still used by later moves are live.
    using = uses(found)
    known = {Symbol("v", 0), Symbol("d", 0)}
    sums = 0
    for move in found:
        own = {Symbol("v", move.vector), Symbol("d", move.vector)}
        live = sorted(s for s in known if using[s] and using[s][-1].vector > move.vector)
        move.remade = move.remade or not live
        if not move.remade:
            known = {*live, *own}
            continue
        needing = {user.vector: user for s in live for user in using[s] if user.vector > move.vector}
        if len(needing) <= len(live):
            for user in needing.values():
                symbol = Symbol("w", sums)
                sums += 1
                move.carried[symbol] = {s: user.terms.pop(s) for s in live if s in user.terms}
                user.terms[symbol] = 1.0
                using[symbol] = [user]
        else:
            move.carried = {s: {s: 1.0} for s in live}
        known = {*move.carried, *own}
