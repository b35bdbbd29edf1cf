"""BDIA, EDICT, AIDI and DPM-Solver inversion."""

from __future__ import annotations

import torch

from ...numerics.errors import SamplingError
from ...numerics.grids import Grid, grid
from ...numerics.inversion.backward_steps import ends
from ...numerics.inversion.edict import edict
from ...numerics.inversion.invert import RoundTrip, invert, round_trip
from ...numerics.inversion.reversed_grid import reversed_grid
from ...numerics.metrics import nodes
from ...numerics.metrics import trajectory as distance
from ...numerics.sample import run_table, sample
from ...numerics.schedules import schedule
from ...numerics.tableau import tabulate
from ...numerics.targets.flow import exact_flow
from ...numerics.targets.mixture import GaussianMixture
from .on_the_line import M1, PLANE, POINTS, exact_starts, root_mean_square, trajectory, uniform_lambda, uniform_t
from .technique import Measured, Technique

SAMPLES = 200
SOLVED, SOLVED_SAMPLES = (10, 20, 40), 20  # steps and samples whose whole steps are solved
CELLS = ("error (predicted)", "evaluations a step")
SHARES = ("1", "9/10", "1/2")
EXACT_SCORES = "system: exact scores of mixtures in one and two dimensions"


def _start(at: Grid) -> torch.Tensor:
    return M1.sample(SAMPLES, at.points[0], torch.Generator().manual_seed(0))


def bdia_round_trip(steps: int, share: str) -> RoundTrip:
    """BDIA-DDIM on M1, uniform t, from exact start values, and back."""
    at = uniform_t(steps)
    table = tabulate(f"bdia-ddim?gamma={share}", at, "exact")
    return round_trip(M1, exact_starts(M1, table, _start(at)), table)


def edict_round_trip(steps: int, p: float) -> RoundTrip:
    """EDICT on M1, uniform t, both chains from one start, and back."""
    at = uniform_t(steps)
    return round_trip(M1, [_start(at)] * 2, edict(at, p))


def edict_errors(steps: int, p: float) -> tuple[float, float]:
    """Trajectory errors of both chains of EDICT on M1, uniform t."""
    at = uniform_t(steps)
    x, table = nodes((M1, at.points[0]), POINTS), edict(at, p)
    vector = run_table(M1, [x, x], table)
    flow, _ = exact_flow(M1, x, at.points[0], at.points[-1])
    u, v = (root_mean_square(M1, at, x, vector(i) - flow) for i in ends(table))
    return u, v


def heun_ratio(steps: int, share: str) -> float:
    """Error of BDIA-EDM over Heun's: M1, lambda uniform from sigma 20 to 0.05."""
    at = grid(schedule("edm"), "uniform-lambda", steps, t_min=0.05, t_max=20.0)
    ours, heun = (tabulate(name, at) for name in (f"bdia-edm?gamma={share}", "edm-heun"))
    return trajectory(ours, M1, at) / trajectory(heun, M1, at)


def measure_bdia() -> Measured:
    steps = (10, 20, 40, 60)
    errors, curves = {}, {}
    for share in SHARES:
        trips = [bdia_round_trip(n, share) for n in steps]
        errors[share] = [trip.error for trip in trips]
        curves[f"gamma = {share}"] = list(zip(steps, errors[share], strict=True))
        if share != "1":
            label = f"2.2e-16 gamma^-(N-1), {share}"
            curves[label] = list(zip(steps, [trip.roundoff for trip in trips], strict=True))
    ratios = {(n, share): heun_ratio(n, share) for n in (20, 80, 320) for share in ("1/2", "1")}
    rows = [(f"round trip, N = {n}", *(f"{errors[s][i]:.1e}" for s in SHARES)) for i, n in enumerate(steps)]
    rows += [
        (f"BDIA-EDM / Heun, N = {n}", f"{ratios[n, '1']:.4f}", "-", f"{ratios[n, '1/2']:.4f}") for n in (20, 80, 320)
    ]
    return Measured(
        number=ratios[320, "1/2"],
        head=("on M1", *(f"gamma = {share}" for share in SHARES)),
        rows=tuple(rows),
        curves=curves,
        x="steps N",
        y="largest error of a round trip",
        dashed=tuple(label for label in curves if "e-16" in label),
    )


def measure_edict() -> Measured:
    errors = {n: edict_errors(n, 0.93) for n in (10, 20, 160, 640)}
    ddim = {n: trajectory(tabulate("ddim", uniform_t(n)), M1, uniform_t(n)) for n in errors}
    trips = {}
    for p in (0.93, 0.7):
        trips[p] = [edict_round_trip(n, p) for n in (10, 20, 40, 100)]
    curves = {f"p = {p}": [(n, t.error) for n, t in zip((10, 20, 40, 100), trips[p], strict=True)] for p in trips}
    bound = [(n, t.roundoff) for n, t in zip((10, 20, 40, 100), trips[0.7], strict=True)]
    return Measured(
        number=errors[640][0] / ddim[640],
        head=("N", "EDICT, first chain, p = 0.93", "second chain", "DDIM"),
        rows=tuple((str(n), f"{u:.2e}", f"{v:.2e}", f"{ddim[n]:.2e}") for n, (u, v) in errors.items()),
        curves={**curves, "2.2e-16 p^-2N, p = 0.7": bound},
        x="steps N",
        y="largest error of a round trip",
        dashed=("2.2e-16 p^-2N, p = 0.7",),
    )


def solver_evaluations(mixture: GaussianMixture, at: Grid, solver: str) -> int | None:
    """The most evaluations for a step of DDIM's inverse, to 1e-13; None where 200 are not enough."""
    start = mixture.sample(SAMPLES, at.points[0], torch.Generator().manual_seed(0))
    table = tabulate("ddim", at)
    x0 = sample(mixture, start, table)
    try:
        return max(invert(mixture, x0, table, solver=solver).iterations)
    except SamplingError:
        return None


def measure_aidi() -> Measured:
    rows, worst = [], 0
    curves: dict[str, list[tuple[float, float]]] = {"anderson": [], "average": [], "plain": []}
    for name, mixture in (("M1", M1), ("plane", PLANE)):
        for kind, make in (("uniform t", uniform_t), ("uniform lambda", uniform_lambda)):
            for n in (5, 10, 20, 50):
                found = {solver: solver_evaluations(mixture, make(n), solver) for solver in curves}
                worst = max(worst, found["anderson"] or 10**6)
                rows.append((name, kind, str(n), *(str(found[s] or "not in 200") for s in curves)))
                if (name, kind) == ("M1", "uniform lambda"):
                    for solver, count in found.items():
                        curves[solver] += [(n, count)] if count else []
    return Measured(
        number=float(worst),
        head=("target", "grid", "N", *curves),
        rows=tuple(rows),
        curves=curves,
        x="steps N",
        y="evaluations of the worst step, M1, uniform lambda",
    )


def latent_error(name: str, steps: int) -> float:
    """Root mean square of z' - z after a run from z on uniform lambda, and back on the reversed grid."""
    at = uniform_lambda(steps)
    z = M1.sample(400, at.points[0], torch.Generator().manual_seed(0))
    x0 = sample(M1, z, tabulate(name, at))
    return distance(sample(M1, x0, tabulate(name, reversed_grid(at))), z)


def solved_cells(steps: int) -> tuple[str, ...]:
    """Error of the latent, measured (predicted), and evaluations a step, of whole steps of 2M and of Heun's method."""
    at, cells = uniform_lambda(steps), []
    for name in ("dpm-solver++-2m", "edm-heun"):
        trip = round_trip(M1, _start(at)[:SOLVED_SAMPLES], tabulate(name, at))
        cells += [f"{trip.error:.1e} ({trip.roundoff:.1e})", f"{trip.inversion.evaluations / steps:.0f}"]
    return tuple(cells)


def measure_dpm_inversion() -> Measured:
    steps = (10, 20, 40, 80, 160)
    found = {name: [latent_error(name, n) for n in steps] for name in ("dpm-solver++-2m", "ddim")}
    two, one = found.values()
    rows = [(str(n), f"{a:.2e}", f"{b:.2e}") for n, a, b in zip(steps, two, one, strict=True)]
    solved = [solved_cells(n) if n in SOLVED else ("",) * 4 for n in steps]
    return Measured(
        number=one[1] / two[1],
        head=("N", "2M", "DDIM", *(f"{name} solved: {cell}" for name in ("2M", "Heun") for cell in CELLS)),
        rows=tuple((*row, *cells) for row, cells in zip(rows, solved, strict=True)),
        curves={name: list(zip(steps, values, strict=True)) for name, values in found.items()},
        x="steps N",
        y="error of the latent after a round trip",
    )


BDIA = Technique(
    name="bdia",
    system="BDIA (DDIM, Heun, EDM)",
    title="BDIA: exact diffusion inversion via bi-directional integration approximation",
    cite="zhang2024bdia",
    claimed="An update from two states that averages the forward and the backward integration approximation inverts "
    "exactly, with one evaluation a step as DDIM has, and gives better images than DDIM and EDM at the same number of "
    "steps.",
    verdict="inversion exact, rounding grows as gamma^-(N-1); better than DDIM in its constant; over Heun nothing is "
    "gained in the leading error, at 3 evaluations for 2",
    quantity="error of BDIA-EDM over Heun's, gamma = 1/2, 320 steps",
    within=(0.985, 1.005),
    covered=EXACT_SCORES,
    formula=r"""With the increment $\Delta(t_i \to t \mid z_i)$ of any base,

$$z_{i-1} = z_{i+1} - (1-\gamma)(z_{i+1} - z_i) - \gamma\,\Delta(t_i \to t_{i+1} \mid z_i)
+ \Delta(t_i \to t_{i-1} \mid z_i),$$

which is solved for $z_{i+1}$ as it stands where $\gamma > 0$. The last sample alone is not enough: two states are
carried, and code for editing makes the second by one step of DDIM inversion.""",
    provenance="the update for any increment and that of DDIM read in the README and the code of BDIA (in the README "
    "as it is now, gamma and 1 - gamma have changed places); Heun backwards for BDIA-EDM is our reading.",
    proved=("bdia-published", "bdia-error", "bdia-any-base", "bdia-edm-error", "table-inverse"),
    methods=("bdia-ddim", "bdia-edm"),
    measure=measure_bdia,
    known="The round trip from exact start values on M1, uniform t, is at rounding for gamma = 1, and follows 2.2e-16"
    " gamma^-(N-1) below: gamma = 1/2 loses all digits after 50 steps. Over DDIM the error is (1 - gamma)/(1 + "
    "gamma) times DDIM's; over Heun the ratio tends to 1. An advantage of BDIA-EDM on networks, as the paper "
    "reports in FID, is therefore not one of order or of the leading constant with exact scores: it would come "
    "from few steps or from the network.",
    unknown="FID on networks; the released code of BDIA-EDM was not found, so that its backward increment may differ.",
    code="""
import torch, samplerproof as sp
mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
grid = sp.grid(sp.schedule("vp-linear"), "uniform-t", 40, t_min=1e-3, t_max=1.0)
table = sp.tabulate("bdia-ddim?gamma=9/10", grid, start="exact")
first = mixture.sample(100, grid.points[0], torch.Generator().manual_seed(0))
second, _ = sp.exact_flow(mixture, first, grid.points[0], grid.points[1])
trip = sp.techniques.round_trip(mixture, [first, second], table)
print(trip.error, trip.roundoff, trip.inversion.amplification)
""",
)

EDICT = Technique(
    name="edict",
    system="EDICT",
    title="EDICT: exact diffusion inversion via coupled transformations",
    cite="wallace2023edict",
    claimed="Two coupled noise vectors that invert each other in an alternating fashion give mathematically exact "
    "inversion, where DDIM inversion drifts.",
    verdict="inversion exact; as a sampler DDIM's order and constant at twice the evaluations, and worse with few "
    "steps",
    quantity="error of EDICT's first chain over DDIM's, p = 0.93, 640 steps, uniform t",
    within=(0.957, 0.977),
    covered=EXACT_SCORES,
    formula=r"""With DDIM's coefficients $a = \alpha'/\alpha$, $b = \sigma' - a\sigma$ and the old level $s$,

$$u \leftarrow a u + b\,\hat\epsilon(v, s), \quad v \leftarrow a v + b\,\hat\epsilon(u, s), \quad
u \leftarrow p u + (1-p) v, \quad v \leftarrow (1-p) u + p v,$$

where $u$ and $v$ swap their roles in the first two after every step. $p = 0.93$ as published.""",
    provenance="read in the released code of EDICT (the coupled steps, the mixing, the swap). In that code levels "
    "between the integers are interpolated with the weights exchanged, which matters where 1000/steps is not whole.",
    proved=("edict-inverse", "table-inverse"),
    measure=measure_edict,
    known="The round trip is below 1e-13 at p = 0.93 and 100 steps; rounding grows by up to p^-2 a step, and p = 0.7 "
    "loses all digits at 100 steps. The error of the first chain is several times DDIM's at 10 steps and tends to "
    "DDIM's own: the second evaluation of a step buys invertibility and no accuracy.",
    unknown="Edited images; how the mixing interacts with guidance.",
    code="""
import torch, samplerproof as sp
mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
grid = sp.grid(sp.schedule("vp-linear"), "uniform-t", 50, t_min=1e-3, t_max=1.0)
table = sp.techniques.edict(grid, p=0.93)
x0 = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
found = sp.invert(mixture, [x0, x0], table)
back = sp.sample(mixture, found.start, table)
print(found.exact, found.evaluations, float((back - x0).abs().max()))
""",
)

AIDI = Technique(
    name="aidi",
    system="AIDI",
    title="AIDI: effective real image editing with accelerated iterative diffusion inversion",
    cite="pan2023aidi",
    claimed="Each step of DDIM is inverted as a fixed point, with Anderson acceleration or an average of two iterates; "
    "the reconstruction is near exact at small cost.",
    verdict="confirmed: Anderson reaches rounding in at most 20 evaluations a step, also where plain iteration "
    "diverges",
    quantity="most evaluations of Anderson's method for a step, 16 cases, to 1e-13",
    within=(1, 20),
    covered=EXACT_SCORES,
    formula=r"""DDIM's step $x_t = a x_s + b\,\hat\epsilon(x_s, s)$ is solved for the noisier $x_s$,

$$x_s = \frac{x_t - b\,\hat\epsilon(x_s, s)}{a}, \qquad \frac{\partial \hat\epsilon}{\partial x}
= \frac1\sigma\Big(1 - \frac{\alpha^2}{\sigma^2}\operatorname{Var}(x_0 \mid x)\Big),$$

from the first guess $x_t$: by itself, by the mean of the last two values, or by Anderson's combination of the last
$m + 1$ values, here $m = 2$, each sample by itself.""",
    provenance="the fixed point and its first guess read in another's implementation of AIDI; that the paper uses "
    "Anderson's method and an empirical acceleration of two points read in a summary of it. No released code was "
    "found, and the formulas of both accelerations are our reading of their names. Blended guidance needs attention "
    "maps and is not here.",
    proved=("noise-slope", "anderson-affine", "table-inverse"),
    measure=measure_aidi,
    known="The slope of the map is large where the posterior is wide, between modes at the clean end: there the plain "
    "iteration diverges (M1 at 10 steps, the plane at 5 and 10). The average helps where the slope is negative and "
    "costs where it is near 1. The round trip is below 1e-12 in every case. Of the methods of the catalogue without "
    "noise four have such an implicit inverse of one vector at a time, `ddim`, `lambda-ddim`, `li-ddim` and "
    "`flow-euler`; `bdia-ddim` and `bdia-edm` have an exact one, and all others one of whole steps, as the page of "
    "DPM-Solver inversion has it.",
    unknown="Networks with guidance above the scales tried; the iteration budget that an image needs in half "
    "precision.",
    methods=("ddim",),
    code="""
import torch, samplerproof as sp
mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
grid = sp.grid(sp.schedule("vp-linear"), "uniform-t", 10, t_min=1e-3, t_max=1.0)
table = sp.tabulate("ddim", grid)
x0 = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
found = sp.invert(mixture, x0, table, solver="anderson", memory=2)
print(found.iterations, found.residual)
print(float((sp.sample(mixture, found.start, table) - x0).abs().max()))
""",
)

DPM_INVERSION = Technique(
    name="dpm-solver-inversion",
    system="DiT4Edit, DPM-Solver inversion",
    title="DiT4Edit: DPM-Solver inversion",
    cite="feng2025dit4edit",
    claimed="Inversion by DPM-Solver in place of DDIM needs fewer steps for images of the same or better quality.",
    verdict="confirmed: order 2 for order 1; 10 steps of 2M do what DDIM needs about 120 for",
    quantity="error of DDIM's latent over 2M's, 20 steps, uniform lambda",
    within=(20, 60),
    covered=EXACT_SCORES,
    formula=r"""DPM-Solver++(2M) is run on the grid backwards: its formula as it stands, with $h < 0$, and its history
on the clean side. No equation is solved, and the inverse is not exact: its outputs are made at other points than those
of the run. The exact inverse of $x_{n+1} = a\,x_n + b\,\hat x_0(x_n) + c\,\hat x_0(x_{n-1})$ is solved for the whole
run, sweep by sweep, for $x_n$ with a lag $l_n$ that is taken as known,

$$x_{n+1} = a\,x_n + (b + c)\,\hat x_0(x_n) + l_n, \qquad
l_n \leftarrow c\,\bigl(\hat x_0(x_{n-1}) - \hat x_0(x_n)\bigr),$$

with Anderson's method for $x_n$ and for all lags; a step of Heun's method in the same way, from the output at its
stage.""",
    provenance="derived; of the paper the abstract and the beginning of the introduction were read. Its repository "
    "(fkyyyy/DiT4Edit, 1c9f526) has a README and no code.",
    proved=("round-trip-order", "whole-step-inverse"),
    methods=("dpm-solver++-2m", "edm-heun", "ddim"),
    measure=measure_dpm_inversion,
    known="From z to a sample and back, on M1. The errors of the two runs of DDIM add; those of 2M cancel but for the"
    " first steps, which are DDIM's. `sp.predict_error` gives the leading error of the way back on the reversed"
    " grid. On a grid uniform in t both lose an order of magnitude, and 2M is irregular below 160 steps. `sp.invert` "
    "solves whole steps to rounding: a step of Heun's method by itself, 2M as one run. Every method of the catalogue "
    "without noise has such an inverse. It is dear, and on a grid uniform in t it may not converge, or find another "
    "start where the map of the sampler folds, as in the plane in 5 steps of 2M. With exact start values a multistep "
    "method has none: its first state is read by the model alone. The error of the start is the distance by which the "
    "run from it misses the sample, times the growth of a small change in the inverse: that is what is predicted.",
    unknown="Transformers and their editing by attention, the subject of the paper; an inverse of 2M that costs a few "
    "evaluations a step.",
    code="""
import torch, samplerproof as sp
mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
grid = sp.grid(sp.schedule("vp-linear"), "uniform-lambda", 20, t_min=0.05, t_max=1.0)
back = sp.techniques.reversed_grid(grid)
z = mixture.sample(400, grid.points[0], torch.Generator().manual_seed(0))
x0 = sp.sample(mixture, z, sp.tabulate("dpm-solver++-2m", grid))
print(sp.metrics.trajectory(sp.sample(mixture, x0, sp.tabulate("dpm-solver++-2m", back)), z))
print(sp.predict_error("dpm-solver++-2m", mixture, back, start="ramp").at("trajectory", 20))
trip = sp.techniques.round_trip(mixture, z, sp.tabulate("dpm-solver++-2m", grid))
print(trip.error, trip.roundoff)
""",
)

TECHNIQUES = (BDIA, EDICT, AIDI, DPM_INVERSION)
