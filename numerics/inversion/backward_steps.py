"""A table read backwards: which vector follows from which row, once the last vectors are known.

Row i makes v_i = sum_k c_k v_k + sum_j w_j d_j. Where v_i is known, and of its sources one state v_u alone is not, with
c_u not zero and all outputs made at known vectors, v_u = (v_i - the other terms)/c_u: an exact step for any
model. Where besides d_u is read, v_u solves an equation in the model: an implicit step. Where outputs are read at other
vectors too that are found only after v_u, as the stage of Heun's step or the past output of 2M, it is solved together
with these steps (whole_steps.py). A vector whose sources are all known, as a stage of a step from a known state, is
made by its row anew. A table has an inverse if these steps reach all given vectors from the last ones; it is exact if
no equation is solved. Every other row has a model for which it loses v_u (theory/claims/inversion_claims.py).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import InputError
from ..table_rows import Row, rows_of
from ..tableau import Tableau


@dataclass(frozen=True)
class Backward:
    """One step backwards: `finds` follows from `row`, "forward" (as it stands), "exact" or "implicit".

    later: the vectors, found after this one, whose outputs the row of an implicit step reads.
    """

    row: Row
    finds: int
    kind: str
    later: frozenset[int] = frozenset()


def ends(tableau: Tableau) -> list[int]:
    """The vectors that an inversion starts from: those that a further step would read, as the last step read its own.

    As many as are given. Where the last step reads others, as a one-node step to sigma = 0, the last vectors.
    """
    last, step = tableau.step[-1], tableau.step
    before = {j for row in rows_of(tableau) if step[row.vector] == last for j in (*row.states, *row.outputs)}
    of_step: dict[int, list[int]] = defaultdict(list)
    for i, n in enumerate(step):
        of_step[n].append(i)
    shifted = []
    for j in sorted(j for j in before if step[j] < last):
        place = len(of_step[step[j]]) - of_step[step[j]].index(j)  # from the end of its step
        if place <= len(of_step[step[j] + 1]):
            shifted.append(of_step[step[j] + 1][-place])
    return shifted if len(shifted) == tableau.given else list(range(len(step) - tableau.given, len(step)))


def backward_steps(tableau: Tableau) -> list[Backward]:
    """The steps from the last vectors to the given ones, in order.

    Raises InputError, naming the row that has no inverse and why.
    """
    if tableau.noises.count_nonzero():
        row = int(tableau.noises.nonzero()[0, 0])
        raise InputError("tableau", f"row {row}", f"{tableau.method} has no inverse: the row draws noise")
    if tableau.channels:
        given = " and ".join(tableau.channels)
        raise InputError("tableau", given, f"no inverse of {tableau.method}: it reads the model under two conditions")
    waiting, known = rows_of(tableau), set(ends(tableau))
    found: list[Backward] = []
    needed = set(range(tableau.given))
    while not known.issuperset(needed):
        steps = [step for step in map(lambda row: _step(row, known), reversed(waiting)) if step is not None]
        if not steps:
            raise _refused(tableau, waiting, known, found)
        step = next((step for step in steps if not step.later), steps[0])
        waiting.remove(step.row)
        known.add(step.finds)
        needed |= step.later
        found.append(step)
    return found


def blocks(steps: Iterable[Backward]) -> list[list[Backward]]:
    """The steps in groups, each as short as can be, of which no step reads outputs that a later group finds."""
    found: list[list[Backward]] = [[]]
    awaited: set[int] = set()
    for step in steps:
        if not awaited and found[-1]:
            found.append([])
        found[-1].append(step)
        awaited = (awaited | step.later) - {step.finds}
    return found


def _step(row: Row, known: set[int]) -> Backward | None:
    """What a row adds to the known vectors; None if nothing."""
    states, outputs = row.states.keys() - known, row.outputs.keys() - known
    if row.vector not in known:
        return Backward(row, row.vector, "forward") if not states and not outputs else None
    if len(states) != 1:
        return None
    kind = "implicit" if outputs else "exact"
    return Backward(row, states.pop(), kind, frozenset(outputs - row.states.keys()))


def _refused(tableau: Tableau, waiting: list[Row], known: set[int], found: list[Backward]) -> InputError:
    """The last row that reads an unknown vector, and why this does not follow from it."""
    lost = [step for step in found if step.later - known]
    stuck = [row for row in waiting if row.vector in known]
    if lost:
        row, why = lost[-1].row, f"it reads the model at {_vectors(lost[-1].later - known)}, which no row carries"
    elif stuck:
        row = stuck[-1]
        states, outputs = row.states.keys() - known, row.outputs.keys() - known
        if len(states) > 1:
            why = f"it is made from {len(states)} unknown vectors, {_vectors(states)}"
        else:
            read = f"at {_vectors(outputs)}" if outputs else "at known vectors only"
            why = f"it carries no unknown state, though it reads the model {read}"
    else:
        return InputError("tableau", "its last vectors", f"{tableau.method} has no inverse: no row makes them")
    where = f"row {row.number} (step {tableau.step[row.vector]})"
    return InputError("tableau", where, f"{tableau.method} has no inverse: {why}")


def _vectors(indices: Iterable[int]) -> str:
    return " and ".join(f"v_{i}" for i in sorted(indices))


def amplification(steps: Iterable[Backward]) -> float:
    """What an exact inverse multiplies a rounding by: the product of 1/|c_u| over its steps, where |c_u| < 1.

    gamma^{-(N-1)} for BDIA, where it is the growth of the second root, and p^{-2N} for EDICT, an upper bound.
    """
    shares = (abs(step.row.states[step.finds]) for step in steps if step.kind == "exact")
    return math.prod(max(1.0, 1 / share) for share in shares)
