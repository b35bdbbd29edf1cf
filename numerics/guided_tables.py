"""Tables with two output columns: a sampler whose steps read the guided and the unconditional output of a model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from .generated.prediction_functions import CONVERT
from .row_lags import vector_before
from .tableau import Tableau

GUIDED, CONDITIONAL, UNCONDITIONAL = "guided", "conditional", "unconditional"  # names of outputs
RENOISED = "renoised"  # the guided data at the state whose noise is that of the unconditional output
START, END = "start", "end"


@dataclass(frozen=True)
class Rule:
    """Which of two outputs g, guided, and u, unconditional, the rows of a sampler read.

    moved: "start": a step starts from the state alpha x0_g + sigma eps_u = x + alpha (x0_g - x0_u) in place of x, the
    data part guided and the noise part unconditional; "end": alpha (x0_g - x0_u) is added where it ends, with the alpha
    there; "": neither.
    newest, older: the output that a row reads of the evaluations of its own step, and of those before: "guided",
    "unconditional", or "renoised", the prediction that x0_g makes with the moved state, where a step starts; the
    guided one at the stages within it.
    """

    moved: str
    newest: str
    older: str


PLAIN = Rule("", GUIDED, GUIDED)
CFG_PP = Rule(START, RENOISED, RENOISED)  # Chung et al. 2024
RULES = (
    PLAIN,
    Rule("", UNCONDITIONAL, UNCONDITIONAL),
    CFG_PP,
    Rule(END, UNCONDITIONAL, UNCONDITIONAL),
    Rule(START, GUIDED, UNCONDITIONAL),
    Rule(START, UNCONDITIONAL, UNCONDITIONAL),
    Rule(START, UNCONDITIONAL, GUIDED),
    Rule(START, GUIDED, GUIDED),
    Rule(END, GUIDED, GUIDED),
    Rule(END, GUIDED, UNCONDITIONAL),
    Rule(END, UNCONDITIONAL, GUIDED),
    Rule("", GUIDED, UNCONDITIONAL),
    Rule("", UNCONDITIONAL, GUIDED),
)


def guided_table(table: Tableau, rule: Rule) -> Tableau:
    """The table of a sampler that reads two outputs by a rule; its `channels` are "guided" and "unconditional".

    For equal outputs it is the given table. `sample` runs it with denoise -> [2, *shape], those two in order.

    >>> import samplerproof as sp
    >>> from samplerproof.numerics.guided_tables import CFG_PP, guided_table
    >>> print(guided_table(sp.tabulate("ddim", sp.Grid.from_sigmas([10.0, 1.0, 0.1])), CFG_PP))
    ddim: 2 steps, 2 evaluations, data prediction
    step  sigma  v[-1]  guided[-1]  unconditional[-1]
       1      1    0.1           1               -0.1
       2    0.1    0.1           1               -0.1
    """
    rows, given = len(table.states), table.given
    width = max(table.outputs.shape[1], table.states.shape[1])
    guided, without = (torch.zeros(rows, width, dtype=torch.float64) for _ in range(2))

    def per_output(j: int) -> float:
        """x0_g - x0_u at a vector, over the difference of the two outputs there."""
        at = table.points[j]
        wanted = table.prediction_at(j)
        return 1.0 if wanted == "data" else CONVERT[wanted, "data"](at.alpha, at.sigma, at.dalpha, at.dsigma)[1]

    def share(j: int, output: str) -> float:
        """s of the prediction (1 - s) g + s u that is read: 0 for g, 1 for u, between or beyond when renoised."""
        wanted, at = table.prediction_at(j), table.points[j]
        if output != RENOISED or wanted == "data":
            return float(output == UNCONDITIONAL)
        if j + 1 < len(table.step) and vector_before(table.step, j + 1) != j:
            return 0.0  # a stage within a step, whose state is not moved
        a = CONVERT["data", wanted](at.alpha, at.sigma, at.dalpha, at.dsigma)[0]
        return -a * at.alpha * per_output(j)

    for i in range(rows):
        new = given + i
        begun = vector_before(table.step, new)
        # Outputs: each from one of the two, or from both.
        for lag in table.outputs[i].nonzero()[:, 0].tolist():
            j = new - 1 - lag
            s = share(j, rule.newest if j >= begun else rule.older)
            guided[i, lag] += (1 - s) * table.outputs[i, lag]
            without[i, lag] += s * table.outputs[i, lag]
        # States: moved where they are evaluated.
        if rule.moved == START:
            for lag in table.states[i].nonzero()[:, 0].tolist():
                j = new - 1 - lag
                if table.evaluated[j]:
                    moved = float(table.states[i, lag]) * table.points[j].alpha * per_output(j)
                    guided[i, lag] += moved
                    without[i, lag] -= moved
        elif rule.moved == END and table.evaluated[begun]:
            moved = table.points[new].alpha * per_output(begun)
            guided[i, new - 1 - begun] += moved
            without[i, new - 1 - begun] -= moved
    outputs = torch.nn.functional.pad(table.outputs, (0, width - table.outputs.shape[1]))
    return replace(table, outputs=outputs, channels={GUIDED: guided, UNCONDITIONAL: without})


def with_conditions(table: Tableau, weight: float) -> Tableau:
    """A table in "guided" and "unconditional" as one in "conditional" and "unconditional", with g = u + w (c - u)."""
    guided, without = table.channels[GUIDED], table.channels[UNCONDITIONAL]
    return replace(table, channels={CONDITIONAL: weight * guided, UNCONDITIONAL: without + (1 - weight) * guided})
