"""The orders that Coq's kernel checks: the page on what it checks, and the statement of one sampler."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...numerics.catalogue import METHODS
from ...numerics.records import Record
from ...theory.formal.order_file import coq_file
from ..markup import fenced, table
from ..records.kept_records import ROOT
from .myst import link

LIBRARY = ("Orders", "Rationals")


def modules(name: str) -> dict[str, str]:
    """The modules of a sampler's file: the ratios of their theorem, and their text."""
    text = (ROOT / str(coq_file(name))).read_text(encoding="utf-8")
    return dict(re.findall(r"^Module (\w+)\.$(.*?)^End \1\.$", text, flags=re.MULTILINE | re.DOTALL))


def orders(name: str) -> dict[str, int]:
    """The order that is proved in each module."""
    return {
        ratios: int(order)
        for ratios, text in modules(name).items()
        for order in re.findall(r"^Theorem order : has_order (\d+) step\.$", text, flags=re.MULTILINE)
    }


def statement(name: str) -> str:
    """The definitions and the two theorems of the first module, without their proofs."""
    text = next(iter(modules(name).values()))
    kept = re.findall(
        r"^(?:Context [^\n]*|\(\* The weights[^\n]*|Definition \w+ : series [^\n]*|Hypothesis [^\n]*|"
        r"Definition \w+ : method K := \{\|.*?^\|\}\.|Theorem (?:order|not_more) : [^\n]*\.)$",
        text,
        flags=re.MULTILINE | re.DOTALL,
    )
    return "\n".join(kept)


def coq(record: Record, page: str = "../") -> Iterator[str]:
    """The paragraphs on a sampler's page.  page: from there to the top of the book."""
    file = None if record.stochastic else coq_file(record.name)
    if file is None:
        return
    yield (
        f"**Checked by a kernel.** The file {{download}}`{file} <{page}{file}>` states this theorem in Coq, with the "
        "weights of the record, and Coq's kernel accepts its proof without any axiom (`make formal`). "
        f"[What it checks, and what stays on paper]({page}kernel_checked.md)."
    )
    yield f":::{{dropdown}} The statement in Coq\n{fenced(statement(record.name), 'text')}\n:::"


def kernel_checked() -> str:
    """The page: how to run it, what is stated, what is not, and the table of files."""
    made = [record.name for record in METHODS.values() if not record.stochastic and coq_file(record.name)]
    library = " and ".join(f"{{download}}`formal/{name}.v <formal/{name}.v>`" for name in LIBRARY)
    rows = [
        (
            link(name, "methods/"),
            "; ".join(f"{order}, {ratios.replace('_', ' ')}" for ratios, order in orders(name).items()),
            f"{{download}}`{coq_file(name)} <{coq_file(name)}>`",
        )
        for name in made
    ]
    text = TEXT.replace("COUNT", str(len(made))).replace("LIBRARY", library)
    return f"{text}\n{table(('sampler', 'order', 'file'), rows)}\n"


TEXT = r"""# Orders checked by a kernel

The orders of this book are decided by our own exact algebra, and [a certificate](chapters/trees_and_orders.md) of each
can be verified without it. For COUNT deterministic samplers there is a third witness, which shares no code with
either: the Coq proof assistant. One file a sampler holds its weights, written from the record that the running code is
generated from; Coq's kernel then accepts or refuses the proofs.

    apt-get install coq        # Debian, Ubuntu; elsewhere `brew install coq` or `opam install coq`
    make formal

It prints every file as it is accepted, and exits 1 at the first that is not. What it accepted is recorded in
`formal/accepted.json`, with the digest of each file; a test compares these with the files as they are.
`python -m samplerproof.theory.formal` writes the files anew, `--check` compares them with fresh ones.

## What is stated

LIBRARY hold the definitions, some 400 lines, to be read once. They are:

- *Fields.* A field is any type with the operations and laws of one, in which no positive integer is zero. Step ratios
  and parameters are elements of it. What is proved holds for the rationals, the reals, and for rational functions, in
  which ratios are indeterminates.
- *Series in h.* A series is the sequence of its coefficients, one for every natural number; nothing is cut off.
  $\varphi_k(c h)$ is the sequence $c^n / (n + k)!$: the conditions compare coefficients of powers of $h$, so that no
  exponential function is needed. Sums, products, inverses and exponentials of series are defined by recursion.
- *Trees and methods.* Rooted trees with time legs, their sizes and densities; a method as rows of outputs, each with
  its place, its source and its coefficient $a_j(h)$; the weight of a tree in a step, as
  [the chapter on trees](chapters/trees_and_orders.md) defines it.
- *Order.* `has_order p M` means: every $a_j$ is divisible by $h$; and for every tree $\tau$, the empty one included,
  and every $n$ with $|\tau| + n \le p$, the coefficient of $h^n$ in the weight of $\tau$ is that of the exact
  solution, $1/\gamma(\tau)$ for $n = 0$ and zero above. All trees are meant, and not those of a list: that the
  list through which the proofs go is complete is a lemma.

Each file then has three theorems. `order` is `has_order p step` for all step ratios and parameters of every such
field, with the hypotheses that the denominators named there are not zero; where a weight is any smooth function of its
clock, or $\alpha$ is, their Taylor coefficients are any sequence. `leading_defects` gives, as a rational function, what
conditions of total order $p + 1$ are off by. `not_more` is the negation of `has_order (p + 1) step` at rational
numbers, which are in the file. Where weights assume equal steps there are two modules: `near_equal_steps` for ratios
that are any series $1 + O(h)$, the order in the catalogue, and `all_ratios`.

`Print Assumptions`, the last line of every file, answers "Closed under the global context": no axiom, nothing admitted.
A weight that is off by a millionth is refused; the tests plant one. They also read the numbers of the files back, by
another parser, and compare them with the certificates.

## What stays on paper

- That these conditions are the order: that a step from the exact solution has an error of $O(h^{p+1})$ for every
  smooth $G$ if `has_order p` holds, and not $O(h^{p+2})$ for all $G$ if `has_order (p + 1)` does not. This is Butcher's
  theorem: exact and numerical solutions are series over trees, and elementary differentials are independent.
  [The chapter](chapters/trees_and_orders.md) has the statement and its source.
- That local errors of $O(h^{p+1})$ add up to $O(h^p)$ over a run, and the root condition where two states are carried.
- That a frame turns the probability flow into $dz/du = w F$: [another chapter](chapters/schedules_and_frames.md).
- In a predictor-corrector the outputs of earlier steps were made at predicted points. The files let these be off the
  path by the leading term of the predictor's own residual in the step before; that later terms come an order later is
  argued on paper. Leading defects in which that term takes part are in the certificates, and not in these files.
- That the files have the weights of the code that runs: both are written from the same record, and tests compare them.

## The files

"""
