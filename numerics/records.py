"""The types of generated records. They import no torch, so that `samplerproof methods` starts quickly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .text_table import described


@dataclass(frozen=True)
class GeneratedRow:
    """One new vector of a step: z(to) = z_n + sum_j W_j F(node_j).

    to: the place of the vector: the offset of a grid point, a fraction of the step in the clock of the frame, the name
    of a parameter that is this fraction, or "middle", the middle of the step in t.
    nodes: (back, stage) of each output: at the grid point `back` steps ago, or at the result of row `stage` (from 1) of
    this step.  evaluated: whether an output is made at the new vector.
    weights, arguments: the function in generated/weight_functions.py that returns W, and the names of its arguments.
    states, state_arguments: the same for the coefficients of z_n and z_{n-1}; None if the vector carries z_n itself.
    noises, noise_arguments: the same for the coefficients, over sigma at the place, of the noises of this step's rows
    up to this one; None without noise.
    """

    to: int | Fraction | str
    nodes: tuple[tuple[int, int], ...]
    weights: str
    arguments: tuple[str, ...]
    evaluated: bool = True
    states: str | None = None
    state_arguments: tuple[str, ...] = ()
    noises: str | None = None
    noise_arguments: tuple[str, ...] = ()

    @property
    def calls(self) -> tuple[str, ...]:
        """The generated functions that return its coefficients, each with its arguments."""
        found = [
            (self.weights, self.arguments),
            (self.states, self.state_arguments),
            (self.noises, self.noise_arguments),
        ]
        return tuple(f"{name}({', '.join(arguments)})" for name, arguments in found if name)

    def formula(self, k: int, carried: str) -> str:
        """Row k of a step as text, counted from 1: z[n+1] = z[n] + W0 F[n] + W1 F[n-1], with z[n] as it is carried."""
        last = self.to == 1
        left = f"z[n{self.to:+d}]" if last else f"z({k})"
        outputs = [f"F({stage})" if stage else f"F[n-{back}]" if back else "F[n]" for back, stage in self.nodes]
        weighted = [f"W{j} {output}" for j, output in enumerate(outputs)]
        terms = [carried if self.states else "z[n]", *weighted, *(["noise"] if self.noises else [])]
        return f"{left} = {' + '.join(terms)}" + ("" if last else f"  at {_place(self.to)}")


def _place(to: int | Fraction | str) -> str:
    """The place of a stage, as text."""
    if to == "middle":
        return "the middle of the step in t"
    return f"grid point n{to:+d}" if isinstance(to, int) else f"u[n] + {to} h"


@dataclass(frozen=True)
class GeneratedParameter:
    """A free number of a method: its name, as typed behind the `?` and as the weights call it.

    low, high: its domain, ends included if closed, less the excluded values.  orders: values that change the order.
    """

    name: str
    default: Fraction | int
    low: Fraction | float
    high: Fraction | float
    closed: bool
    orders: tuple[tuple[Fraction | int, int], ...] = ()
    excluded: tuple[Fraction | int, ...] = ()


@dataclass(frozen=True)
class Record:
    """One method of the catalogue; see theory.method.Method for the fields.

    label: the name as people write it, in figures and titles.
    stability: S of the real stability interval (-S, 0) in the limit of short steps, at the defaults of the parameters
    (theory/linear_stability.py); None if it is infinite.  order_free: the order for free step ratios, where the weights
    assume equal steps.  values: those of parameters that are not at their defaults.
    `print` shows the rows of a step in the frame, z the scaled state and F the scaled prediction.
    """

    name: str
    label: str
    aliases: tuple[str, ...]
    family: str
    kind: str
    frame: str
    order: int
    order_asymptotic: int
    nfe_per_step: int
    history: int
    start: str | None
    rows: tuple[GeneratedRow, ...]
    summary: str
    cite: str
    equal_steps: bool = False
    order_free: int | None = None
    stochastic: bool = False
    law_order: int | None = None
    gaussian_order: int | None = None
    stability: float | None = None
    parameters: tuple[GeneratedParameter, ...] = ()
    since: str = "0.1.0"
    values: tuple[tuple[str, Fraction | int], ...] = ()

    def __repr__(self) -> str:
        return f"Record({self.name!r})"

    def __str__(self) -> str:
        start = "" if self.start is None else f", {self.order_asymptotic} with its start-up {self.start}"
        used = dict.fromkeys(call for row in self.rows for call in row.calls)
        facts = [
            ("summary", self.summary),
            ("kind", f"{self.kind}, frame {self.frame}, {'weak ' if self.stochastic else ''}order {self.order}{start}"),
            ("step", "\n".join(self.formulas)),
            ("weights", "\n".join(used) or "none"),
        ]
        return described(self.name, facts)

    @property
    def formulas(self) -> tuple[str, ...]:
        """The rows of a step as text, in the frame: z is the scaled state, F the scaled prediction."""
        carried = "c z[n]" if self.stochastic else "c0 z[n] + c1 z[n-1]"
        return tuple(row.formula(k, carried) for k, row in enumerate(self.rows, 1))

    def order_in_law(self, gaussian: bool) -> int:
        """The order of the error in law with an exact score, on a Gaussian target or on any."""
        orders = (self.gaussian_order if gaussian else None, self.law_order, self.order)
        return next(order for order in orders if order is not None)

    @property
    def last_step(self) -> str:
        """How the last step of a run differs: a correction there would cost another evaluation."""
        return "predicted, not corrected" if self.kind == "predictor-corrector" else "as every other"

    @property
    def numbers(self) -> dict[str, Fraction | int]:
        """The value of every parameter, by its name."""
        return {p.name: p.default for p in self.parameters} | dict(self.values)


@dataclass(frozen=True)
class Frame:
    """d(x/m)/du = c e^{kappa u} F.  functions(alpha, sigma) -> (m, m c e^{kappa u}, factor of the prediction).

    whole(alpha, sigma, next_alpha, next_sigma): the one-node coefficient over a step infinite in the clock.
    smooth: the weight is drho/dt of the schedule instead, with moments over a step by quadrature.
    """

    name: str
    clock: str
    prediction: str
    kappa: int
    functions: Callable[..., tuple[Any, Any, Any]]
    whole: Callable[..., Any] | None
    smooth: bool = False


@dataclass(frozen=True)
class ScheduleRecord:
    """columns(t, *parameters) -> alpha, sigma, lambda, rho^2, dalpha, dsigma;  time(lambda, *parameters) -> t."""

    name: str
    parameters: tuple[str, ...]
    domain: tuple[float, float]
    defaults: dict[str, float]
    prior: str
    columns: Callable[..., tuple[Any, ...]]
    time: Callable[..., Any]
