"""Which record the options of a scheduler of diffusers claim, and which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Options = Mapping[str, Any]
Claim = tuple[str | None, int | None]  # the record, and the order in the options


def always(name: str | None, order: int | None = None) -> Callable[[Options], Claim]:
    """One record for all options."""
    return lambda options: (name, order)


MULTISTEP = {
    ("dpmsolver++", 1): "ddim",
    ("dpmsolver++", 2, "midpoint"): "dpm-solver++-2m",
    ("dpmsolver++", 2, "heun"): "exp-adams-2",
    ("dpmsolver++", 3): "dpm-solver++-3m-published",
    ("dpmsolver", 1): "ddim",
    ("dpmsolver", 2, "midpoint"): "dpm-solver-2m",
    ("dpmsolver", 2, "heun"): "exp-adams-noise-2",
    ("dpmsolver", 3): "dpm-solver-3m-published",
    ("sde-dpmsolver++", 1): "ddpm",
    ("sde-dpmsolver++", 2, "midpoint"): "sde-dpm-solver++-2m",
    ("sde-dpmsolver++", 2, "heun"): "sa-solver-2",
    ("sde-dpmsolver++", 3): "sde-dpm-solver++-3m-published",
    ("sde-dpmsolver", 1): "sde-dpm-solver-1",
    ("sde-dpmsolver", 2, "midpoint"): "sde-dpm-solver-2m",
}
SINGLESTEP = {
    ("dpmsolver++", 2, "midpoint"): "dpm-solver++-2s",
    ("dpmsolver++", 2, "heun"): "dpm-solver++-2s-taylor",
    ("dpmsolver++", 3, "midpoint"): "dpm-solver++-3s",
    ("dpmsolver++", 3, "heun"): "dpm-solver++-3s-taylor",
    ("dpmsolver", 2, "midpoint"): "dpm-solver-2s",
    ("dpmsolver", 2, "heun"): "dpm-solver-2s-taylor",
    ("dpmsolver", 3, "midpoint"): "dpm-solver-3s",
    ("dpmsolver", 3, "heun"): "dpm-solver-3s-taylor",
    ("sde-dpmsolver++", 2, "midpoint"): "sde-dpm-solver++-2s",
}


def from_table(table: Mapping[tuple[Any, ...], str]) -> Callable[[Options], Claim]:
    """The record of an algorithm, order and solver type."""

    def claim(options: Options) -> Claim:
        algorithm, order = options["algorithm_type"], options["solver_order"]
        name = table.get((algorithm, order, options["solver_type"])) or table.get((algorithm, order))
        return name or ("ddim" if order == 1 and not algorithm.startswith("sde") else None), order

    return claim


def unipc(options: Options) -> Claim:
    order, suffix = options["solver_order"], {"bh1": "-bh1", "bh2": ""}.get(options["solver_type"])
    if suffix is None or not options.get("predict_x0", True) or options.get("disable_corrector"):
        return None, order
    return f"unipc-{order}{suffix}", order


def deis(options: Options) -> Claim:
    order = options["solver_order"]
    return {1: "ddim", 2: "exp-adams-noise-2", 3: "exp-adams-noise-3"}.get(order), order


def adams(options: Options) -> Claim:
    """The mode few_steps in the code of SA-Solver's authors; corrector_order counts outputs, the new one included."""
    predictor, corrector = options["predictor_order"], options["corrector_order"]
    known = {(1, 2): "p1c1", (2, 2): "p2c1", (2, 3): "p2c2", (3, 3): "p3c2", (3, 4): "p3c3"}
    if options.get("algorithm_type") == "noise_prediction" or (predictor, corrector) not in known:
        return None, predictor
    return f"sa-solver-{known[predictor, corrector]}-few-steps", predictor


def eta_of(default: float) -> Callable[[Options], Claim]:
    """DDIM with noise of strength eta."""

    def claim(options: Options) -> Claim:
        eta = options.get("eta", default)
        return ("ddim", 1) if eta == 0 else (f"ddim-eta?eta={eta}", 1)

    return claim


def ddpm(options: Options) -> Claim:
    return {"fixed_small": "ddpm", "fixed_small_log": "ddpm", "fixed_large": "ddpm-large"}.get(
        options["variance_type"]
    ), 1


def adams_bashforth(options: Options) -> Claim:
    order = options.get("order", 4)
    return ("ddim" if order == 1 else f"deis-rhoab{order - 1}"), order


def flow_euler(options: Options) -> Claim:
    return ("consistency", None) if options.get("stochastic_sampling") else ("flow-euler", 1)


def pndm(options: Options) -> Claim:
    """A mixture of four outputs, of order 2; on equal steps it may look like 4, but its name advertises none."""
    return ("plms" if options["skip_prk_steps"] else "pndm"), 2
