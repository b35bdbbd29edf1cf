"""D-ODE solvers: one number a step, fitted to a teacher."""

from __future__ import annotations

from torch import Tensor

from ...numerics.fitted_solvers.fit import FittedSolver, d_ode, fit_one_parameter
from ...numerics.fitted_solvers.fitted_rows import run_vectors
from ...numerics.fitted_solvers.teacher_targets import Target, exact_target, teacher_target
from ...numerics.grids import Grid, grid
from ...numerics.points import Point
from ...numerics.sample import sample
from ...numerics.schedules import schedule
from ...numerics.tableau import tabulate
from ...numerics.targets.flow import exact_flow
from .line_errors import M2, line_errors, start_law
from .on_the_line import M1, uniform_lambda
from .technique import Measured, Technique

POINTS = 501
STEPS = (10, 20, 40, 80)
NAME = "d-ddim"


def distilled(at: Grid, finer: Grid | None = None, points: int = POINTS) -> FittedSolver:
    """D-DDIM on M1, fitted to DDIM on a finer grid, or to the exact flow."""
    x, weights = start_law(M1, at, points)
    target = exact_target(M1, x, at.points[0])
    if finer is not None:
        target = teacher_target(M1, x, tabulate("ddim", finer))
    return fit_one_parameter(NAME, M1, at, x, target, weights=weights)


def teacher_share(steps: int, count: int) -> float:
    """The error of D-DDIM over DDIM's on uniform lambda, its teacher DDIM with `count` times the steps."""
    at = uniform_lambda(steps)
    fitted = distilled(at, uniform_lambda(steps * count))
    return line_errors(M1, at, fitted.tableau, points=POINTS)[1] / line_errors(M1, at, points=POINTS)[1]


def _karras(steps: int) -> Grid:
    return grid(schedule("edm"), "karras", steps, sigma_min=0.002, sigma_max=80.0)


def edm_errors(levels: int, scale: int = 10) -> tuple[float, float, float]:
    """Root mean square distances to the flow at sigma = 0.002: DDIM, D-DDIM as released for EDM, and on nested levels.

    As released the teacher has scale times the levels, scale N, and the target at level n is its state number n scale;
    these levels are not the student's, which has N. Nested: scale steps for each of the student's N - 1.
    """
    at = _karras(levels - 1)
    x, weights = start_law(M1, at, POINTS)
    table = tabulate("ddim", at)
    states = run_vectors(M1, x, tabulate("ddim", _karras(scale * levels - 1)))
    number = {point: n for n, point in enumerate(at.points)}

    def as_released(point: Point) -> Tensor:
        return states[number[point] * scale]

    nested: Target = teacher_target(M1, x, tabulate("ddim", _karras(scale * (levels - 1))))
    exact, _ = exact_flow(M1, x, at.points[0], at.points[-1])
    tables = [table, *(d_ode(table, M1, x, target, weights=weights).tableau for target in (as_released, nested))]
    plain, released, right = (float(((sample(M1, x, made) - exact)[:, 0].square() @ weights).sqrt()) for made in tables)
    return plain, released, right


def measure_d_ode() -> Measured:
    labels = ("DDIM", "teacher of 4 times the steps", "exact teacher", "exact teacher, run on M2")
    found: dict[str, list[tuple[float, float]]] = {label: [] for label in labels}
    numbers: list[str] = []
    for steps in STEPS:
        at = uniform_lambda(steps)
        taught, exact = distilled(at, uniform_lambda(4 * steps)), distilled(at)
        errors = (
            line_errors(M1, at, points=POINTS)[1],
            *(line_errors(M1, at, fitted.tableau, points=POINTS)[1] for fitted in (taught, exact)),
            line_errors(M2, at, exact.tableau, points=POINTS)[1],
        )
        for label, error in zip(labels, errors, strict=True):
            found[label].append((steps, error))
        numbers.append(" ".join(f"{number - 1:.2f}" for number in exact.numbers[1:6] if number is not None))
    rows = [
        (f"N = {n}, uniform lambda", *(f"{found[label][i][1]:.2e}" for label in labels), numbers[i])
        for i, n in enumerate(STEPS)
    ]
    for levels in (10, 18):
        plain, released, nested = edm_errors(levels)
        rows.append((f"EDM's grid, {levels} levels, data outputs", f"{plain:.4f}", "-", "-", "-", ""))
        rows.append(("as released, teacher's levels beside", f"{released:.4f}", "-", "-", "-", ""))
        rows.append(("the same, nested levels", f"{nested:.4f}", "-", "-", "-", ""))
    return Measured(
        number=teacher_share(160, 4),
        head=("on M1", *labels, "lambda of steps 2 to 6"),
        rows=tuple(rows),
        curves=found,
        x="steps N",
        y="root mean square distance to the exact flow",
    )


D_ODE = Technique(
    name="d-ode",
    system="D-ODE solvers (D-DDIM)",
    title="D-ODE solvers: distilling ODE solvers of diffusion models into smaller steps",
    cite="kim2024dode",
    claimed="One number a step, fitted by least squares to a sampler of more steps over one batch, in negligible time "
    "beside training, makes DDIM, iPNDM, DPM-Solver, DEIS and EDM better with few steps; the numbers of one batch are "
    "used for all others.",
    verdict="confirmed: with an exact teacher of order 2, and the numbers serve another target; with a teacher of S "
    "times the steps 1/S of DDIM's error, still of order 1",
    quantity="error of D-DDIM over DDIM's, teacher of S = 4 times the steps, 160 steps, uniform lambda",
    within=(0.225, 0.275),
    covered="system: exact scores of two mixtures in one dimension",
    formula=r"""With the noise predictions $\hat\epsilon_n$, and one $\lambda_n$ for the whole batch,

$$x_{n+1} = \mathrm{DDIM}(x_n) + \lambda'_n\,(\hat\epsilon_n - \hat\epsilon_{n-1}), \qquad
\lambda'_n = \frac{\langle \Delta_n, R_n \rangle}{\langle \Delta_n, \Delta_n \rangle},$$

$\Delta_n$ the difference, $R_n$ the teacher's state minus DDIM's step. Here $\lambda'_n = \alpha_{n+1}(\rho_{n+1} -
\rho_n)\,\lambda_n$: `d-ddim` is gradient estimation with $\gamma_n = 1 + \lambda_n$. The first step, where there is no
difference, is DDIM.""",
    provenance="read in the released code of D-ODE solvers: DDIM on noise predictions, DDIM and EDM on data "
    "predictions, DPM-Solver with a number for every stage, DEIS and iPNDM. That code takes epshat - x for the "
    "difference in the first step of models of the noise, nothing in EDM's; in DEIS and iPNDM the difference is that "
    "of the noises as they were extrapolated. `techniques.d_ode` is the correction over any table by the last two "
    "outputs, as in D-DDIM, D-EDM and, up to the unit of lambda, the D-DPM-Solvers.",
    proved=("d-ode-order", "d-ode-teacher", "d-ode-gradient-estimation"),
    measure=measure_d_ode,
    known="A fit to the exact flow takes lambda to h/(2 h_prev), where the step is DEIS-rhoAB1 (in the data frame "
    "DPM-Solver++(2M)), and that is of order 2. The second step's lambda is 1: it repays the first step's error too. A "
    "teacher of S times the steps has 1/S of DDIM's error, and the student copies it. Fitted on M1 the numbers serve "
    "M2: they are near those of the formula, which knows no target. On EDM's grid the released code takes its targets "
    "at levels of the teacher beside those of the student, as S N levels do not contain N: with 10 levels this doubles "
    "the error of what the same fit reaches on nested levels. With 5 steps, uniform in t, the distance to the flow "
    "halves and the total variation gets worse.",
    unknown="FID of the published networks; guided sampling.",
    methods=("gradient-estimation", "deis-rhoab1", "dpm-solver++-2m"),
    code="""
import torch, samplerproof as sp
mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
grid = sp.grid(sp.schedule("vp-linear"), "uniform-lambda", 10, t_min=0.05, t_max=1.0)
x = mixture.sample(1000, grid.points[0], torch.Generator().manual_seed(0))
target = sp.techniques.exact_target(mixture, x, grid.points[0])
fitted = sp.fit_one_parameter("d-ddim", mixture, grid, x, target)
print(fitted.numbers)
for table in (sp.tabulate("ddim", grid), fitted.tableau):
    print(sp.metrics.trajectory(sp.sample(mixture, x, table), target(grid.points[-1])))
""",
)

TECHNIQUES = (D_ODE,)
