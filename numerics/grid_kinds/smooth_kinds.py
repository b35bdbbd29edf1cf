"""The three kinds whose levels grids.spacing computes, as tensors that can be differentiated."""

from __future__ import annotations

from fractions import Fraction

from .grid_kind import SIGMA_MAX, SIGMA_MIN, SIGMAS, T_MAX, T_MIN, WITH_ZERO, GridKind, positive, zero

TIMES = ("t_min", "t_max")

SMOOTH_KINDS = (
    GridKind(
        "uniform-t",
        "Times of the schedule, equally spaced.",
        r"t_n = t_{\max} + \tfrac{n}{N} (t_{\min} - t_{\max})",
        (T_MIN, T_MAX, zero(0)),
        required=TIMES,
        cite="song2021scorebased",
        aliases=(("k-diffusion:get_sigmas_vp", WITH_ZERO),),
    ),
    GridKind(
        "uniform-lambda",
        r"The half log signal-to-noise ratio $\lambda = \log(\alpha/\sigma)$, equally spaced.",
        r"\lambda_n = \lambda(t_{\max}) + \tfrac{n}{N} (\lambda(t_{\min}) - \lambda(t_{\max}))",
        (T_MIN, T_MAX, zero(0)),
        required=TIMES,
        cite="lu2022dpmsolver",
        aliases=(("diffusers:use_lu_lambdas", WITH_ZERO),),
    ),
    GridKind(
        "karras",
        r"The root of $\sigma/\alpha$ of order `rho`, equally spaced, on every schedule; `karras-sigma` has "
        r"$\sigma$ of the flow there.",
        r"\frac{\sigma_n}{\alpha_n} = \bigl(\sigma_{\max}^{1/\rho} + \tfrac{n}{N} "
        r"(\sigma_{\min}^{1/\rho} - \sigma_{\max}^{1/\rho})\bigr)^{\rho}",
        (SIGMA_MIN, SIGMA_MAX, positive("rho", Fraction(7)), zero(0)),
        required=SIGMAS,
        cite="karras2022edm",
    ),
)
