"""BibTeX of the papers of samplers, and of this appendix at its version."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from ..numerics.catalogue import resolve
from ..numerics.generated.citations import CITATIONS

# tests/cli/test_cite.py compares it with CITATION.cff. It is @misc because plain BibTeX has no @software.
APPENDIX = """@misc{samplerproof,
  title = {samplerproof: an executable appendix to the theory of diffusion samplers},
  author = {{The samplerproof authors}},
  note = {Software, version VERSION}
}"""


def cite(names: Sequence[str]) -> str:
    """BibTeX of the papers of the named samplers, each once, and of the appendix, last.

    Raises InputError on an unknown name.
    """
    keys = dict.fromkeys(resolve(name, "NAME").cite for name in names)
    return "\n\n".join([*(CITATIONS[key] for key in keys), APPENDIX.replace("VERSION", version("samplerproof"))])
