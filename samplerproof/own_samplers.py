"""Samplers of your own: read back as a table, and verified."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .numerics.conformance.report import Verdict
from .numerics.errors import InputError, of_type

if TYPE_CHECKING:
    from .numerics.grids import Grid
    from .numerics.tableau import Tableau


def read_back(sampler: Any, grid: Grid) -> Tableau:
    """The table of a sampler of your own on a grid: every vector as v_i = c v_b + sum_j w_j d_j + sum_l n_l z_l.

    sampler(denoise, x, sigmas) -> the sample, shaped like x; denoise(x, sigma) -> the data prediction at
    x = x0 + sigma eps. A fourth parameter without default, or one of the name `noise`, is passed noise(x) -> standard
    normal noise shaped like x. The sampler runs on basis vectors in float64, on the levels sigma/alpha of the grid, and
    its states are then scaled by alpha. The table holds the coefficients that the code applies, to rounding:
    `read_back(f, grid).isclose(tabulate(name, grid))` compares them with a method of the catalogue whose table is in
    the data prediction too; `verify` compares with all methods, in any prediction.
    Instead of a function: a scheduler of diffusers, class or instance, whose levels are set to those of the grid, or an
    `sp.Adapter`, which both run in their own process.
    Raises InputError on other parameters and objects, on a function where the grid starts at alpha = 0, on a scheduler
    that does not take the levels, and on a sampler that raises or is not linear in its start, outputs and noises, and
    therefore has no table.

    >>> import samplerproof as sp
    >>> def euler(denoise, x, sigmas):
    ...     for s, t in zip(sigmas, sigmas[1:]):
    ...         x = x + (t - s) / s * (x - denoise(x, s))
    ...     return x
    >>> grid = sp.Grid.from_sigmas([10.0, 3.0, 1.0, 0.3, 0.1])
    >>> table = sp.read_back(euler, grid)
    >>> table.isclose(sp.tabulate("ddim", grid))
    True
    """
    from .numerics.conformance.adapters.objects import name_of
    from .numerics.grids import Grid
    from .numerics.studies.read_function import read_on

    of_type("grid", grid, Grid, "a grid, as sp.grid or sp.Grid.from_sigmas makes it")
    return read_on(grid, name_of(sampler), sampler, "sampler")


def verify(
    target: Any,
    against: str | None = None,
    steps: int | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    zero: bool = True,
    timeout: float = 60.0,
    process: str | None = None,
    prediction: str | None = None,
    grid: object = None,
    begin: int = 0,
    path: str | None = None,
) -> Verdict:
    """Which method of the catalogue a sampler is, row by row, and of which order.

        target   a string as `samplerproof verify` takes it, such as "diffusers:DDIMScheduler?clip_sample=false",
                 "k-diffusion:sample_lms", "my_file.py:name" or "package.module:name", which runs in a process of its
                 own; or an object, which runs in this process: a function (denoise, x, sigmas) -> x as in
                 `read_back`, a scheduler of diffusers or one derived from it, class or instance, an `sp.Adapter`
        against  the method that it should be; None: the one of its name, or any
        steps    of the run that is judged; None: 20, or as many as the levels that are given
        options  of a function or class, by name
        zero     whether a function is also run on levels that end at 0, where it must be finite
        timeout  seconds, for a string
        process  of a function that is written in the coordinates of "vp" (alpha^2 + sigma^2 = 1) or "flow"
                 (alpha = 1 - sigma): x = alpha x0 + sigma eps, and sigmas and the level of the model are sigma; "ve":
                 alpha = 1. None: alpha = 1, and where that is not a record, the same on vp and flow
        prediction  what the model of the function returns: "data", "noise", "velocity", "v" or "score"; None: data
        grid     "KIND?parameter=value&…" as `samplerproof grids` lists them, or levels: a list or the path of a file
        begin    the index of the level at which the run begins, as from a noised image
        path     the folder with the library of a string, such as a checkout of ComfyUI for "comfyui:dpmpp_2m"

    The verdict has `verdict` ("identical", "roundoff", "different-formula", "non-finite", "not-linear" or "error"),
    `matches`, `observed_order`, `findings` and `exit_code` (0: it conforms); `print` shows the findings.
    Raises InputError on a target, method, number of steps or time limit that is not valid.

    >>> import samplerproof as sp
    >>> def euler(denoise, x, sigmas):
    ...     for s, t in zip(sigmas, sigmas[1:]):
    ...         x = x + (t - s) / s * (x - denoise(x, s))
    ...     return x
    >>> verdict = sp.verify(euler, steps=10)
    >>> verdict.verdict, verdict.matches[0], verdict.exit_code
    ('roundoff', 'ddim', 0)
    """
    from .numerics.conformance.placement import placement

    where = placement(process, prediction, grid, begin)
    steps = (where.steps or 20) if steps is None else steps
    if isinstance(target, str):
        if options:
            raise InputError("options", dict(options), "none beside a string, which has them behind its `?`")
        from .numerics.conformance.verify import verify as verify_in_a_process

        return verify_in_a_process(target, against, steps, timeout, zero=zero, where=where, path=path)
    if path is not None:
        raise InputError("path", path, "nothing beside an object, which is loaded already")
    from .numerics.testing import verdict_here

    return verdict_here(target, against, steps, options, zero, where)
