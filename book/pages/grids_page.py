"""The page of all kinds of grid: formula, parameters, source and names in the libraries, from their records."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...names.lookup import Domain
from ...numerics.grid_kinds.all_kinds import KINDS, parameter_names
from ...numerics.grid_kinds.discrete_kinds import DISCRETE_KINDS
from ...numerics.grid_kinds.elbo_kind import ELBO_KINDS
from ...numerics.grid_kinds.flow_kinds import FLOW_KINDS
from ...numerics.grid_kinds.given_kinds import LIST
from ...numerics.grid_kinds.grid_kind import GridKind
from ...numerics.grid_kinds.model_levels import PARAMETERS
from ...numerics.grid_kinds.published_kinds import PUBLISHED_KINDS
from ...numerics.grid_kinds.sigma_kinds import SIGMA_KINDS
from ...numerics.grid_kinds.smooth_kinds import SMOOTH_KINDS
from ..markup import code, plain, table
from .myst import display

FILE = "grids.md"
GROUPS = {
    "Times and noise levels by a formula": (*SMOOTH_KINDS, *SIGMA_KINDS, *ELBO_KINDS),
    "Levels of the linear flow": FLOW_KINDS,
    "Levels of a discrete model": DISCRETE_KINDS,
    "Published levels": PUBLISHED_KINDS,
    "Levels of your own": (LIST,),
}
TOP = r"""# All grids

A grid of N steps has N + 1 levels, numbered here from the noisy end, $n = 0, \dots, N$. `samplerproof grids` lists the
kinds, and `samplerproof grids 'karras?rho=7' --steps 10` prints the levels of one; a study names a kind in its table
`[grid]`, and `sp.grid` takes the same names and parameters. With `zero` = 1 the last step leads to $\sigma = 0$: a
formula then gives the first N levels, with N - 1 in place of N, and a published list ends at 0 in place of its last
level.

Where a formula has $\sigma$ alone, it is $\sigma$ on the schedule `flow` and $\sigma/\alpha$ on every other, as in the
libraries. A level that a schedule does not have is refused. A name of a library stands for the kind with the parameters
that the library uses; the tests compare the levels with diffusers, k-diffusion and kept numbers of ComfyUI, in float64
to twelve digits.

A grid may also be read back from the library itself: `scheduler:diffusers:Class?option=value` and
`scheduler:k-diffusion:get_sigmas_karras?parameter=value` are kinds as well, and so is a function `(n, ...)` or, as
ComfyUI has it, `(model_sampling, steps, ...)`: `scheduler:FILE.py:function`, or in Python the function itself.

Levels that are not what they should be are reported as findings, each with the level, what it is and what it should be:
levels that are there twice or rise, a first one that is not the noisiest of the model or depends on N, levels outside
of the model's, levels rounded to a low precision, a shift that is applied twice."""
MODEL = r"""The levels of a model, $\sigma(k)$ for $k = 0, \dots, T - 1$ from clean to noisy, follow from its betas:
$\bar\alpha_k = \prod_{j \le k} (1 - \beta_j)$ and $\sigma(k) = \sqrt{(1 - \bar\alpha_k)/\bar\alpha_k}$. `betas` is
`scaled-linear` (the roots equally spaced), `linear`, `squaredcos` ({cite:t}`nichol2021improved`) or `flow`, where
$\sigma(k)$ is $(k + 1)/T$, shifted. With `zero_snr` = 1 they are rescaled so that the last has next to no signal
({cite:t}`lin2024zerosnr`); $\bar\alpha$ of it is $2^{-24}$, as in diffusers. All kinds below take the parameters"""


def grids_page() -> dict[str, str]:
    """The page as {file: text}.  ValueError if GROUPS are not all kinds, each once."""
    if [kind.name for kinds in GROUPS.values() for kind in kinds] != list(KINDS):
        raise ValueError("GROUPS: not all kinds in their order")
    parts = [TOP]
    for title, kinds in GROUPS.items():
        parts.append(f"## {title}")
        if kinds is DISCRETE_KINDS:
            parts += [MODEL, _parameters(PARAMETERS, ())]
        for kind in kinds:
            parts += _entry(kind)
    return {FILE: "\n\n".join(parts) + "\n"}


def _entry(kind: GridKind) -> Iterator[str]:
    """A kind: its formula, its own parameters, where it comes from, and its names."""
    yield f"(grid-{kind.name})=\n### `{kind.name}`"
    yield kind.summary
    yield display(kind.formula)
    own = tuple(p for p in kind.parameters if kind not in DISCRETE_KINDS or p not in PARAMETERS)
    if own:
        yield _parameters(own, kind.required)
    elif parameter_names(kind.name):
        yield f"Takes {' or '.join(f'`{name}`' for name in parameter_names(kind.name))}."
    source = [f"{{cite:t}}`{kind.cite}`"] if kind.cite else []
    source += [f"read in {plain(kind.source)}"] if kind.source else []
    if source:
        yield f"Source: {'; '.join(source)}."
    if kind.aliases:
        yield "Also known as " + ", ".join(_alias(alias, values) for alias, values in kind.aliases) + "."


def _alias(name: str, values: tuple[tuple[str, object], ...]) -> str:
    stands_for = ", ".join(f"`{key}` = {value}" for key, value in values)
    return f"{code(name)} (with {stands_for})" if stands_for else code(name)


def _parameters(domains: tuple[Domain, ...], required: tuple[str, ...]) -> str:
    rows = [(f"`{p.name}`", "needed" if p.name in required else _default(p), _allowed(p)) for p in domains]
    return table(("parameter", "default", "allowed"), rows)


def _default(domain: Domain) -> str:
    return f"`{domain.written(domain.default)}`" if domain.words else f"{float(domain.default):g}"


def _allowed(domain: Domain) -> str:
    if domain.words:
        return ", ".join(f"`{word}`" for word in domain.words)
    if domain.low == -math.inf:
        return "a time of the schedule"
    if domain.high == math.inf:
        return "a number > 0"
    kind = "a whole number" if domain.whole else "a number"
    return f"{kind} from {float(domain.low):g} to {float(domain.high):g}" + ("" if domain.closed else ", both excluded")
