"""RES4LYF's samplers: sample_rk_beta of beta/rk_sampler_beta.py, with the Runge-Kutta or multistep rule of a name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import torch
from torch import Tensor

from ....errors import InputError, nearest, one_line
from ....external_run import Draw
from ..callables import Denoise, check_options
from ..external_sampler import ExternalSampler
from ..target import typed
from .found import Library
from .of_solver import external, record

LIBRARY = Library("res4lyf", "beta/rk_sampler_beta.py", "a checkout of ClownsharkBatwing/RES4LYF")
PACKAGE = "RES4LYF"  # its folder may have another name
OPTIONS = {
    "c2": 0.5,
    "c3": 1.0,
    "noise_anchor": 1.0,
    "implicit_steps_full": 0,
    "implicit_steps_diag": 0,
    "BONGMATH": False,
    "extra_options": "",
}
# What is not left to its own defaults. Its noise is divided by its own deviation: with it nothing is linear.
SET = {"eta": 0.0, "eta_substep": 0.0, "BONGMATH": False}
NOT_NEEDED = (
    *("comfy.k_diffusion", "comfy.k_diffusion.sampling", "comfy.model_patcher", "comfy.nested_tensor"),
    *("comfy.samplers", "comfy.supported_models", "comfy.utils", "einops", "opensimplex", "pywt"),
)
KNOWN = {"ddim": "ddim", "euler": "ddim", "dpmpp_2s": "dpm-solver++-2s", "heun_2s": "edm-heun"}  # records of its names
ORDERS = {  # of the methods of these names in the literature; the number before the s is one of stages
    **dict.fromkeys(("midpoint_2s", "ralston_2s", "res_2s", "etdrk2_2s", "lawson2a_2s", "lawson2b_2s"), 2),
    **dict.fromkeys(("heun_3s", "ralston_3s", "kutta_3s", "houwen-wray_3s", "ssprk3_3s", "bogacki-shampine_4s"), 3),
    **dict.fromkeys(("res_3s", "etdrk3_a_3s", "etdrk3_b_3s"), 3),
    **dict.fromkeys(("rk4_4s", "rk38_4s", "etdrk4_4s", "lawson4_4s"), 4),
    **dict.fromkeys(("res_4s_krogstad", "res_4s_cox_matthews", "res_5s_hochbruck-ostermann"), 4),
    **dict.fromkeys(("rk5_7s", "dormand-prince_6s", "bogacki-shampine_7s", "tsi_7s"), 5),
    **{f"{kind}_{order}m": order for kind in ("abnorsett", "deis", "res") for order in (2, 3, 4)},
    "dpmpp_2m": 2,
}


def res4lyf(name: str, options: dict[str, Any], path: str | None = None) -> ExternalSampler:
    """The sampler of that name in its menu, such as res_2m, without noise; on alpha = 1.

    BONGMATH iterates the state of a step until it fits its stages; without noise it fits them from the start. A last
    step to 0 makes no evaluation, unless extra_options is enable_final_model_call: it repeats the output before it.

    Raises InputError: not found, no such sampler, an unknown option.
    """
    target = typed("res4lyf", name, options)
    with importable(path):
        try:
            sampling = import_module(f"{PACKAGE}.beta.rk_sampler_beta")
            rules = import_module(f"{PACKAGE}.beta.rk_coefficients_beta")
        except ImportError as fault:
            raise InputError("target", "res4lyf", f"{LIBRARY.file} with what it imports ({one_line(fault)})") from None
    names = [key for key in rules.RK_SAMPLER_NAMES_BETA_NO_FOLDERS if key != "none"]
    if name not in names:
        raise InputError("target", target, f"a sampler of its menu; {nearest(name, names)}")
    check_options(target, options, OPTIONS)
    rule = "implicit_sampler_name" if name in rules.IRK_SAMPLER_NAMES_BETA_NO_FOLDERS else "rk_type"
    settings = {**SET, **options, rule: name}
    lines = [str(settings.pop("extra_options", ""))]

    def solve(denoise: Denoise, x: Tensor, sigmas: Tensor, draw: Draw) -> Tensor:
        def model(state: Tensor, sigma: Tensor, **_: Any) -> Tensor:
            return denoise(state, sigma)

        positive, process = sigmas[sigmas > 0], EPS()
        vars(process).update(sigma_max=positive[0], sigma_min=positive[-1])
        inner = SimpleNamespace(model_sampling=process, device=x.device, diffusion_model=SimpleNamespace())
        vars(model).update(inner_model=SimpleNamespace(inner_model=inner))
        given: dict[str, Any] = {"model_options": {"transformer_options": {}}}
        precise = ["work_dtype=float64"] if x.dtype == torch.float64 else []  # its own option; by default float32
        extra = "\n".join([*lines, *precise])
        sample: Tensor = sampling.sample_rk_beta(
            model, x, sigmas, extra_args=given, disable=True, extra_options=extra, **settings
        )
        return sample.to(x.dtype)

    claim = record(KNOWN.get(name, ""))
    return replace(external(target, solve, {}, reference=claim, order=ORDERS.get(name)), float64=nullcontext)


class EPS:
    """The model of noise on alpha = 1, for which it tests."""

    def calculate_denoised(self, sigma: Tensor, output: Tensor, state: Tensor) -> Tensor:
        """The data prediction of a noise prediction."""
        return state - sigma * output


class _Unused(ModuleType):
    """A module of names that no sampler needs."""

    __path__: list[str] = []  # noqa: RUF012

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock(name=name)


@contextmanager
def importable(path: str | None) -> Iterator[None]:
    """Context in which its samplers are modules of RES4LYF, and ComfyUI, its settings and its tools for pictures
    stand-ins.

    Raises InputError as LIBRARY.folder does.
    """
    folder = LIBRARY.folder(path)
    described = _Unused("comfy.model_sampling")
    vars(described).update(EPS=EPS, CONST=type("CONST", (), {}))
    comfy = _Unused("comfy")
    comfy.model_sampling = described  # type: ignore[attr-defined]
    names: dict[str, ModuleType] = {"comfy": comfy, "comfy.model_sampling": described}
    names |= {name: _Unused(name) for name in NOT_NEEDED}
    for name, inside in (("", "."), (".beta", "beta")):
        package = ModuleType(PACKAGE + name)
        package.__path__ = [str(folder / inside)]
        names[PACKAGE + name] = package
    log = ModuleType(f"{PACKAGE}.res4lyf")
    vars(log).update(RESplain=_ignored, is_debug_logging_enabled=_ignored, get_display_sampler_category=_ignored)
    names[log.__name__] = log
    names |= {f"{PACKAGE}.{name}": _Unused(name) for name in ("sigmas", "style_transfer")}
    held = {key: sys.modules.pop(key) for key in list(sys.modules) if key.partition(".")[0] in ("comfy", PACKAGE)}
    held |= {key: sys.modules[key] for key in names if key in sys.modules}
    sys.modules.update(names)
    try:
        yield
    finally:
        for key in [key for key in sys.modules if key in names or key.partition(".")[0] == "comfy"]:
            del sys.modules[key]
        sys.modules.update(held)


def _ignored(*_: Any, **__: Any) -> None:
    """A line of its log, which is not shown."""
