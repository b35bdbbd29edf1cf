"""ComfyUI's samplers: the functions of comfy/k_diffusion/sampling.py, UniPC, and those that users write for it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import CodeType, FunctionType, ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

from torch import Tensor

from ....errors import InputError
from ....external_run import Draw
from ....guided_tables import GUIDED, UNCONDITIONAL
from ..callables import Denoise, Solver, check_options
from ..external_sampler import ExternalSampler
from ..k_diffusion import GIVEN, NO_TABLE, reference_of
from ..own_draws import drawing_from
from ..process_levels import at_sigma
from ..target import NoTable, typed
from .found import Library, first_in_path, standing_in
from .of_solver import external, record

SOURCE = "a checkout of ComfyUI"
SAMPLING = Library("comfyui", "comfy/k_diffusion/sampling.py", SOURCE)
UNIPC = Library("comfyui", "comfy/extra_samplers/uni_pc.py", SOURCE)
UNIPC_NAMES = {"uni_pc": "sample_unipc", "uni_pc_bh2": "sample_unipc_bh2"}  # as its menu has them
MENU = {"ddim": "euler"}  # other names of one function there
REASONS = {
    **NO_TABLE,
    "sample_dpm_fast": "it makes its own levels from two ends and a budget; `k-diffusion:sample_dpm_fast` is the same",
    "sample_ar_video": "it samples a video frame by frame with the cache of its model",
}
NOISE, FLOW = type("EPS", (), {}), type("CONST", (), {})  # its names of a process, for which samplers test
NODES = ("comfy.samplers", "comfy.sample", "comfy.model_management", "nodes", "folder_paths")  # that a file may import
SCALE = 2.0  # of the guidance, by which the output with a prompt follows from the guided one
SEEDS = ("noise_sampler", "noise", "tau_func", "noise_scaler")  # options that are functions
BY_DEFAULT: dict[str, tuple[str, dict[str, Any]]] = {  # records of other names, where these options are as they are
    "uni_pc": ("unipc-3-bh1", {}),
    "uni_pc_bh2": ("unipc-3", {}),
    "ipndm_v": ("deis-rhoab3", {"max_order": 4}),  # Adams-Bashforth in sigma for steps that are not equal
    "seeds_2": ("sde-dpm-solver++-2s", {"eta": 1.0, "r": 0.5, "solver_type": "phi_1"}),
    "res_multistep_ancestral": ("sa-solver-2", {"eta": 1.0}),
    "res_multistep_ancestral_cfg_pp": ("sa-solver-2", {"eta": 1.0}),
    "res_multistep_cfg_pp": ("exp-adams-2", {}),
    "gradient_estimation_cfg_pp": ("gradient-estimation", {"ge_gamma": 2.0}),
}


def comfyui(name: str, options: dict[str, Any], path: str | None = None) -> ExternalSampler:
    """The sampler of that name in ComfyUI's menu, such as dpmpp_2m, or of its function, sample_dpmpp_2m.

    Its model returns data predictions; on alpha = 1, or with --process flow as its flow models have it. A sampler that
    is called back with the output without a prompt, as CFG++, reads two outputs of it: the guided and that one.
    Raises InputError: not found, no such function, an unknown option; NoTable for those without a table.
    """
    menu = name.removeprefix("sample_")
    menu = {function.removeprefix("sample_"): key for key, function in UNIPC_NAMES.items()}.get(menu, menu)
    target, library = typed("comfyui", menu, options), UNIPC if menu in UNIPC_NAMES else SAMPLING
    called = UNIPC_NAMES.get(menu, f"sample_{MENU.get(menu, menu)}")
    if called in REASONS:
        raise NoTable("target", target, REASONS[called])
    module = _module(library, path)
    known = [key for key, value in vars(module).items() if key.startswith("sample_") and callable(value)]
    function = library.member(module, called, known)
    values = {**_defaults(function), **options}
    order = int(values["max_order"]) if "max_order" in values else None
    process = "flow" if called.endswith("_RF") else "ve"  # RF: of rectified flow only
    return _external(function, options, target, process, _reference(menu, called, values), order)


def has_interface(function: Callable[..., Any]) -> bool:
    """Whether a function is written as those of k-diffusion and ComfyUI: (model, x, sigmas, extra_args, …)."""
    try:
        parameters = [*inspect.signature(function).parameters]
    except (TypeError, ValueError):
        return False
    return parameters[1:3] == ["x", "sigmas"] and "extra_args" in parameters


def own_function(function: Callable[..., Any], options: dict[str, Any], target: str) -> ExternalSampler:
    """A function of the user's own with that interface, as ComfyUI calls it; options as keywords.

    Raises InputError on an unknown option.
    """
    return _external(function, options, target, "ve", None, None)


@contextmanager
def importable(path: str | None) -> Iterator[None]:
    """Context in which code can import what is in a folder; of a checkout of ComfyUI its samplers, with stand-ins for
    what runs models and for its nodes.

    Raises InputError on code that imports ComfyUI, where no folder is given.
    """
    if path is None:
        try:
            yield
        except ModuleNotFoundError as fault:
            if str(fault.name).partition(".")[0] != "comfy":
                raise
            raise InputError("target", "import comfy", f"a file that imports it, with --path DIR, {SOURCE}") from None
        return
    with first_in_path(Path(path)):
        try:
            folder = SAMPLING.folder(path)
        except InputError:  # of another library
            yield
            return
        with _package(folder / "comfy"), standing_in({name: MagicMock(name=name) for name in NODES}):
            yield


def _external(
    function: Callable[..., Any],
    options: dict[str, Any],
    target: str,
    process: str,
    reference: str | None,
    order: int | None,
) -> ExternalSampler:
    """A function with the interface of ComfyUI.  reference: on alpha = 1."""
    check_options(target, options, _defaults(function))
    parameters, namespace = inspect.signature(function).parameters, inspect.unwrap(function).__globals__
    tree = _draws_path(function, namespace)

    def on(process: str) -> ExternalSampler:
        def solve(denoise: Denoise, x: Tensor, sigmas: Tensor, draw: Draw) -> Tensor:
            def noise(sigma: Any, sigma_next: Any) -> Tensor:
                return draw(x, (float(sigma), float(sigma_next)) if tree else None)

            given: dict[str, Any] = {"extra_args": {}, "disable": True, "noise_sampler": noise}
            given = {key: value for key, value in given.items() if key in parameters}
            model = _Model(denoise, _sampling(process, sigmas))
            with drawing_from(draw, x):
                sample: Tensor = function(model, x, sigmas, **given, **options)
            return sample

        solver: Solver = solve
        own = reference if process == "ve" else None
        made = external(target, solver, namespace, reference=own, order=order, process=process)
        return replace(made, in_process=_in_process) if process == "ve" else made

    def _in_process(process: str, prediction: str) -> ExternalSampler:
        if process not in ("ve", "flow") or prediction != "data":
            raise InputError("process", f"{process}, prediction {prediction}", "ve or flow, and data: ComfyUI's models")
        return on(process)

    return on(process)


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """The options of a function, with their default values."""
    parameters = inspect.signature(function).parameters.items()
    return {key: p.default for key, p in parameters if key not in (*GIVEN, "noise", *SEEDS)}


class _Model:
    """The model as ComfyUI passes it to a sampler: called with levels, one of every element of the batch."""

    def __init__(self, denoise: Denoise, sampling: Any) -> None:
        self.denoise = denoise
        base = SimpleNamespace(model_sampling=sampling)
        patcher = SimpleNamespace(model=base, get_model_object=lambda name: getattr(base, name))
        self.inner_model = SimpleNamespace(inner_model=base, model_patcher=patcher, model_sampling=sampling)
        self.model_patcher = patcher

    def __call__(self, x: Tensor, sigma: Any, **extra: Any) -> Tensor:
        hooks = extra.get("model_options", {}).get("sampler_post_cfg_function", [])
        if not hooks:
            return self.denoise(x, sigma)
        found, without = self.denoise(x, sigma, GUIDED), self.denoise(x, sigma, UNCONDITIONAL)
        with_ = without + (found - without) / SCALE
        for after in hooks:
            both = {"cond_denoised": with_, "uncond_denoised": without, "cond_scale": SCALE, "model_options": {}}
            found = after({"denoised": found, "input": x, "sigma": sigma, "model": self, **both})
        return found


def _module(library: Library, path: str | None) -> ModuleType:
    """The module with its samplers."""
    folder = library.folder(path)
    with _package(folder / "comfy"):
        return library.module(str(folder), {"torchsde": None, "PIL": None})


def _sampling(process: str, sigmas: Tensor) -> Any:
    """Its description of a process, of the classes that samplers test for."""
    found = type("Sampling", (FLOW if process == "flow" else NOISE,), {})()
    found.sigma_max, found.sigma_min = sigmas[0], sigmas[-1]
    found.percent_to_sigma = lambda percent: (
        float(sigmas[0]) * (1 - percent)
        if process == "flow"
        else (float(sigmas[min(int(percent * len(sigmas)), len(sigmas) - 1)]))
    )
    found.noise_scaling = lambda sigma, noise, x, max_denoise=False: (
        noise * sigma + x * (at_sigma(process, float(sigma)).alpha if process == "flow" else 1.0)
    )
    return found


@contextmanager
def _package(folder: Path) -> Iterator[None]:
    """Context in which `comfy` has its samplers only: the rest of the package, which runs models, is not imported."""
    package = _standing("comfy")
    package.__path__ = [str(folder)]
    names = {
        "comfy": package,
        "comfy.model_sampling": _standing("comfy.model_sampling", EPS=NOISE, CONST=FLOW),
        "comfy.model_patcher": _standing("comfy.model_patcher", set_model_options_post_cfg_function=_after),
        "comfy.utils": _standing("comfy.utils", model_trange=_range),
        "comfy.memory_management": _standing("comfy.memory_management"),
    }
    before = {key: sys.modules.pop(key) for key in list(sys.modules) if key.partition(".")[0] == "comfy"}
    sys.modules.update(names)
    for key, value in names.items():
        if "." in key:
            setattr(package, key.partition(".")[2], value)
    try:
        yield
    finally:
        for key in [key for key in sys.modules if key.partition(".")[0] == "comfy"]:
            del sys.modules[key]
        sys.modules.update(before)


def _standing(name: str, **members: Any) -> ModuleType:
    """A module with these members."""
    module = ModuleType(name)
    vars(module).update(members)
    return module


def _range(*numbers: int, **_: Any) -> range:
    """A progress bar that shows nothing."""
    return range(*numbers)


def _after(options: dict[str, Any], function: Callable[..., Tensor], **_: Any) -> dict[str, Any]:
    """The options of a model with a function that is called on its output, as ComfyUI keeps them."""
    return {**options, "sampler_post_cfg_function": [*options.get("sampler_post_cfg_function", []), function]}


def _draws_path(function: Any, namespace: dict[str, Any], depth: int = 2) -> bool:
    """Whether a function, or one that it calls, draws by a Brownian path over sigma rather than afresh."""
    code: CodeType = inspect.unwrap(function).__code__
    if "BrownianTreeNoiseSampler" in code.co_names:
        return True
    called = [namespace.get(name) for name in code.co_names if name.startswith("sample_")]
    return depth > 0 and any(_draws_path(f, namespace, depth - 1) for f in called if isinstance(f, FunctionType))


def _reference(menu: str, called: str, values: dict[str, Any]) -> str | None:
    """The record of that name at these values of the options; None if the catalogue has none."""
    if values.get("s_noise", 1) != 1:
        return None
    base, menu = called.removesuffix("_gpu"), menu.removesuffix("_gpu")
    if menu in BY_DEFAULT:
        name, settings = BY_DEFAULT[menu]
        return record(name) if all(values.get(key) == value for key, value in settings.items()) else None
    if menu == "ipndm" and values["max_order"] != 4:
        return record(f"ipndm-{values['max_order']}")
    base = base.removesuffix("_cfg_pp").removesuffix("_heun") if base != "sample_heun" else base
    return reference_of(base, values) or (record(f"comfyui:{menu}") if "eta" not in values else None)
