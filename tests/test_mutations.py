"""The mutation table: faults planted in every record, in its generated code and in its tableau, and who catches them.

Run with -s to see it: fault, method, how many were planted, and by which check they were caught. Records are judged by
proofs only, as an altered record can be emitted anew; code by `emit --check` and by enclosures; tables by read-back
and by the 40-digit oracle.
"""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sympy as sp
import torch
from faults import altered_weights

from samplerproof.book.proofs import prove
from samplerproof.numerics import readback
from samplerproof.numerics.grids import Grid, grid
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import Tableau, tabulate
from samplerproof.theory import claims
from samplerproof.theory.emit import __main__ as emit
from samplerproof.theory.emit.render import render_all, row_name
from samplerproof.theory.exponential import collapsed, exact, weights
from samplerproof.theory.method import Method
from samplerproof.theory.methods import METHODS, ODE_METHODS, find
from samplerproof.theory.noise_model import Noise, NoiseModel
from samplerproof.theory.notation import c2
from samplerproof.theory.notation import r as ratios
from samplerproof.theory.phi_functions import phi
from samplerproof.theory.rows import grid_position
from samplerproof.theory.weak_order import prove_weak_order

HERE = Path(__file__).parent
TINY = 1 + sp.Rational(1, 10**6)
CLAIMS = {claim.name: claim for claim in claims.CLAIMS}


@cache
def of_tests(path: str) -> ModuleType:
    """A neighbouring test file as a module, for the check that it makes."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, HERE / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- checks: each answers whether it catches what it is shown


@cache
def proved_order(name: str) -> int:
    return int(prove([name], everything=False)[0]["proved_order"])


def order_proof(altered: Method) -> bool:
    """`samplerproof prove` on the altered record; where only the claim is altered, the order is the record's own."""
    original = find(altered.name)
    if altered.weights == original.weights:
        return proved_order(altered.name) != altered.order
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("samplerproof.theory.methods.find", {altered.name: altered}.__getitem__)
        return not prove([altered.name], everything=False)[0]["proved"]


def claim(name: str, altered: Method) -> bool:
    """A claim of the book, with the altered record in the catalogue; it need not look at the others again."""

    def stand_in(wanted: str) -> Method:
        return altered if wanted == altered.name else find(wanted)

    with pytest.MonkeyPatch.context() as patch:
        for module in [m for n, m in sys.modules.items() if n.startswith(claims.__name__ + ".")]:
            for attribute, value in (("ODE_METHODS", (altered,)), ("find", stand_in)):
                if hasattr(module, attribute):
                    patch.setattr(module, attribute, value)
        return not CLAIMS[name].prove().holds


# Claims about every record, and those that compare published weights with the paper: these see what keeps the order.
OF_ALL = ("weight-sum", "polynomial-exactness")
PUBLISHED = {  # the claim, and a part of the names of the records that it is about
    "3m-published": "3m-published",
    "unipc-vary-published": "vary",
    "unipc-published": "unipc",
    "bdia-published": "bdia",
    "etd-rk4": "etd-rk4",
    "res-3s": "res-3s",
}
AS_PUBLISHED = tuple(f"claim {name}" for name in PUBLISHED)


def claim_about(name: str, altered: Method) -> bool:
    """The claim, where it speaks of such a record."""
    return PUBLISHED[name] in altered.name and claim(name, altered)


RECORD_CHECKS: dict[str, Callable[[Method], bool]] = {
    "order proof": order_proof,
    **{f"claim {name}": partial(claim, name) for name in OF_ALL},
    **{f"claim {name}": partial(claim_about, name) for name in PUBLISHED},
}


# --- faults in records


def off_by_a_millionth(method: Method) -> Iterator[Method]:
    for i, row in enumerate(method.weights):
        for j in range(len(row)):
            yield altered_weights(method, i, tuple(w * (TINY if k == j else 1) for k, w in enumerate(row)))


def outputs_swapped(method: Method) -> Iterator[Method]:
    """Neighbouring outputs take each other's weight; equal weights make it no fault."""
    for i, row in enumerate(method.weights):
        for j in range(len(row) - 1):
            if row[j] != row[j + 1]:
                yield altered_weights(method, i, (*row[:j], row[j + 1], row[j], *row[j + 2 :]))


def ratio_inverted(method: Method) -> Iterator[Method]:
    for i, row in enumerate(method.weights):
        for ratio in ratios:
            if any(ratio in w.free_symbols for w in row):
                yield altered_weights(method, i, tuple(w.subs(ratio, 1 / ratio) for w in row))


def factorial_dropped(method: Method) -> Iterator[Method]:
    """Moments phi_{k+1} without their k!; below k = 2 it is no fault."""

    def rule(coefficients: Any, moment: Any) -> sp.Expr:
        return sum(a * moment(k) / sp.factorial(k) for k, a in enumerate(coefficients))

    def without(atom: sp.Expr) -> sp.Expr:
        return atom / sp.factorial(atom.args[0] - 1)

    for i, (row, old) in enumerate(zip(method.rows, method.weights, strict=True)):
        if row.rule is exact:
            moment = partial(method.frame.moment, end=grid_position(row.to))
            new = weights([method.position(n) for n in row.nodes], rule, moment)
        else:
            new = tuple(w.xreplace({atom: without(atom) for atom in w.atoms(phi)}) for w in old)
        if new != old:
            yield altered_weights(method, i, new)


def collapse_moved(method: Method) -> Iterator[Method]:
    moved = collapsed(at=TINY / 2)
    for i, row in enumerate(method.rows):
        if row.rule not in (None, exact):
            yield replace(method, rows=(*method.rows[:i], replace(row, rule=moved), *method.rows[i + 1 :]))


def claim_off(method: Method, by: int) -> Iterator[Method]:
    yield replace(method, order=method.order + by)


@dataclass(frozen=True)
class Fault:
    """kind, how it is planted, and which checks must catch it: one of them, the cheap first."""

    kind: str
    plant: Callable[[Method], Iterator[Method]]
    checks: tuple[str, ...]


FAULTS = (
    Fault("weight off by 1e-6", off_by_a_millionth, ("claim weight-sum", "order proof")),
    Fault("outputs swapped", outputs_swapped, ("claim polynomial-exactness", "order proof", *AS_PUBLISHED)),
    Fault("step ratio inverted", ratio_inverted, ("claim polynomial-exactness", "order proof", *AS_PUBLISHED)),
    Fault("factorial dropped", factorial_dropped, ("claim polynomial-exactness", *AS_PUBLISHED)),
    Fault("collapse point moved", collapse_moved, ("order proof",)),
    Fault("order claimed one more", partial(claim_off, by=1), ("order proof",)),
    Fault("order claimed one less", partial(claim_off, by=-1), ("order proof",)),
)


def report(kind: str, name: str, caught: list[str | None]) -> None:
    """A line of the table; every fault must have been caught."""
    if caught:
        by = ", ".join(f"{check or 'NOT CAUGHT'} ({n})" for check, n in Counter(caught).items())
        print(f"\n{kind:26} {name:26} {len(caught):3} {by}", end="")
    assert None not in caught


@pytest.mark.parametrize("method", ODE_METHODS, ids=lambda m: m.name)
def test_faults_in_records_are_caught(method: Method) -> None:
    for fault in FAULTS:
        caught = [next((c for c in fault.checks if RECORD_CHECKS[c](a)), None) for a in fault.plant(method)]
        report(fault.kind, method.name, caught)


@pytest.mark.parametrize("method", ODE_METHODS, ids=lambda m: m.name)
def test_the_checks_are_silent_on_the_records_themselves(method: Method) -> None:
    """Or they would catch anything. (That the claims hold of all records together is tested where claims are.)"""
    assert not any(RECORD_CHECKS[name](method) for name in ("order proof", *(f"claim {name}" for name in OF_ALL)))


def test_every_fault_was_planted() -> None:
    for fault in FAULTS:
        assert any(True for method in ODE_METHODS for _ in fault.plant(method)), fault.kind


# --- faults in records of stochastic samplers

WEAK = (  # quickly proved; between them shares, paths, a corrector and a strength of its own
    *("ddpm", "ddim-eta", "sa-solver-1", "sa-solver-2", "sa-solver-p1c1", "sde-dpm-solver-1", "sde-dpm-solver++-2s"),
    *("dpmpp-sde", "seeds-2", "edm-churn", "li-ddpm", "li-accelerated-sde"),
)


def sampler(name: str) -> Method:
    return find(name)


def with_noises(method: Method, row: int, noise: Noise) -> Method:
    noises = [method.step_noise.row(i) for i in range(len(method.rows))]
    return replace(method, noise=NoiseModel(method.strength, (*noises[:row], noise, *noises[row + 1 :])))


def fresh_variance_off(method: Method) -> Iterator[Method]:
    for i in range(len(method.rows)) if not method.history and not method.corrects else ():
        if method.step_noise.row(i).variance != 0:
            yield with_noises(
                method, i, replace(method.step_noise.row(i), variance=method.step_noise.row(i).variance * TINY)
            )


def share_off(method: Method) -> Iterator[Method]:
    for i in range(1, len(method.rows)) if not method.corrects else ():
        shares = [a.factor for a in method.amplitudes(i)][:i]
        shares += [sp.S.One] * (i - len(shares))
        for k in range(i):
            if method.step_noise.row(k).variance != 0 and i == len(method.rows) - 1:
                other = (*shares[:k], shares[k] * TINY, *shares[k + 1 :])
                yield with_noises(method, i, Noise(method.step_noise.row(i).variance, other))


def split_swapped(method: Method) -> Iterator[Method]:
    """The end takes each noise with the weight of the other: as large, but otherwise correlated."""
    if method.name in ("seeds-2", "sde-dpm-solver++-2s"):
        third = method.at({p.name: sp.Rational(1, 5) for p in method.parameters if p.symbol == c2})
        met, fresh = third.amplitudes(1)
        share = sp.sqrt(fresh.variance / third.step_noise.row(0).variance)
        yield with_noises(third, 1, Noise(met.factor**2 * met.variance, (share,)))


def noises_independent(method: Method) -> Iterator[Method]:
    if len(method.rows) == 2 and not method.corrects and method.rows[0].nodes:
        whole = sum(a.factor**2 * a.variance for a in method.amplitudes(1))
        yield with_noises(method, 1, Noise(whole, (sp.S.Zero,)))


def strength_off(method: Method) -> Iterator[Method]:
    """The noises are of another strength than the rows; published rows of another are refused where declared."""
    if not method.history and not method.corrects and all(row.rule is not None for row in method.rows):
        noises = tuple(method.step_noise.row(i) for i in range(len(method.rows)))
        yield replace(method, noise=NoiseModel(method.strength * TINY, noises))


def weak_weight_off(method: Method) -> Iterator[Method]:
    row = method.weights[-1]
    for j in range(len(row)):
        off = tuple(w * (TINY if k == j else 1) for k, w in enumerate(row))
        yield altered_weights(method, len(method.rows) - 1, off)


def weak_claim_off(method: Method) -> Iterator[Method]:
    for by in (-1, 1):
        yield replace(method, order=method.order + by)


def weak_proof(altered: Method) -> bool:
    """The weak order as `samplerproof prove` decides it."""
    return prove_weak_order(altered).order != altered.order


WEAK_FAULTS = {
    "weight off by 1e-6": weak_weight_off,
    "fresh variance off by 1e-6": fresh_variance_off,
    "share off by 1e-6": share_off,
    "split of the noise swapped": split_swapped,
    "noises independent": noises_independent,
    "strength off by 1e-6": strength_off,
    "order claimed one off": weak_claim_off,
}


@pytest.mark.parametrize("name", WEAK)
def test_faults_in_noises_are_caught(name: str) -> None:
    for kind, plant in WEAK_FAULTS.items():
        report(kind, name, ["weak proof" if weak_proof(altered) else None for altered in plant(sampler(name))])


@pytest.mark.parametrize("name", WEAK)
def test_the_weak_proof_is_silent_on_the_records_themselves(name: str) -> None:
    assert not weak_proof(sampler(name))


def test_every_fault_in_noises_was_planted() -> None:
    for kind, plant in WEAK_FAULTS.items():
        assert any(True for name in WEAK for _ in plant(sampler(name))), kind


# --- faults in generated code


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of freshly emitted code, which `emit --check` finds current."""
    fresh = rendered()
    monkeypatch.setattr(emit, "render_all", lambda: fresh)
    emit.write(tmp_path)
    assert emit.differences(tmp_path) == []
    return tmp_path


@cache
def rendered() -> dict[str, str]:
    return render_all()


def edited(text: str, old: str, new: str, after: str) -> str:
    """The first occurrence behind a landmark, replaced."""
    start = text.index(old, text.index(after))
    return text[:start] + new + text[start + len(old) :]


def emit_check(folder: Path, file: str, text: str) -> bool:
    good = (folder / file).read_text(encoding="utf-8")
    (folder / file).write_text(text, encoding="utf-8")
    found = emit.differences(folder)
    (folder / file).write_text(good, encoding="utf-8")
    return bool(found)


def enclosure(function: str, text: str) -> bool:
    """The edited code, run against the balls of tests/numerics/test_enclosures.py."""
    enclosures = of_tests("numerics/test_enclosures.py")
    module = ModuleType(enclosures.generated.__name__)
    module.__package__ = enclosures.generated.__package__
    exec(compile(text, "weight_functions.py", "exec"), module.__dict__)
    enclosures.generated = module
    try:
        enclosures.test_a_generated_function_lies_in_its_enclosure(function)
    except AssertionError:
        return True
    return False


def functions(method: Method, row: int) -> list[str]:
    """What is generated for a row; not what returns no number."""
    name = row_name(method, row)
    found = [name] if method.applied[row] else []
    if method.noise is not None:
        found += [f"{name}_states"] * (method.carried(row) != (1,))
        found += [f"{name}_noises"] * bool(method.amplitudes(row))
    return found


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_hand_edits_of_generated_code_are_caught(method: Method, generated: Path) -> None:
    good = (generated / "weight_functions.py").read_text(encoding="utf-8")
    caught: list[str | None] = []
    for function in [name for i in range(len(method.rows)) for name in functions(method, i)]:
        text = edited(good, "return (\n        ", "return (\n        1.000001*", after=f"def {function}(")
        caught.append("emit --check" if emit_check(generated, "weight_functions.py", text) else None)
        caught.append("enclosure" if enclosure(function, text) else None)
    report("weight function edited", method.name, caught)
    catalogue = (generated / "catalogue_records.py").read_text(encoding="utf-8")
    order, name = f" order={method.order},", f'name="{method.name}"'
    text = edited(catalogue, order, f" order={method.order + 1},", after=name)
    report(
        "catalogue edited",
        method.name,
        ["emit --check" if emit_check(generated, "catalogue_records.py", text) else None],
    )


# --- faults in tables


def tableau(name: str) -> tuple[Grid, Tableau]:
    on = grid(schedule("vp-linear", beta_min=0.1, beta_max=20.0), "uniform-t", 5, t_min=0.01, t_max=1.0)
    return on, tabulate(name, on)


def read_back(altered: Tableau, good: Tableau) -> bool:
    return not all(map(torch.equal, readback.read_rows(altered), (good.states, good.outputs, good.noises)))


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_a_coefficient_off_by_one_ulp_is_caught(method: Method) -> None:
    _, good = tableau(method.name)
    assert not read_back(good, good)
    caught: list[str | None] = []
    for table in ("states", "outputs", "noises"):
        numbers = getattr(good, table)
        for where in numbers.nonzero().tolist():
            altered = numbers.clone()
            altered[tuple(where)] = torch.nextafter(altered[tuple(where)], torch.tensor(torch.inf, dtype=torch.float64))
            caught.append("read-back" if read_back(replace(good, **{table: altered}), good) else None)
    report("coefficient off by one ulp", method.name, caught)


@cache
def oracle(name: str) -> list[Any]:
    """The coefficients of the good tableau at 40 digits."""
    test_tableau = of_tests("numerics/test_tableau.py")
    on, good = tableau(name)
    with test_tableau.mp.workdps(40):
        return list(test_tableau.oracle_rows(find(name), on, good))


def off(altered: Tableau) -> float:
    """How far a tableau is from the 40 digits, in roundings."""
    return float(of_tests("numerics/test_tableau.py").worst_against(oracle(altered.method), altered))


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_a_coefficient_off_by_a_millionth_is_caught(method: Method) -> None:
    _, good = tableau(method.name)
    assert off(good) <= 8
    caught: list[str | None] = []
    for table in ("states", "outputs", "noises"):
        altered = getattr(good, table).clone()
        if altered.numel():
            row = int(altered.any(dim=1).nonzero()[-1])
            altered[row, int(altered[row].nonzero()[-1])] *= 1 + 1e-6
            caught.append("40-digit oracle" if off(replace(good, **{table: altered})) > 8 else None)
    report("coefficient off by 1e-6", method.name, caught)


def lags_exchanged(good: Tableau, table: str) -> Iterator[Tableau]:
    """In the last row that has some, two neighbouring coefficients change places; equal ones are no fault."""
    numbers = getattr(good, table)
    for row in reversed(range(len(numbers))):
        values = numbers[row].tolist()
        found = [k for k, (a, b) in enumerate(pairwise(values)) if abs(a - b) > 1e-9 * max(abs(a), abs(b))]
        for k in found:
            altered = numbers.clone()
            altered[row, [k, k + 1]] = numbers[row, [k + 1, k]]
            yield replace(good, **{table: altered})
        if found:
            return


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_two_lags_exchanged_are_caught(method: Method) -> None:
    """Assert that a history read in another order is caught, by the place of a coefficient and not by its value."""
    _, good = tableau(method.name)
    for table in ("outputs", "states", "noises"):
        caught = ["40-digit oracle" if off(altered) > 1e6 else None for altered in lags_exchanged(good, table)]
        assert caught or getattr(good, table).shape[1] < 2
        report(f"two {table} exchanged", method.name, caught)
