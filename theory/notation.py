"""Every shared symbol of the project, once: its meaning, its LaTeX and what sympy may assume of it."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp


@dataclass(frozen=True)
class Entry:
    """One line of the notation table.

    meaning: with formulas between dollars, in plain letters as in the text of a claim.
    """

    symbol: sp.Symbol
    meaning: str
    latex: str


NOTATION: dict[str, Entry] = {}


def declare(name: str, meaning: str, latex: str | None = None, **assumptions: bool) -> sp.Symbol:
    """Make a symbol and enter it in the table; a name has one meaning."""
    if name in NOTATION:
        raise ValueError(f"notation: {name!r} is declared twice")
    symbol = sp.Symbol(name, **assumptions)
    NOTATION[name] = Entry(symbol, meaning, latex or name)
    return symbol


# The forward process x_t = alpha x_0 + sigma eps.
t = declare("t", "time of the schedule; sampling runs from large $t$ (noise) to small $t$ (data)", real=True)
alpha = declare("alpha", "scale of the data in $x_t$", r"\alpha", positive=True)
sigma = declare("sigma", "scale of the noise in $x_t$", r"\sigma", positive=True)
dalpha = declare("dalpha", "derivative of $alpha$ in $t$", r"\dot\alpha", real=True)
dsigma = declare("dsigma", "derivative of $sigma$ in $t$", r"\dot\sigma", real=True)
lam = declare("lam", "half the logarithm of the SNR, $log(alpha/sigma)$", r"\lambda", real=True)
rho = declare("rho", "noise-to-data ratio $sigma/alpha = exp(-lambda)$", r"\rho", positive=True)

# The noisy vector and what a model predicts of it.
x = declare("x", "noisy vector $x_t$", real=True)
x0 = declare("x0", "data prediction $E[x_0 | x_t]$", r"\hat x_0", real=True)
eps = declare("eps", "noise prediction $E[eps | x_t]$", r"\hat\epsilon", real=True)
score = declare("score", "score, gradient of $log p_t$", r"s", real=True)
velocity = declare("velocity", "velocity $dalpha/dt x_0 + dsigma/dt eps$", "v", real=True)
v = declare("v", "v-prediction, $(alpha eps - sigma x_0)/sqrt(alpha^2 + sigma^2)$", r"v_\angle", real=True)

# One step, from the grid point n (noisier) to n+1 (cleaner), in the clock u of the method's frame.
u = declare("u", "clock of a frame", real=True)
h = declare("h", "step in the clock, $u_{n+1} - u_n$", real=True, nonzero=True)
kappa = declare("kappa", "rate of a frame's weight $c e^{kappa u}$", r"\kappa", integer=True)
s = declare("s", "position inside the step in units of $h$: 0 at $u_n$, 1 at $u_{n+1}$", real=True)
r = tuple(
    declare(f"r{k}", f"step ratio $(u_{{{newer}}} - u_{{n-{k}}})/h$", f"r_{{{k}}}", positive=True)
    for k, newer in enumerate(("n", "n-1", "n-2", "n-3", "n-4", "n-5"), start=1)
)
a1 = declare("a1", "$(alpha_{n-1}/alpha_n)^2$, the $a_{t+1}$ of Li et al.", r"a_{t+1}", positive=True)
TWO_STEP_ALPHA_RATIO = declare(
    "two_step_alpha_ratio", "$alpha_{n-1}/alpha_{n+1}$", r"\frac{\alpha_{n-1}}{\alpha_{n+1}}", positive=True
)
next_rho = declare("next_rho", "$rho$ at the end of the step", r"\rho'", positive=True)
ALPHA_RATIO = declare(
    "alpha_ratio", "$alpha_n/alpha_{n+1}$", r"\left(\frac{\alpha_n}{\alpha_{n+1}}\right)", positive=True
)
MIDDLE = declare(
    "middle", "where the middle of the step in $t$ lies in the clock, in units of $h$", "c_t", positive=True
)

# Where the weight of a frame is any smooth function w of its clock, its moments over the step are numbers of their own.
moments = tuple(
    declare(f"m{k}", f"integral of $s^{k} w du$ over the step", f"M_{k}", real=True, nonzero=True) for k in range(5)
)
# In proofs w and alpha are any smooth functions: their Taylor coefficients at u_n are symbols.
WEIGHT_TAYLOR = tuple(
    declare(f"q{k}", f"$w(u_n + s)/w(u_n)$ has the term $q_{k} s^{k}$", f"q_{{{k}}}", real=True) for k in range(1, 8)
)
ALPHA_TAYLOR = tuple(
    declare(f"l{k}", f"$log alpha(u_n + s)$ has the term $l_{k} s^{k}$", rf"\ell_{{{k}}}", real=True)
    for k in range(1, 8)
)

# Free numbers of samplers; the other ones make their own symbols (parameter.py).
c2 = declare("c2", "place of the first stage, as a fraction of the step", "c_2", positive=True)
c3 = declare("c3", "place of the second stage, as a fraction of the step", "c_3", positive=True)
next_alpha = declare("next_alpha", "$alpha$ at the end of the step", r"\alpha'", positive=True)
next_sigma = declare("next_sigma", "$sigma$ at the end of the step", r"\sigma'", positive=True)

tau2 = declare(
    "tau2",
    "strength of a sampler's noise: 0 is the flow, 1 the reverse of the forward process",
    r"\tau^2",
    nonnegative=True,
)
churn = declare("churn", "noise that EDM adds anew over a whole run, $S_churn$", r"S_\text{churn}", nonnegative=True)
NOISED_PLACE = declare(
    "noised_place",
    "where EDM's churn goes back to, in units of $h$ in $lambda$: $-log(1 + min(S_churn/N, sqrt 2 - 1))/h$",
    "g",
    nonpositive=True,
)

# An exact model at the start of a step, in one dimension: y = x/sigma has density p.
y = declare("y", "$x/sigma$ at the start of a step, the vector of a noisy frame", real=True)
SCORE_JET = tuple(
    declare(f"score{k}", f"derivative {k} of the score of $y$", "s" + "'" * k if k < 4 else f"s^{{({k})}}", real=True)
    for k in range(12)
)
mean = declare("mean", "mean of $y$ where its law is Gaussian", "m", real=True)
spread = declare("spread", "variance of $y$ where its law is Gaussian", "V", positive=True)

# The test equation dz/du = c z of linear stability.
hc = declare("hc", "step times the rate $c$ of the test equation $dz/du = c z$", "hc", real=True)
zeta = declare("zeta", "growth factor of one step on the test equation", r"\zeta")
gain = declare("gain", "gain of the test denoiser $x0hat = g x/alpha$ of guided sampling", "g", real=True)
