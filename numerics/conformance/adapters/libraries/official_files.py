"""Official files of papers' authors: DPM-Solver's dpm_solver_pytorch.py, UniPC's uni_pc.py, EDM's generate.py."""

from __future__ import annotations

import contextlib
import inspect
import io
import math
from typing import Any

import torch
from torch import Tensor

from ....errors import InputError
from ....external_run import Draw
from ..callables import Denoise, check_options
from ..external_sampler import ExternalSampler
from ..own_draws import drawing_from
from ..process_levels import karras
from ..target import typed
from .found import Library
from .of_solver import ENDING_AT_ZERO, ON_VP, external, on_vp, one_level, own_on_vp, record, with_zero

DPM_SOLVER = Library("dpm-solver", "dpm_solver_pytorch.py", "a checkout of LuChengTHU/dpm-solver")
UNIPC = Library("unipc", "uni_pc.py", "a checkout of wl-zhao/UniPC")
EDM = Library("edm", "generate.py", "a checkout of NVlabs/edm")
NOT_NEEDED = ("click", "tqdm", "PIL", "PIL.Image", "dnnlib", "torch_utils", "torch_utils.distributed")
RUN = {"order": 2, "method": "multistep", "lower_order_final": True}  # options of `sample`, with its defaults
METHODS = ("multistep", "singlestep", "singlestep_fixed")


class Ratios:
    """A noise schedule whose time is sigma / alpha, of a variance-preserving process, as both files ask for one."""

    schedule, total_N, T = "continuous", 1000, math.inf

    def marginal_log_mean_coeff(self, t: Tensor) -> Tensor:
        return -torch.log1p(t**2) / 2

    def marginal_alpha(self, t: Tensor) -> Tensor:
        return 1 / torch.sqrt(1 + t**2)

    def marginal_std(self, t: Tensor) -> Tensor:
        return t / torch.sqrt(1 + t**2)

    def marginal_lambda(self, t: Tensor) -> Tensor:
        return -torch.log(t)

    def inverse_lambda(self, lamb: Tensor) -> Tensor:
        return torch.exp(-lamb)


def dpm_solver(name: str, options: dict[str, Any], path: str | None = None) -> ExternalSampler:
    """DPM_Solver, with options of its constructor (algorithm_type) and of `sample` (order, method, solver_type, …)."""
    return _of_lu("dpm-solver", DPM_SOLVER, name, "DPM_Solver", {"algorithm_type": "dpmsolver++"}, options, path)


def unipc(name: str, options: dict[str, Any], path: str | None = None) -> ExternalSampler:
    """UniPC, with options of its constructor (algorithm_type, variant) and of `sample` (order, …)."""
    settings = {"algorithm_type": "data_prediction", "variant": "bh2"}
    return _of_lu("unipc", UNIPC, name, "UniPC", settings, options, path)


def _of_lu(
    prefix: str,
    library: Library,
    name: str,
    known: str,
    settings: dict[str, Any],
    options: dict[str, Any],
    path: str | None,
) -> ExternalSampler:
    """A solver object with `sample`; UniPC's file is made after DPM-Solver's.  settings: of its constructor."""
    module, target = library.module(path), typed(prefix, name, options)
    cls = library.member(module, name, [known])
    taken = inspect.signature(cls.sample).parameters
    run = {key: value for key, value in {**RUN, "solver_type": "dpmsolver"}.items() if key in taken}
    check_options(target, options, {**settings, **run})
    values = {**settings, **run, **options}
    order, method = int(values["order"]), values["method"]
    if method not in METHODS[: 3 if prefix == "dpm-solver" else 1]:
        raise InputError("target", target, f"method is one of {', '.join(METHODS)}, the second and third of DPM-Solver")

    def solve(denoise: Denoise, x: Tensor, sigmas: Tensor, draw: Draw) -> Tensor:
        def noise(state: Tensor, t: Tensor) -> Tensor:
            return denoise(state, one_level(t))

        solver = cls(noise, Ratios(), **{key: values[key] for key in settings})
        steps, within = len(sigmas) - 1, solver.get_time_steps

        def times(skip_type: str, t_T: float, t_0: float, N: int, device: Any) -> Tensor:
            whole = steps == N and t_T == float(sigmas[0]) and t_0 == float(sigmas[-1])
            found: Tensor = sigmas if whole else within(skip_type, t_T, t_0, N, device)
            return found  # the given ones; those of the stages inside a step are its own

        solver.get_time_steps = times
        evaluations = steps if method == "multistep" else order * steps
        if method == "singlestep" and order == 3:
            evaluations -= 3  # its last two steps have two stages and one
        arguments = {key: values[key] for key in run}
        ends = {"t_start": float(sigmas[0]), "t_end": float(sigmas[-1])}
        with contextlib.redirect_stdout(io.StringIO()):  # UniPC prints at its last step
            sample: Tensor = solver.sample(x, steps=evaluations, skip_type="logSNR", **ends, **arguments)
        return sample

    return external(
        target,
        on_vp(solve),
        vars(module),
        prediction="noise",
        reference=_claim(prefix, order, values),
        order=order,
        own=own_on_vp,
        others=ON_VP,
    )


def _claim(prefix: str, order: int, values: dict[str, Any]) -> str | None:
    """The record of an algorithm, order and method."""
    if prefix == "unipc":
        suffix = {"bh1": "-bh1", "bh2": ""}.get(values["variant"])
        plain = suffix is not None and values["algorithm_type"] == "data_prediction"
        return record(f"unipc-{order}{suffix}") if plain else None
    if order == 1:
        return "ddim"
    plus = "++" if values["algorithm_type"] == "dpmsolver++" else ""
    taylor = values["solver_type"] == "taylor"
    if values["method"] != "multistep":
        return record(f"dpm-solver{plus}-{order}s{'-taylor' if taylor else ''}")
    if order == 3:
        return record(f"dpm-solver{plus}-3m-published")
    if taylor:
        return record("exp-adams-2" if plus else "exp-adams-noise-2")
    return record("dpm-solver++-2m" if plus else "dpm-solver-2m")


def edm(name: str, options: dict[str, Any], path: str | None = None) -> ExternalSampler:
    """edm_sampler, with options S_churn, S_min, S_max, S_noise; its levels always end with an appended 0."""
    module, target = EDM.module(path, dict.fromkeys(NOT_NEEDED)), typed("edm", name, options)
    function = EDM.member(module, name, ["edm_sampler"])
    parameters = inspect.signature(function).parameters
    defaults = {key: p.default for key, p in parameters.items() if key.startswith("S_")}
    check_options(target, options, defaults)

    def solve(denoise: Denoise, x: Tensor, sigmas: Tensor, draw: Draw) -> Tensor:
        if float(sigmas[-1]) != 0:
            raise InputError("grid", target, "levels that end at 0: it appends one itself")
        steps = len(sigmas) - 1

        def level(sigma: Any) -> Any:  # called with all its levels first
            found = torch.as_tensor(sigma)
            return sigmas[:-1].to(found) if found.ndim else found

        def net(state: Tensor, sigma: Any, labels: Any = None) -> Tensor:
            return denoise(state.to(x.dtype), sigma)

        vars(net).update(sigma_min=0.0, sigma_max=math.inf, round_sigma=level)
        with drawing_from(draw, x):
            sample: Tensor = function(net, x / sigmas[0], num_steps=steps, randn_like=torch.randn_like, **options)
        return sample.to(x.dtype)

    values = {**defaults, **options}
    plain = values["S_noise"] == 1 and values["S_min"] == 0 and values["S_max"] == math.inf
    churn = values["S_churn"]
    claim = record(f"edm-churn?churn={churn}" if churn else "edm-heun") if plain else None
    return external(
        target,
        solve,
        vars(module),
        reference=claim,
        order=2,
        own=lambda steps: with_zero(steps, karras),
        others=ENDING_AT_ZERO,
    )
