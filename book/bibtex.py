"""BibTeX of the papers of samplers, of this appendix at its version, and of one of its theorems."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import metadata

from ..numerics.catalogue import resolve
from ..numerics.generated.citations import CITATIONS

# tests/cli/test_cite.py compares these with CITATION.cff, whose addresses the package's metadata has.
AUTHOR, TITLE = "The samplerproof authors", "samplerproof: an executable appendix to the theory of diffusion samplers"
YEAR = 2026
ADDRESSES = ("DOI", "Homepage", "Repository")  # labels in the metadata, the one to cite first


def cite(names: Sequence[str]) -> str:
    """BibTeX of the papers of the named samplers, each once, and of the appendix, last.

    Raises InputError on an unknown name.
    """
    keys = dict.fromkeys(resolve(name, "NAME").cite for name in names)
    return "\n\n".join([*(CITATIONS[key] for key in keys), _entry("samplerproof", TITLE, f"Software, {_version()}")])


def cite_theorem(name: str) -> str:
    """BibTeX of a theorem: version, hash of its certificate, and its statement as `annote`, which no style prints.

    name: as book.theorem_certificates.theorem takes it, which proves it first.
    """
    from .theorem_certificates import theorem

    found = theorem(name)
    note = f"{_version()}, SHA-256 of the certificate {found.sha256}"
    title = f"Theorem {found.label} of {TITLE}"
    return _entry(f"samplerproof-{found.label}", title, note, annote=found.statement)


def _entry(key: str, title: str, note: str, **more: str) -> str:
    """The entry as @misc, because plain BibTeX has no @software."""
    fields = {"title": title, "author": f"{{{AUTHOR}}}", "year": str(YEAR), "url": _address(), "note": note, **more}
    lines = ",\n".join(f"  {field} = {{{value}}}" for field, value in fields.items())
    return f"@misc{{{key},\n{lines}\n}}"


def _version() -> str:
    return f"version {metadata('samplerproof')['Version']}"


def _address() -> str:
    """The address of this version; empty as long as CITATION.cff has none."""
    lines = metadata("samplerproof").get_all("Project-URL") or []
    addresses = dict(line.split(", ", 1) for line in lines)
    return next((addresses[label] for label in ADDRESSES if label in addresses), "")
