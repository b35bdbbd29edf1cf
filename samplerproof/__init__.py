"""samplerproof: an executable appendix to the theory of diffusion samplers.

    import samplerproof as sp

The names below are loaded when they are first used, so that the import itself is cheap. Their pages are in the book
under "The Python interface"; `help(sp.sample)` shows the same text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import techniques
    from .catalogue_method import method, methods
    from .leading_errors import predict_error
    from .names.input_error import InputError
    from .numerics import metrics, testing
    from .numerics.checkpoints.load import load as load_checkpoint
    from .numerics.conformance.adapters.step_protocol import Adapter
    from .numerics.denoisers import adapt
    from .numerics.errors import SamplingError
    from .numerics.fitted_solvers.fit import fit_one_parameter
    from .numerics.grids import Grid, grid
    from .numerics.inversion.invert import invert
    from .numerics.noise import seeded
    from .numerics.optimal_grids.cheapest_path import optimal_grid
    from .numerics.sample import sample
    from .numerics.schedules import schedule
    from .numerics.tableau import tabulate
    from .numerics.targets.flow import exact_flow
    from .numerics.targets.mixture import GaussianMixture
    from .numerics.wrappers import guided, thresholded
    from .own_advice import advise
    from .own_design import design
    from .own_samplers import read_back, verify
    from .own_studies import study

    __version__: str

__all__ = [
    "Adapter",
    "GaussianMixture",
    "Grid",
    "InputError",
    "SamplingError",
    "__version__",
    "adapt",
    "advise",
    "design",
    "exact_flow",
    "fit_one_parameter",
    "grid",
    "guided",
    "invert",
    "load_checkpoint",
    "method",
    "methods",
    "metrics",
    "optimal_grid",
    "predict_error",
    "read_back",
    "sample",
    "schedule",
    "seeded",
    "study",
    "tabulate",
    "techniques",
    "testing",
    "thresholded",
    "verify",
]

# Name -> the module that has it, below this package, and its name there; a module itself has none.
_HOMES: dict[str, tuple[str, str | None]] = {
    "Adapter": ("numerics.conformance.adapters.step_protocol", "Adapter"),
    "GaussianMixture": ("numerics.targets.mixture", "GaussianMixture"),
    "Grid": ("numerics.grids", "Grid"),
    "InputError": ("names.input_error", "InputError"),
    "SamplingError": ("numerics.errors", "SamplingError"),
    "adapt": ("numerics.denoisers", "adapt"),
    "advise": ("own_advice", "advise"),
    "design": ("own_design", "design"),
    "exact_flow": ("numerics.targets.flow", "exact_flow"),
    "fit_one_parameter": ("numerics.fitted_solvers.fit", "fit_one_parameter"),
    "grid": ("numerics.grids", "grid"),
    "guided": ("numerics.wrappers", "guided"),
    "invert": ("numerics.inversion.invert", "invert"),
    "load_checkpoint": ("numerics.checkpoints.load", "load"),
    "method": ("catalogue_method", "method"),
    "methods": ("catalogue_method", "methods"),
    "metrics": ("numerics.metrics", None),
    "optimal_grid": ("numerics.optimal_grids.cheapest_path", "optimal_grid"),
    "predict_error": ("leading_errors", "predict_error"),
    "read_back": ("own_samplers", "read_back"),
    "sample": ("numerics.sample", "sample"),
    "schedule": ("numerics.schedules", "schedule"),
    "seeded": ("numerics.noise", "seeded"),
    "study": ("own_studies", "study"),
    "tabulate": ("numerics.tableau", "tabulate"),
    "techniques": ("techniques", None),
    "testing": ("numerics.testing", None),
    "thresholded": ("numerics.wrappers", "thresholded"),
    "verify": ("own_samplers", "verify"),
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        found: object = version("samplerproof")
    elif name in _HOMES:
        from importlib import import_module

        module, inner = _HOMES[name]
        found = import_module(f".{module}", __name__)
        if inner is not None:
            found = getattr(found, inner)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
