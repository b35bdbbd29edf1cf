"""`samplerproof derive`: where a method's weights come from."""

from __future__ import annotations

import json

from ..numerics.catalogue import resolve
from ..numerics.errors import InputError

FORMATS = ("latex", "torch", "json")


def derive(name: str, format: str) -> str:
    """The method's formula (latex), the generated code that runs (torch), or its record (json).

    Raises InputError on an unknown name or format.
    """
    if format not in FORMATS:
        raise InputError("--format", format, f"one of {', '.join(FORMATS)}")
    canonical = resolve(name, "NAME").name

    from ..theory.emit.render import weight_functions
    from ..theory.latex import describe, latex
    from ..theory.methods import find

    method = find(canonical)
    if format == "latex":
        return latex(method)
    if format == "torch":
        return weight_functions(method).rstrip()
    return json.dumps(describe(method), indent=2)
