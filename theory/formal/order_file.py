"""The order proof of a method as a Coq file: its weights, the conditions up to its order, and those that fail next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import sympy as sp

from ..method import Method
from ..notation import ALPHA_TAYLOR, MIDDLE, WEIGHT_TAYLOR
from ..notation import r as ratios
from ..order import Defect, OrderProof, TreeWeights, predictor, prove_order
from ..rows import Node
from ..trees import EMPTY
from .coq_text import Terms, deviation, tree_text, within

OPERATIONS = "not carrier add mul sub opp div inv zero one"
COMMAND = "python -m samplerproof.theory.formal"
THEOREMS = ("order", "leading_defects", "not_more")
NOT_WRITTEN = (  # Coq takes many minutes on the first six; the tactics here do not decide the weights of the others
    *("exp-adams-4", "exp-adams-noise-4", "deis-tab3", "unipc-3", "unipc-3-bh1", "unipc-3-vary"),
    *("dpm-solver++-2m-v2", "ipndm-v-3-published", "ipndm-v-4-published", "unipc-noise-3", "unipc-noise-3-bh1"),
)
POINTS = (2, 3, 5, 7, 11)  # values of ratios and parameters at which a failing condition is computed


def module_name(name: str) -> str:
    """The name of a method's file: dpm_solver_pp_2m of dpm-solver++-2m."""
    return name.replace("+", "p").replace("-", "_")


def coq_file(name: str) -> str | None:
    """The file of a deterministic record's proof, from the top of the repository; None where it has none."""
    return None if name in NOT_WRITTEN else f"formal/methods/{module_name(name)}.v"


@dataclass(frozen=True)
class Proof:
    """What is written of one theorem.  free: for all step ratios, also where the weights assume equal steps."""

    method: Method
    free: bool

    @property
    def smooth(self) -> bool:
        return self.method.equal_steps and not self.free

    @property
    def terms(self) -> Terms:
        return Terms(self.smooth)

    @cached_property
    def proof(self) -> OrderProof:
        return prove_order(self.method, self.free)

    @cached_property
    def weights(self) -> TreeWeights:
        return TreeWeights(self.method, self.proof.order + 1, self.method.expansion(self.smooth))

    @cached_property
    def shares(self) -> dict[str, tuple[Node, sp.Expr, sp.Expr, list[sp.Expr]]]:
        """By name a_ROW_OUTPUT: the node, where the row ends, the weight, and the coefficients of h, h^2, …."""
        found = {}
        for i, (row, row_weights) in enumerate(zip(self.method.rows, self.method.weights, strict=True)):
            for j, (node, weight) in enumerate(zip(row.nodes, row_weights, strict=True)):
                values = [self.weights.expand.expression(c) for c in self.weights.coefficients[i][j]]
                if self.smooth and weight.free_symbols & {*ratios, MIDDLE}:
                    values = values[:2]  # later ones depend on more of a ratio than its first two coefficients
                found[f"{i + 1}_{j + 1}"] = node, row.end, weight, values
        return found

    @cached_property
    def symbols(self) -> tuple[list[sp.Symbol], list[str]]:
        """Elements of the field, and names of functions n -> coefficient: of ratios 1 + O(h), of w and log alpha."""
        found = list(self.method.symbols)
        near = [s for s in found if self.smooth and s in (*ratios, MIDDLE)]
        functions = [deviation(s) for s in near]
        functions += [letter for letter, known in (("q", WEIGHT_TAYLOR), ("l", ALPHA_TAYLOR)) if {*known} & {*found}]
        return [s for s in found if s not in (*near, *WEIGHT_TAYLOR, *ALPHA_TAYLOR)], functions

    @cached_property
    def denominators(self) -> list[sp.Expr]:
        """The factors of all denominators, numbers aside."""
        bases = [sp.fraction(value)[1] for _, _, _, values in self.shares.values() for value in values]
        for _, _, weight, _ in self.shares.values():
            powers = [p.base for p in weight.atoms(sp.Pow) if p.exp.is_negative]
            bases += [base if self.terms.is_constant(base) else self._at_zero(base) for base in powers]
        found = {factor for base in bases for factor, _ in sp.factor_list(base)[1]}
        return sorted(found, key=lambda f: (len(str(f)), str(f)))

    def _at_zero(self, expression: sp.Expr) -> sp.Expr:
        return self.weights.expand.expression(self.weights.expand.of(expression, 1)[0])

    @property
    def stated(self) -> list[Defect]:
        """The leading defects, but for those in which the predicted points of earlier steps take part."""
        method, order = self.method, self.proof.order
        if not method.corrects or prove_order(predictor(method)).order + 1 != order:
            return list(self.proof.leading_defects)
        return [d for d in self.proof.leading_defects if d.tree.legs or len(d.tree.children) != 1]

    @cached_property
    def failing(self) -> Defect:
        """The simplest of them."""
        return min(self.stated, key=lambda d: (d.tree == EMPTY, len(str(d.coefficient)), d.power, str(d.tree)))

    @cached_property
    def point(self) -> dict[sp.Symbol, sp.Integer]:
        """Numbers at which no denominator vanishes and the simplest leading defect does not."""
        symbols = self.symbols[0]
        for numbers in product(POINTS, repeat=len(symbols)):
            values = dict(zip(symbols, map(sp.Integer, numbers), strict=True))
            others = {s: sp.S.One for s in self.method.symbols if s not in values}
            at = {**values, **others}
            nonzero = (*self.denominators, self.failing.coefficient)
            if len(set(numbers)) == len(numbers) and all(f.subs(at) != 0 for f in nonzero):
                return values
        raise ValueError(f"{self.method.name}: no point where its leading defect does not vanish")

    # --- the text

    @property
    def name(self) -> str:
        return "near_equal_steps" if self.smooth else "all_ratios"

    def text(self) -> str:
        return "\n".join([f"Module {self.name}.", *self._lines(), f"End {self.name}."])

    def _lines(self) -> Iterator[str]:
        if self.method.corrects:
            yield "Section Definitions."
            yield from Proof(predictor(self.method), True)._definitions("predictor", "predictor_")
            yield "End Definitions."
            yield ""
        yield "Section Definitions."
        yield from self._definitions("step")
        yield ""
        yield from self._theorems()
        yield "End Definitions."
        yield ""
        yield from self._counterexample()

    def _variables(self) -> Iterator[str]:
        constants, functions = self.symbols
        names = f" ({' '.join(s.name for s in constants)} : K)" if constants else ""
        names += f" ({' '.join(functions)} : nat -> K)" if functions else ""
        yield f"Context {{K : field}}{names}."
        yield "Add Field the_field : (is_field K) (completeness (integers_differ K))."

    def _definitions(self, name: str, prefix: str = "") -> Iterator[str]:
        terms, frame = self.terms, self.method.frame
        yield from self._variables()
        yield ""
        yield "(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)"
        for key, (node, end, weight, _) in self.shares.items():
            place = self.method.position(node)
            yield f"Definition {prefix}W_{key} : series K := ({terms.series(weight)})%S."
            if frame.rate is not None:
                share = f"({prefix}W_{key} * inverse (weight_at q ({terms.place(place)})))%S"
            elif frame.kappa:
                numbers = " ".join(within(terms.field(sp.sympify(x))) for x in (sp.Integer(frame.kappa), end, place))
                share = f"({prefix}W_{key} * growth {numbers})%S"
            else:
                share = f"{prefix}W_{key}"
            yield f"Definition {prefix}a_{key} : series K := {share}."
        carried = self.method.rows[-1].states
        for k, c in enumerate(carried):
            yield f"Definition {prefix}c_{k} : series K := ({terms.series(c)})%S."
        yield ""
        yield f"Definition {name} : method K := {{|"
        stages = [
            f"    MakeStage K ({terms.place(row.end)}) {self._outputs(i, prefix, 6)}"
            for i, row in enumerate(self.method.rows[:-1], start=1)
        ]
        yield "  stages := [" + ("\n" + ";\n".join(stages) if stages else "") + "];"
        places = [terms.place(self.method.position(Node(back=k))) for k in range(len(carried))]
        yield f"  states := [{'; '.join(f'({place}, {prefix}c_{k})' for k, place in enumerate(places))}];"
        yield f"  outputs := {self._outputs(len(self.method.rows), prefix, 4)}"
        yield "|}."

    def _outputs(self, row: int, prefix: str, indent: int) -> str:
        found = [
            f"\n{' ' * indent}Output K ({self._source(node)}) {prefix}a_{key}"
            for key, (node, *_) in self.shares.items()
            if key.startswith(f"{row}_")
        ]
        return f"[{';'.join(found)}]"

    def _source(self, node: Node) -> str:
        if node.stage:
            return f"Stage {node.stage - 1}"
        place = self.terms.place(self.method.position(node))
        if not self.method.corrects:
            return f"Path ({place})"
        # The step that ended at the node: its size and ratios, from those of this step.
        before = predictor(self.method)
        size = ratios[node.back]
        earlier = [ratios[ratios.index(r) + node.back + 1] / size for r in before.symbols]
        arguments = "".join(f" {within(self.terms.field(r))}" for r in earlier)
        return f"Predicted ({place}) (off_path {prove_order(before).order} {size.name} (predictor{arguments}))"

    def _theorems(self) -> Iterator[str]:
        terms, order = self.terms, self.proof.order
        factors = {f"nonzero_{k}": f for k, f in enumerate(self.denominators, start=1)}
        for name, factor in factors.items():
            yield f"Hypothesis {name} : {terms.field(factor)} <> #0."
        hidden = " ".join(f"a_{key}" for key in self.shares)
        yield f"Ltac reduce := cbv -[{OPERATIONS} {hidden}]."
        yield f"Ltac expand := cbv -[{OPERATIONS}]."
        yield ""
        yield "(* The coefficients of h^0, h^1, … in every a. *)"
        for key, (_, _, _, values) in self.shares.items():
            parts = [f"a_{key} {n} = {terms.quotient(v)}" for n, v in enumerate([sp.S.Zero, *values])]
            yield f"Lemma values_{key} :\n  " + " /\\\n  ".join(parts) + "."
            yield "Proof. expand. repeat split; identity. Qed."
        known = "; ".join(f"pose proof values_{key}" for key in self.shares)
        yield f"Ltac coefficients := {known}; split_hypotheses;\n  cbv -[{OPERATIONS} {hidden}] in * |-."
        yield "Ltac conditions := reduce; rewrite_hypotheses; repeat split; identity."
        yield ""
        yield f"Theorem order : has_order {order} step."
        yield "Proof."
        rest = "; [reflexivity|reflexivity|reflexivity|..]" if self.quadrature else ""
        yield f"  coefficients. apply order_by_{'quadrature' if self.quadrature else 'trees'}{rest}."
        yield "  - repeat constructor; assumption."
        yield "  - reduce. repeat split; identity."
        yield "  - conditions."
        yield "Qed."
        yield ""
        yield f"(* Conditions of total order {order + 1} that fail, and by what. *)"
        yield "Theorem leading_defects :\n  " + " /\\\n  ".join(self._defects()) + "."
        applied = "repeat split; apply defects_by_quadrature; try reflexivity; " if self.quadrature else ""
        yield f"Proof. coefficients. {applied}conditions. Qed."

    @property
    def quadrature(self) -> bool:
        """Whether all outputs were made on the path, and z_n alone is carried."""
        return len(self.method.rows) == 1 and self.method.rows[0].states == (1,)

    def _defects(self) -> Iterator[str]:
        """One for every tree, or where the densities of its subtrees are all that it adds, for every order."""
        seen = set()
        for defect in self.stated:
            tree, power = defect.tree, defect.power
            if not self.quadrature or tree == EMPTY:
                yield f"{self._residual(defect)} = {self.terms.quotient(defect.coefficient)}"
            elif tree.order not in seen:
                seen.add(tree.order)
                below = tree.gamma // tree.order
                off = within(self.terms.quotient(below * defect.coefficient))
                yield f"(forall t, size t = {tree.order} -> residual step t {power} = one / subdensities t * {off})"

    def _residual(self, defect: Defect) -> str:
        if defect.tree == EMPTY:
            return f"residual_empty step {defect.power}"
        return f"residual step ({tree_text(defect.tree)}) {defect.power}"

    def _counterexample(self) -> Iterator[str]:
        order, (constants, functions) = self.proof.order, self.symbols
        arguments = "".join(f" #{self.point[s]}" for s in constants) + " (fun _ => #1)" * len(functions)
        where = ", ".join([f"{s} = {self.point[s]}" for s in constants] + [f"{f} n = 1" for f in functions])
        tree, power = self.failing.tree, self.failing.power
        given = f"empty {power}" if tree == EMPTY else f"fails ({tree_text(tree)}) {power}"
        yield f"(* So the order is not {order + 1}: one fails in the rational numbers{where and ', at '}{where}. *)"
        yield f"Theorem not_more : ~ has_order {order + 1} (step (K := rationals){arguments})."
        yield "Proof."
        yield "  intros (_ & empty & fails)."
        yield f"  refine (differ_correct _ _ _ ({given} _)); [vm_compute; reflexivity|cbv; lia]."
        yield "Qed."


def order_file(method: Method) -> str:
    """The whole file of a method."""
    proofs = [Proof(method, False)] + [Proof(method, True)] * method.equal_steps
    names = [p.name for p in proofs]
    lines = [
        f"(* {proofs[0].proof.statement}.",
        f"   Written by `{COMMAND}` from the record of {method.name}; checked by `make formal`. *)",
        "From Coq Require Import List Arith Lia ZArith Field.",
        "From samplerproof Require Import Orders Rationals.",
        "Import ListNotations.",
        "Open Scope field_scope.",
        "",
        *(p.text() + "\n" for p in proofs),
        f"Definition proved := ({', '.join(f'@{name}.{theorem}' for name in names for theorem in THEOREMS)}).",
        "Print Assumptions proved.",
    ]
    return "\n".join(lines) + "\n"
