"""theory/splittings.py -> the text of numerics/generated/phase_splittings.py."""

from __future__ import annotations

from ..splittings import SPLITTINGS, Substep, parts
from .source_text import header

IMPORTS = """Matrix = tuple[tuple[float, float], tuple[float, float]]
Substep = tuple[str, float, float, bool, bool]  # part, share, at, kept, midpoint


"""


def render_splittings() -> str:
    """Every splitting as data, and the parts of both equations as functions of gamma, nu and M."""
    head = header("theory/splittings.py", "Splitting integrators of phase space, and the parts that they are made of.")
    rows = "".join(
        f"    {s.name!r}: ({s.stochastic}, ({''.join(f'{_substep(step)}, ' for step in s.substeps).rstrip()})),\n"
        for s in SPLITTINGS
    )
    table = f"SPLITTINGS: dict[str, tuple[bool, tuple[Substep, ...]]] = {{\n{rows}}}\n"
    functions = "".join(_parts(name, stochastic) for name, stochastic in (("of_flow", False), ("stochastic", True)))
    return f"{head}{IMPORTS}{functions}{table}"


def _substep(step: Substep) -> str:
    return repr((step.part, float(step.share), float(step.at), step.kept, step.midpoint))


def _parts(name: str, stochastic: bool) -> str:
    """A function with the matrices K, L and the covariance rate of every part."""
    rows = "".join(
        f"        {part!r}: ({', '.join(map(_matrix, three))}),\n" for part, three in parts(stochastic).items()
    )
    return (
        f"def {name}(gamma: float, nu: float, mass: float) -> dict[str, tuple[Matrix, Matrix, Matrix]]:\n"
        f"    return {{\n{rows}    }}\n\n\n"
    )


def _matrix(matrix: object) -> str:
    return str(tuple(tuple(row) for row in matrix.tolist()))  # type: ignore[attr-defined]
