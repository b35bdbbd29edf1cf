"""What a page on a technique is made of: a paper's claim, its formula and proofs, and a measurement of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

EXTENTS = {
    "system": "the method itself runs and its claim is tested",
    "mechanism": "a part of it runs, on laws that are known exactly or on a small network",
    "identity": "a formula of it is proved and checked",
}
Curves = Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True)
class Measured:
    """The result of a technique's measurement, as it is kept.

    number: the one that the verdict rests on.  head, rows: a table of the page.  curves: points (x, y) by label, drawn
    on logarithmic axes; a label in `dashed` is drawn as a line without marks.
    """

    number: float
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    curves: Curves = field(default_factory=dict)
    x: str = ""
    y: str = ""
    dashed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Technique:
    """One technique of the literature: a page of the book, and a row of `samplerproof reproduce --seeds`.

    name: of the page's file.  system, title, cite: its name, the title of the page with the paper's name, and the key
    of the paper.  claimed, known, unknown: paragraphs, in the paper's own terms.  verdict: of its claim with exact
    scores, in a few words; it stands while the measured number, which is `quantity`, lies `within` two bounds.
    covered: how far and on what it was tried, a word of EXTENTS and a colon first.  formula, provenance: in Markdown;
    where the formula was read.  proved: names of claims in theory/claims.  methods: records of the catalogue.  code: an
    example that runs.  needs: a package that the measurement imports and an installation may lack.
    """

    name: str
    system: str
    title: str
    cite: str
    claimed: str
    verdict: str
    quantity: str
    within: tuple[float, float]
    covered: str
    formula: str
    provenance: str
    proved: tuple[str, ...]
    measure: Callable[[], Measured]
    known: str
    unknown: str
    code: str
    methods: tuple[str, ...] = ()
    needs: str = ""

    def __post_init__(self) -> None:
        if self.extent not in EXTENTS:
            raise ValueError(f"{self.name}: covered: got {self.covered!r}; {', '.join(EXTENTS)} and a colon first")

    @property
    def extent(self) -> str:
        """How far the technique is covered, a key of EXTENTS."""
        return self.covered.partition(":")[0]

    def stands(self, number: float) -> bool:
        """Whether the verdict stands with this number; it does not with NaN."""
        return self.within[0] <= number <= self.within[1]

    @property
    def measurable(self) -> bool:
        """Whether this installation has what the measurement needs."""
        return not self.needs or find_spec(self.needs) is not None

    def row(self, number: float | None) -> dict[str, object]:
        """The row of the table of all techniques, with a number that was measured, or None where it could not be."""
        if number is None:
            verdict = f"not measured: {self.needs} is not installed: pip install 'samplerproof[training]'"
        else:
            verdict = self.verdict if self.stands(number) else f"not confirmed: the number left {self.within}"
        return {
            "system": self.system,
            "claim": self.claimed,
            "verdict": verdict,
            "number": number,
            "quantity": self.quantity,
            "covered": self.covered,
            "proved": list(self.proved),
            "page": f"techniques/{self.name}.html",
        }
