"""T-Stitch, and the first-order displacement by the error of a model."""

from __future__ import annotations

import math

from ...numerics.grids import Grid
from ...numerics.leading.displacement import displacement
from ...numerics.metrics import nodes
from ...numerics.sample import sample
from ...numerics.schedules import schedule
from ...numerics.stitching import stitched
from ...numerics.tableau import tabulate
from ...numerics.targets.mixture import GaussianMixture
from .on_the_line import M1, root_mean_square, uniform_t
from .technique import Measured, Technique

STEPS, POINTS = 200, 2001  # the displacement is steep where the modes part
FRACTIONS = (0.4, 0.5, 0.6, 0.7)


def matched(mixture: GaussianMixture) -> GaussianMixture:
    """The Gaussian with the mean and variance of a mixture in one dimension, the small model of this page."""
    mean = float(mixture.weights @ mixture.means[:, 0])
    second = float(mixture.weights @ (mixture.means[:, 0].square() + mixture.variances.flatten()))
    return GaussianMixture([1.0], [mean], stds=[math.sqrt(second - mean**2)])


def stitch_distances(mixture: GaussianMixture, at: Grid, fractions: tuple[float, ...]) -> list[tuple[float, float]]:
    """DDIM with the small model where t >= 1 - r: rms distance to the pure run, measured and predicted, for each r."""
    x, table, found = nodes((mixture, at.points[0]), POINTS), tabulate("ddim", at), []
    pure, small = sample(mixture, x, table), matched(mixture)
    for fraction in fractions:
        model = stitched([small, mixture], [schedule("vp-linear").point(1 - fraction).lam])
        apart = root_mean_square(mixture, at, x, sample(model, x, table) - pure)
        found.append((apart, displacement(mixture, model, at, POINTS).trajectory))
    return found


def measure_stitch() -> Measured:
    found = stitch_distances(M1, uniform_t(STEPS), FRACTIONS)
    return Measured(
        number=found[0][0],
        head=("small steps, r", "distance to the pure run", "predicted"),
        rows=tuple((f"{r:g}", f"{a:.3e}", f"{b:.3e}") for r, (a, b) in zip(FRACTIONS, found, strict=True)),
        curves={
            "measured": [(r, a) for r, (a, _) in zip(FRACTIONS, found, strict=True)],
            "predicted, integral of J dv": [(r, b) for r, (_, b) in zip(FRACTIONS, found, strict=True)],
        },
        x="fraction r of small steps",
        y="distance to the run of the large model",
        dashed=("predicted, integral of J dv",),
    )


STITCH = Technique(
    name="t-stitch",
    system="T-Stitch",
    title="T-Stitch: accelerating sampling with trajectory stitching",
    cite="pan2025tstitch",
    claimed="A small model in place of the large one in the first 40 % of the steps costs no quality."
    " Nothing is trained.",
    verdict="confirmed, and predicted before the run: 40 % of the steps are free where the small model has the mean "
    "and variance of the data",
    quantity="rms distance to the pure run at r = 0.4, 200 steps of DDIM, M1",
    within=(7.9e-4, 8.23e-4),
    covered="system: exact scores of mixtures in one dimension, the small model a Gaussian of the same mean and "
    "variance; two networks of two widths, on rings in the plane and on digits",
    formula=r"""The small model is evaluated where $t \ge 1 - r$, the large one after that. To first order an error
$\delta\hat\epsilon$ of the model displaces the end by

$$E = \alpha_\text{end} \int \frac{\partial z_\text{end}}{\partial z}\, \delta\hat\epsilon\; d\rho, \qquad
z = x/\alpha, \quad \rho = \sigma/\alpha,$$

where the slope of the exact flow is a ratio of densities in one dimension.""",
    provenance="the rule by t read in the released code for transformers, where the floating point number 1 - r gives "
    "a step more or less (r = 0.7 is 69 of 100 steps); the displacement is derived.",
    proved=("stitch-gap",),
    measure=measure_stitch,
    known="Both models know the mean and the variance, so that their noise predictions differ by (alpha/sigma)^3 times "
    "the third cumulant: nothing at the noisy end. From r = 0.6 the distance grows fast. The prediction is made "
    "without the run, from the two models on the exact flow.",
    unknown="Transformers and their FID. The errors of two networks at the noisy end are those of training, and no "
    "theorem bounds them.",
    methods=("ddim",),
    code="""
import samplerproof as sp
large = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
small = sp.GaussianMixture([1.0], [0.165], stds=[1.0826])
schedule = sp.schedule("vp-linear")
grid = sp.grid(schedule, "uniform-t", 50, t_min=1e-3, t_max=1.0)
model = sp.techniques.stitched([small, large], levels=[schedule.point(0.6).lam])
moved = sp.techniques.displacement(large, model, grid)
print(moved.trajectory, moved.tv)
""",
)

TECHNIQUES = (STITCH,)
