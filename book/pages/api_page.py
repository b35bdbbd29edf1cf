"""The page of the Python interface: every public name of `import samplerproof as sp`, from its docstring."""

from __future__ import annotations

import inspect
import re
from types import ModuleType
from typing import Any

import samplerproof

from ...catalogue_method import Method, OrderProof
from ...numerics.advice.advice import Advice
from ...numerics.checkpoints.checkpoint import Checkpoint
from ...numerics.conformance.report import Verdict
from ...numerics.denoisers import Denoiser
from ...numerics.design.designed import Design
from ...numerics.fitted_solvers.fit import FittedSolver
from ...numerics.leading.leading_error import LeadingError
from ...numerics.schedules import Schedule
from ...numerics.tableau import Tableau
from ...own_studies import StudyResult
from ..markup import code, fenced, plain

FILE = "api.md"
GROUPS = {
    "The catalogue": ("methods", "method"),
    "Schedules and grids": ("schedule", "grid", "Grid", "optimal_grid"),
    "Running a sampler": ("tabulate", "sample", "seeded"),
    "Denoisers": ("adapt", "guided", "thresholded", "load_checkpoint"),
    "Targets and errors": ("GaussianMixture", "exact_flow", "metrics", "predict_error"),
    "Samplers of your own": ("read_back", "verify", "testing", "study", "Adapter"),
    "Which sampler for a model": ("advise", "design"),
    "Techniques": ("invert", "fit_one_parameter", "techniques"),
    "Faults": ("InputError", "SamplingError"),
}
RETURNED = (
    *(Method, OrderProof, Schedule, Tableau, Denoiser, Checkpoint),
    *(LeadingError, FittedSolver, Verdict, StudyResult, Advice, Design),
)
TOP = """# The Python interface

```python
import samplerproof as sp
```

The import is cheap: a name is loaded when it is first used. This page is made from the docstrings, and the tests run
their examples. Tensors are torch's, in float64 unless a docstring names another dtype. `sp.__version__` is the
installed version. The names:"""


def api_page() -> dict[str, str]:
    """The page as {file: text}.  ValueError if the groups are not the public names, each once."""
    names = [name for group in GROUPS.values() for name in group]
    if sorted([*names, "__version__"]) != sorted(samplerproof.__all__):
        raise ValueError(f"GROUPS: {sorted({*names} ^ {*samplerproof.__all__})}")
    items = {name: getattr(samplerproof, name) for name in names}
    links = ", ".join(f"[`sp.{name}`]({_label(name, item)})" for name, item in items.items())
    parts = [TOP, links + "."]
    for title, group in GROUPS.items():
        parts += [f"## {title}", *(_entry(name, items[name]) for name in group)]
    parts += ["## What they return", *map(_returned, RETURNED)]
    return {FILE: "\n\n".join(parts) + "\n"}


def _label(name: str, item: Any) -> str:
    """The target of links to a name; targets have no capitals, and `grid` and `Grid` are two."""
    return f"api-{'class-' if inspect.isclass(item) else ''}{name.lower()}"


def _entry(name: str, item: Any) -> str:
    """A name with its signature, the text of its docstring and its examples."""
    blocks = [f"({_label(name, item)})=\n### {plain(f'sp.{name}')}"]
    if not isinstance(item, ModuleType):
        blocks.append(fenced(f"sp.{name}{_signature(item)}", "python"))
    if inspect.isclass(item):
        made = [key for key, value in vars(item).items() if isinstance(value, classmethod)]
        blocks += [fenced(f"sp.{name}.{key}{_signature(getattr(item, key))}", "python") for key in made]
    return "\n\n".join([*blocks, *markdown(inspect.getdoc(item) or "")])


def _returned(item: type) -> str:
    """A class that the functions return: its docstring and its public members, a line each."""
    members = {key: value for key, value in vars(item).items() if not key.startswith("_")}
    lines = []
    for key, value in members.items():
        text = (inspect.getdoc(value) or "").partition("\n\n")[0].replace("\n", " ")
        if isinstance(value, property) or inspect.isfunction(value):
            call = (
                "" if isinstance(value, property) else _signature(value).replace("(self, ", "(").replace("(self)", "()")
            )
            lines.append(f"- {code(key + ' '.join(call.split()))}: {_text(text)}")
    blocks = [f"({_label(item.__name__, item)})=\n### {item.__name__}", *markdown(inspect.getdoc(item) or "")]
    return "\n\n".join([*blocks, *(["\n".join(lines)] if lines else [])])


def _signature(item: Any) -> str:
    """The parameters as they are written in the source, a line each if they do not fit in one."""
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(item))).removesuffix(" -> None")
    if len(text) <= 100:
        return text
    parameters, closing, returned = text[1:].rpartition(")")
    lines = re.split(r", (?![^\[]*\])", parameters)
    return "(\n" + "".join(f"    {line},\n" for line in lines) + closing + returned


def markdown(docstring: str) -> list[str]:
    """A docstring as Markdown: examples and indented blocks as they are, the rest as text.

    Paragraphs begin behind two spaces, and at a line that begins with Raises, Returns or a parameter and a colon.
    """
    blocks = []
    for block in re.split(r"\n\n+", docstring):
        if block.startswith(">>>"):
            blocks.append(fenced(block, "pycon"))
        elif all(line.startswith("    ") for line in block.split("\n")):
            blocks.append(fenced(inspect.cleandoc(block), "text"))
        else:
            paragraphs = re.split(r"(?<=[.)])  (?=\S)|\n(?=Raises |Returns |[a-z_]+: )", block)
            blocks += [_text(paragraph.replace("\n", " ")) for paragraph in paragraphs]
    return blocks


def _text(paragraph: str) -> str:
    """Text in which only pieces between backticks are marked."""
    pieces = enumerate(re.split(r"`([^`]+)`", paragraph))
    return "".join(code(piece) if n % 2 else plain(piece) for n, piece in pieces)
