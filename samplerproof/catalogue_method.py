"""A method of the catalogue as an object: its formula, its proof, its code, its paper and its table on a grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .numerics.catalogue import METHODS, resolve
from .numerics.generated.citations import CITATIONS
from .numerics.records import Record
from .numerics.text_table import described

if TYPE_CHECKING:
    from .numerics.grids import Grid
    from .numerics.tableau import Tableau


@dataclass(frozen=True)
class OrderProof:
    """What was proved of a method's order, in exact algebra.

    order: the order that was proved.  claimed: that of the catalogue.  free: the order for arbitrary step ratios, lower
    where the weights assume equal steps.  For a stochastic method these are weak orders.  statement: the theorem.
    conditions: the number of equations that hold.  leading_defects: the first terms that do not vanish, as
    `samplerproof prove --json` has them.
    """

    method: str
    order: int
    claimed: int
    free: int
    holds: bool
    statement: str
    conditions: int
    leading_defects: tuple[dict[str, Any], ...]

    def __str__(self) -> str:
        verdict = "proved" if self.holds else f"the claim {self.claimed} FAILS"
        facts = [("order", f"{self.order} ({verdict}; {self.conditions} conditions)"), ("statement", self.statement)]
        from .book.proofs import term

        terms = [term(defect) for defect in self.leading_defects]
        return described(self.method, [*facts, ("next term", "\n".join(terms[:3]) or "none")])

    def __repr__(self) -> str:
        return f"OrderProof({self.method!r}, order={self.order}, holds={self.holds})"


@dataclass(frozen=True)
class Method:
    """A method of the catalogue; `print` shows its formula.  Two are equal if their records are."""

    record: Record

    @property
    def name(self) -> str:
        """Its name in the catalogue, with values for parameters that are not at their defaults."""
        return self.record.name

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names, those in libraries included."""
        return self.record.aliases

    @property
    def order(self) -> int:
        """p: the error of N steps falls like N^-p from exact start values; the weak order of a stochastic method."""
        return self.record.order

    @property
    def order_asymptotic(self) -> int:
        """The order of a whole run, with the method's own start-up."""
        return self.record.order_asymptotic

    @property
    def stochastic(self) -> bool:
        """Whether it draws noise."""
        return self.record.stochastic

    @property
    def nfe_per_step(self) -> int:
        """Evaluations of the model in a step."""
        return self.record.nfe_per_step

    def latex(self) -> str:
        """The formula in LaTeX, as an `aligned` environment."""
        from .theory.latex import latex
        from .theory.methods import find

        return latex(find(self.name))

    def torch(self) -> str:
        """The source of the generated torch functions that compute its coefficients."""
        from .theory.emit.render import weight_functions
        from .theory.methods import find

        return weight_functions(find(self.name)).rstrip()

    def prove(self) -> OrderProof:
        """Prove its order in exact algebra: the claimed order holds, and the next one fails."""
        from .book.proofs import prove

        (entry,) = prove([self.name], everything=False)
        return OrderProof(
            method=entry["name"],
            order=entry["proved_order"],
            claimed=entry["claimed_order"],
            free=entry["proved_order_free"],
            holds=entry["proved"],
            statement=entry["statement"],
            conditions=entry["conditions"],
            leading_defects=tuple(entry["leading_defects"]),
        )

    def cite(self) -> str:
        """The BibTeX entry of its paper."""
        return CITATIONS[self.record.cite]

    def tabulate(self, grid: Grid, start: str = "ramp") -> Tableau:
        """Its coefficients on a grid; see samplerproof.tabulate."""
        from .numerics.tableau import tabulate

        return tabulate(self.name, grid, start)

    def export(self, grid: Grid, folder: str | Path, vectors: bool = False) -> list[Path]:
        """Write its table on a grid into a folder, and with `vectors` a golden vector; see `samplerproof export`.

        Returns the files.  Raises InputError as tabulate does, and on a folder that cannot be written.
        """
        from .numerics.exports import exported
        from .numerics.support.files import check_writable, write_text

        files = exported(self.name, grid, vectors=vectors)
        check_writable(Path(folder), "folder")
        for name, text in files.items():
            write_text(Path(folder) / name, text)
        return [Path(folder) / name for name in files]

    def __repr__(self) -> str:
        return f"method({self.name!r})"

    def __str__(self) -> str:
        from .plain_formula import plain_formula

        record = self.record
        start = f", {record.order_asymptotic} with its start-up {record.start}" if record.start else ""
        order = f"{'weak ' if record.stochastic else ''}order {record.order}{start}"
        evaluations = "1 evaluation" if record.nfe_per_step == 1 else f"{record.nfe_per_step} evaluations"
        facts = [
            ("summary", record.summary),
            ("kind", f"{record.kind}, {order}, {evaluations} a step"),
            ("formula", "\n".join(plain_formula(self.latex()))),
        ]
        parameters = ", ".join(f"{name} = {value}" for name, value in record.numbers.items())
        if parameters:
            facts.append(("parameters", parameters))
        return described(self.name, facts)


def method(name: str) -> Method:
    """The method of that name or alias: NAME, or NAME?parameter=value&... for one with parameters.

    It has `name`, `aliases`, `order`, `order_asymptotic`, `stochastic` and `nfe_per_step`; `prove()` proves the order,
    `latex()` returns the formula, `torch()` the generated code, `cite()` BibTeX, `tabulate(grid)` the table on a grid,
    `export(grid, folder)` its files for ports.
    `print` shows the formula: x̂0 is the data prediction, ε̂ the noise prediction, h the step in the clock of the method,
    r1 the length of the step before over h.
    Raises InputError on an unknown name, parameter or value, with the nearest names.

    >>> import samplerproof as sp
    >>> m = sp.method("dpm-solver++-2m")
    >>> m.order, m.nfe_per_step
    (2, 1)
    >>> print(m)
    dpm-solver++-2m
      summary  Exponential Adams 2 with its weight collapsed onto the midpoint of the step.
      kind     multistep, order 2, 2 with its start-up ddim, 1 evaluation a step
      formula  x[n+1] = σ[n+1]/σ[n] x[n] - α[n+1] (e^(-h) - 1) [(1 + 1/(2 r1)) x̂0(x[n]) - 1/(2 r1) x̂0(x[n-1])]
               h = λ[n+1] - λ[n]
               r1 = (λ[n] - λ[n-1])/h
    >>> m.prove()
    OrderProof('dpm-solver++-2m', order=2, holds=True)
    >>> sp.method("bdia-ddim?gamma=1").order
    2
    """
    return Method(resolve(name))


def methods() -> Mapping[str, Method]:
    """The catalogue: every method by its name, in the order of the book.

    >>> import samplerproof as sp
    >>> "ddim" in sp.methods()
    True
    >>> [name for name, m in sp.methods().items() if m.order == 4 and m.nfe_per_step == 1 and "deis" in name]
    ['deis-tab3', 'deis-rhoab3']
    """
    return MappingProxyType({name: Method(record) for name, record in METHODS.items()})
