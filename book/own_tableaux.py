"""`samplerproof prove --tableau FILE`: a tableau of one's own is read strictly, and its order decided.

A file is TOML. `form` is "butcher" (A, b, and c or the row sums of A), "exponential" (c, A, b, with past outputs U, v)
or "multistep" (b of the outputs at n, n - 1, …, and a of the states there). An entry is an integer or a text; `sqrt` of
rationals is exact, and numbers with a decimal point need a `tolerance`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..numerics.errors import InputError, nearest
from ..numerics.support.reading import read_toml
from .proofs import defect_entry

if TYPE_CHECKING:
    import sympy as sp

    from ..theory.scheme import Scheme

COMMON = ("name", "form", "order", "tolerance")
FIELDS = {
    "butcher": (*COMMON, "c", "A", "b", "sweeps"),
    "exponential": (*COMMON, "c", "A", "b", "U", "v", "sweeps"),
    "multistep": (*COMMON, "a", "b"),
}
MOST_STAGES = 40
MOST_PAST = 6  # step ratios have names up to r6
MOST_SWEEPS = 12
MOST_SURDS = 4  # different square roots: the field of their sums has degree 2^4
LARGEST_TOLERANCE = 1e-3
LARGEST = 10**6  # magnitude of an entry that is a number


def prove_tableau(file: Path) -> dict[str, Any]:
    """What is proved of the tableau in a file: its order, defects, stiff order, stability and row sums.

    proved: whether a claimed `order` is the exact one; true where none is claimed.  proved_order is 0 for what does not
    converge; proved_order_free: for all step ratios, null for decimals and square roots.  stability: S of the real
    interval (-S, 0), null where it is not bounded, or not decided: implicit with past outputs.  sweeps_order: that of
    the explicit table of `sweeps` Picard sweeps.
    Raises InputError on a fault in the file, with row and entry.

    >>> from pathlib import Path
    >>> from samplerproof.book.own_tableaux import prove_tableau
    >>> file = Path("kutta3.toml")
    >>> written = file.write_text('form = "butcher"\\nA = [[], ["1/2"], [-1, 2]]\\nb = ["1/6", "2/3", "1/6"]')
    >>> answer = prove_tableau(file)
    >>> answer["proved_order"], answer["kind"], answer["c"]
    (3, 'explicit', ['0', '1/2', '1'])
    """
    from ..theory.scheme import prove_scheme
    from ..theory.scheme_stability import stability, zero_stable
    from ..theory.stiff_order import stiff_orders

    started = time.perf_counter()
    form, scheme, claimed, sweeps = read_tableau(file)
    series = scheme.expansion()
    try:
        proof = prove_scheme(scheme)
        exact = not (series.surds or series.tolerance)
        free = prove_scheme(scheme, free=True).order if scheme.history and exact else None
        swept = prove_scheme(scheme.swept(sweeps)) if sweeps else None
    except ValueError as fault:
        raise InputError("tableau", str(file), str(fault)) from None
    stable = zero_stable(scheme)
    order = max(proof.order, 0) if stable else 0
    try:
        length = stability(scheme)
    except ArithmeticError:  # its ends are too close to be distinguished
        length = None
    stiff = stiff_orders(scheme)
    return {
        "name": scheme.name,
        "kind": "multistep" if form == "multistep" else scheme.kind,
        "stages": scheme.stages,
        "statement": proof.statement,
        "c": [str(c) for c in scheme.c],
        "row_sums": [str(value) for value in scheme.sums],
        "claimed_order": claimed,
        "proved_order": order,
        "proved_order_free": order if not scheme.history or not order else free,
        "proved": claimed in (None, order),
        "conditions": proof.conditions,
        "tolerance": float(scheme.tolerance),
        "largest_residual": float(proof.largest_residual),
        "leading_defects": [
            defect_entry(d.tree, d.power, _shown(d.coefficient, scheme)) for d in proof.leading_defects
        ],
        "stiff_order": stiff and stiff[0],
        "stiff_order_weakened": stiff and stiff[1],
        "zero_stable": stable,
        "stability": float(length) if length is not None and length.is_finite else None,
        "sweeps": sweeps,
        "sweeps_order": swept and swept.order,
        "seconds": round(time.perf_counter() - started, 3),
    }


def _shown(coefficient: sp.Expr, scheme: Scheme) -> str:
    """An exact coefficient as it is, one of decimals in six digits."""
    return f"{float(coefficient):.6g}" if scheme.tolerance else str(coefficient)


def read_tableau(file: Path) -> tuple[str, Scheme, int | None, int | None]:
    """Form and scheme of a file, the order that it claims and its number of sweeps.  Raises InputError on a fault."""
    return tableau_of(read_toml(file, "--tableau"), file.stem)


def tableau_of(data: Mapping[str, Any], stem: str, summed: bool = True) -> tuple[str, Scheme, int | None, int | None]:
    """The same of a table of TOML.  stem: the name of one without; summed: whether row sums must equal c."""
    form = data.get("form")
    if not isinstance(form, str) or form not in FIELDS:
        raise InputError("form", form, f"one of {', '.join(FIELDS)}")
    for key in data:
        if key not in FIELDS[form]:
            raise InputError(key, data[key], f"not a field of form {form}; {nearest(key, FIELDS[form])}")
    name = data.get("name", stem)
    if not isinstance(name, str) or not 0 < len(name) <= 100 or not name.isprintable():
        raise InputError("name", name, "a text of 1 to 100 characters on one line")
    claimed = _whole(data, "order", 0, 30)
    reader = _Reader(data, form, summed)
    scheme = reader.multistep(name) if form == "multistep" else reader.stages(name)
    sweeps = _whole(data, "sweeps", 1, MOST_SWEEPS)
    if sweeps is not None and (scheme.kind == "explicit" or scheme.history):
        raise InputError("sweeps", sweeps, "only for an implicit tableau without past outputs")
    return form, scheme, claimed, sweeps


def _whole(data: Mapping[str, Any], field: str, low: int, high: int) -> int | None:
    value = data.get(field)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high):
        raise InputError(field, value, f"a whole number from {low} to {high}")
    return value


class _Reader:
    """The entries of one file."""

    def __init__(self, data: Mapping[str, Any], form: str, summed: bool) -> None:
        import sympy

        self.data, self.form, self.summed, self.sympy = data, form, summed, sympy
        self.tolerance = self._tolerance()
        self.symbols: dict[str, sp.Expr] = {}

    def _tolerance(self) -> sp.Rational:
        value = self.data.get("tolerance", 0)
        known = isinstance(value, (int, float)) and not isinstance(value, bool)
        if "tolerance" in self.data and not (known and 0 < value <= LARGEST_TOLERANCE):
            raise InputError("tolerance", value, f"a number > 0, at most {LARGEST_TOLERANCE:g}")
        return self.sympy.Rational(str(value))

    def multistep(self, name: str) -> Scheme:
        """a and b of the states and outputs at n, n - 1, …"""
        from ..theory.notation import r
        from ..theory.scheme import Scheme

        past = max(len(self._list(field)) for field in ("a", "b") if field in self.data or field == "b") - 1
        self.symbols = {ratio.name: ratio for ratio in r[: max(past, 0)]}
        b = self._line("b", self._list("b"), None)
        states = self._line("a", self._list("a"), None) if "a" in self.data else (self.sympy.S.One,)
        for field, line in (("b", b), ("a", states)):
            if not 1 <= len(line) <= MOST_PAST:
                raise InputError(field, f"{len(line)} entries", f"1 to {MOST_PAST}")
        zero = self.sympy.S.Zero
        scheme = Scheme(name, (zero,), ((zero,),), b[:1], v=b[1:], states=states, tolerance=self.tolerance)
        return self._checked(scheme)

    def stages(self, name: str) -> Scheme:
        """c, A, b and, exponential, U and v."""
        from ..theory.notation import h, r
        from ..theory.scheme import Scheme

        exponential = self.form == "exponential"
        count = len(self._list("b"))
        if not 1 <= count <= MOST_STAGES:
            raise InputError("b", f"{count} entries", f"1 to {MOST_STAGES}, one a stage")
        if exponential or "c" in self.data:
            c = self._line("c", self._list("c"), count)
            self.symbols = {f"c{i}": place for i, place in enumerate(c, start=1)}
        past = len(self._list("v")) if "v" in self.data else 0
        if past > MOST_PAST:
            raise InputError("v", f"{past} entries", f"at most {MOST_PAST}")
        if exponential:
            self.symbols |= {"h": h, **{ratio.name: ratio for ratio in r[:past]}}
        a = self._matrix("A", count, count)
        b = self._line("b", self._list("b"), count)
        v = self._line("v", self._list("v"), past) if past else ()
        u = self._matrix("U", count, past) if "U" in self.data else ()
        if not (exponential or "c" in self.data):
            c = tuple(self.sympy.expand(sum(line)) for line in a)
        return self._checked(Scheme(name, c, a, b, u, v, exponential=exponential, tolerance=self.tolerance))

    def _checked(self, scheme: Scheme) -> Scheme:
        """The scheme, with row sums equal to c at h = 0."""
        if self.tolerance and scheme.ratios:
            raise InputError("tolerance", float(self.tolerance), "exact entries where they depend on step ratios")
        if scheme._surds and scheme.ratios:
            raise InputError("sqrt", "with step ratios", "rational numbers where entries depend on step ratios")
        if len(roots := {surd.base for surd in scheme._surds}) > MOST_SURDS:
            raise InputError("sqrt", f"of {len(roots)} numbers", f"of at most {MOST_SURDS} that are different")
        series = scheme.expansion()
        for i, (found, place) in enumerate(zip(scheme.sums, scheme.c, strict=False)):
            if (
                self.summed
                and self.form != "multistep"
                and series.counts(series.element(found) - series.element(place))
            ):
                shown = "at h = 0 " if scheme.exponential else ""
                raise InputError(f"A, row {i + 1}", str(found), f"entries {shown}that sum to c{i + 1} = {place}")
        return scheme

    def _list(self, field: str) -> list[Any]:
        value = self.data.get(field)
        if not isinstance(value, list):
            raise InputError(field, value, "a list of entries, such as [0, '1/2']")
        return value

    def _matrix(self, field: str, rows: int, columns: int) -> tuple[tuple[sp.Expr, ...], ...]:
        """A list of lists; zeros at the end of a row may be left out."""
        lines = self._list(field)
        if len(lines) != rows:
            raise InputError(field, f"{len(lines)} rows", f"{rows}, as b has {rows} entries")
        found = []
        for i, line in enumerate(lines, start=1):
            if not isinstance(line, list):
                raise InputError(f"{field}, row {i}", line, "a list of entries")
            if len(line) > columns:
                raise InputError(f"{field}, row {i}", f"{len(line)} entries", f"at most {columns}")
            entries = self._line(f"{field}, row {i}", line, None)
            found.append((*entries, *(self.sympy.S.Zero,) * (columns - len(line))))
        return tuple(found)

    def _line(self, field: str, values: Sequence[Any], length: int | None) -> tuple[sp.Expr, ...]:
        if length is not None and len(values) != length:
            raise InputError(field, f"{len(values)} entries", f"{length}, as b has {length} entries")
        return tuple(self._entry(f"{field}, entry {j}", value) for j, value in enumerate(values, start=1))

    def _entry(self, field: str, value: Any) -> sp.Expr:
        from ..theory.scheme_entries import EntryError, entry, is_decimal

        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise InputError(field, value, "a number, or a text such as '1/6' or 'phi1(c2 h)/2'")
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(field, value, "a finite number")
        if not self.tolerance and (isinstance(value, float) or (isinstance(value, str) and is_decimal(value))):
            raise InputError(field, value, "an exact entry, such as '1/6' or 'sqrt(3)/6', or a tolerance in the file")
        try:
            found = entry(str(value), self.symbols)
        except EntryError as fault:
            raise InputError(field, value, str(fault)) from None
        if found.is_number and abs(found) > LARGEST:
            raise InputError(field, value, f"at most {LARGEST} in magnitude")
        return found
