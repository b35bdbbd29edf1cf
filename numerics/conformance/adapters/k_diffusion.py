"""The samplers of k-diffusion: functions of a denoiser and sigmas that draw by a noise sampler or from torch."""

from __future__ import annotations

import importlib
import inspect
import math
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ...catalogue import resolve
from ...errors import InputError, nearest
from ...external_run import Draw
from ..report import TargetInfo
from .callables import Denoise, Solver, check_options, on_levels, ratios, unjudged
from .external_sampler import ExternalSampler
from .in_float64 import in_float64
from .libraries.found import first_in_path
from .option_values import variants
from .process_levels import GRIDS, ZERO, karras
from .target import NoTable, typed

GIVEN = ("model", "x", "sigmas", "sigma_min", "sigma_max", "n", "extra_args", "callback", "disable", "noise_sampler")
INSTALL = "pip install k-diffusion, or without its training part: --no-deps k-diffusion torchdiffeq torchsde trampoline"
# Records of the samplers without noise only; found by reading back.
NOISELESS = {
    "sample_dpm_2": "dpm-solver-2s",
    "sample_dpm_2_ancestral": "dpm-solver-2s",
    "sample_dpmpp_2s_ancestral": "dpm-solver++-2s",
    "sample_dpm_fast": "dpm-solver-3s",  # its last steps by that solver's lower orders
}
NO_TABLE = {
    "sample_dpm_adaptive": "its step sizes depend on the values: no table on a fixed grid",
    "log_likelihood": "a likelihood, not a sampler",
}


def k_diffusion(name: str, options: dict[str, Any]) -> ExternalSampler:
    """The function of that name in k_diffusion.sampling, options as keywords; variance exploding, data predictions.

    Its grid has the levels of karras, where all steps are those of the method. The library's own grids end with an
    appended 0, to which every sampler takes a special last step: such a grid is among the others.
    steps of sample_dpm_fast: its budget of evaluations, between the same ends.
    Raises InputError: not installed, no such function, an unknown option; NoTable for those that have no table.
    """
    module, target = sampling(), typed("k-diffusion", name, options)
    if name in NO_TABLE:
        raise NoTable("target", target, NO_TABLE[name])
    function = getattr(module, name, None)
    if not name.startswith("sample_") or not callable(function):
        known = [key for key in vars(module) if key.startswith("sample_")]
        raise InputError("target", target, f"not a sampler of k-diffusion; {nearest(name, known)}")
    parameters = inspect.signature(function).parameters
    defaults = {key: p.default for key, p in parameters.items() if key not in GIVEN}
    check_options(target, options, defaults)
    number = re.search(r"(\d)(?:[ms]|$|_)", name)
    order = int(number[1]) if number else {**defaults, **options}.get("order")
    called = inspect.unwrap(function).__code__.co_names

    def solver(steps: int) -> Solver:
        def solve(denoise: Denoise, x: Tensor, sigmas: Tensor, draw: Draw) -> Tensor:
            def noise(sigma: Any, sigma_next: Any) -> Tensor:
                tree = "BrownianTreeNoiseSampler" in called  # one path in sigma; else fresh noise in every call
                return draw(x, (float(sigma), float(sigma_next)) if tree else None)

            given: dict[str, Any] = {"noise_sampler": noise} if "noise_sampler" in parameters else {}
            if "n" in parameters:
                given |= {"sigma_min": float(sigmas[-1]), "sigma_max": float(sigmas[0]), "n": steps}
            else:
                given["sigmas"] = sigmas
            with _drawing_from(module, draw):
                sample: Tensor = function(denoise, x, disable=True, **given, **options)
            return sample

        return solve

    own, others = (karras, GRIDS) if "n" not in parameters else (_fast, {"levels from 14.6 to 0.03": _fast_inside})
    info = TargetInfo(
        name=target,
        process="ve",
        reference=reference_of(name, {**defaults, **options}),
        advertised_order=2 if name == "sample_heun" else order,
        variants=variants("k-diffusion", name, defaults, options),
        grids=tuple(others),
        zero=ZERO if ZERO in others else None,
    )
    return ExternalSampler(
        info,
        "data",
        lambda steps, grid=None: on_levels(target, solver(steps), (others[grid] if grid else own)(steps)),
        lambda: in_float64(vars(module)),
        None if "n" in parameters else lambda grid: on_levels(target, solver(grid.steps), ratios(grid, target)),
        None if "n" in parameters else lambda grid: unjudged(solver(grid.steps), ratios(grid, target), "ve"),
        kept=f"k-diffusion {version('k-diffusion')}",
    )


def _fast(evaluations: int, high: float = 80.0, low: float = 0.002) -> list[float]:
    """The levels of sample_dpm_fast, equally spaced in log sigma: steps of three evaluations, one or two of fewer."""
    return torch.linspace(math.log(high), math.log(low), evaluations // 3 + 2, dtype=torch.float64).exp().tolist()


def _fast_inside(evaluations: int) -> list[float]:
    """As _fast, between 14.6 and 0.03."""
    return _fast(evaluations, 14.6, 0.03)


def reference_of(name: str, values: dict[str, Any]) -> str | None:
    """The record of that name at these values of the options; None if the catalogue has none."""
    base, query = f"k-diffusion:{name}", ""
    eta, churn = values.get("eta", 0), values.get("s_churn", 0)
    if values.get("s_noise", 1) != 1:
        return None
    if churn != 0:
        if name != "sample_heun" or values["s_tmin"] != 0 or values["s_tmax"] != math.inf:
            return None
        base, query = "edm-churn", f"?churn={churn}"
    elif name == "sample_lms":
        base = "ddim" if values["order"] == 1 else f"deis-rhoab{values['order'] - 1}"
    elif name == "sample_euler_ancestral":
        query = f"?eta={eta}"
    elif name in ("sample_dpmpp_2m_sde", "sample_dpmpp_3m_sde") and eta >= 0:  # their eta is tau^2
        query = f"?tau={math.sqrt(eta)!r}"
        base = "sde-dpm-solver++-2m-heun" if values.get("solver_type") == "heun" else base
    elif name == "sample_dpmpp_sde":
        base = {0: "dpm-solver++-2s", 1: base}.get(eta, "")
        query = f"?r={values['r']}"
    elif eta == 0:
        base = NOISELESS.get(name, base)
    elif name.endswith("_ancestral") and eta != 1:  # the records of two stages are for eta = 1
        return None
    try:
        return resolve(base + query).name
    except InputError:
        return None


@contextmanager
def _drawing_from(module: ModuleType, draw: Draw) -> Iterator[None]:
    """Context in which torch.randn_like in the code of a module is `draw`."""
    held = vars(module)["torch"]

    class Torch(ModuleType):
        def __getattr__(self, name: str) -> Any:
            return draw if name == "randn_like" else getattr(held, name)

    vars(module)["torch"] = Torch("torch")
    try:
        yield
    finally:
        vars(module)["torch"] = held


@cache
def sampling() -> ModuleType:
    """k_diffusion.sampling; where the parts of the package that train models cannot be imported, without them.

    Raises InputError with the command that installs it.
    """
    if find_spec("k_diffusion") is None:
        raise InputError("target", "k-diffusion", f"not installed; {INSTALL}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module("k_diffusion.sampling")
        except ImportError:
            pass
        try:
            with _without_training():
                return importlib.import_module("k_diffusion.sampling")
        except ImportError as fault:
            raise InputError("target", "k-diffusion", f"cannot be imported ({fault}); {INSTALL}") from None


@contextmanager
def importable(path: str) -> Iterator[None]:
    """Context in which code can import its samplers, of the version that is in a folder if there is one."""
    with first_in_path(Path(path)), _without_training():
        yield


@contextmanager
def _without_training() -> Iterator[None]:
    """Context in which `import k_diffusion` runs no code of the package, and an empty module stands for torchvision
    where it is missing: only a helper for images uses it, sampling does not.
    """
    spec = find_spec("k_diffusion")
    assert spec is not None
    names = ["k_diffusion"]
    names += ["torchvision", "torchvision.transforms"] if find_spec("torchvision") is None else []

    def ours(key: str) -> bool:
        return key.partition(".")[0] in (names[0], names[-1].partition(".")[0])

    before = {key: sys.modules.pop(key) for key in list(sys.modules) if ours(key)}
    for key in names:
        sys.modules[key] = ModuleType(key)
    sys.modules["k_diffusion"].__path__ = list(spec.submodule_search_locations or [])
    if len(names) > 1:
        sys.modules["torchvision.transforms"].functional = None  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for key in [key for key in sys.modules if ours(key)]:
            del sys.modules[key]
        sys.modules.update(before)
