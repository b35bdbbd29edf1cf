(* lambda-ddim is exactly of order 1 for a smooth G in any dimension, all step ratios, every b, any smooth weight.
   Written by `python -m samplerproof.theory.formal` from the record of lambda-ddim; checked by `make formal`. *)
From Coq Require Import List Arith Lia ZArith Field.
From samplerproof Require Import Orders Rationals.
Import ListNotations.
Open Scope field_scope.

Module all_ratios.
Section Definitions.
Context {K : field} (b : K) (q : nat -> K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition W_1_1 : series K := (rate_moment q b)%S.
Definition a_1_1 : series K := (W_1_1 * inverse (weight_at q (At #0)))%S.
Definition c_0 : series K := (((b • h) + ($#1)) * phi 0 (-b))%S.

Definition step : method K := {|
  stages := [];
  states := [(At #0, c_0)];
  outputs := [
    Output K (Path (At #0)) a_1_1]
|}.

Ltac reduce := cbv -[not carrier add mul sub opp div inv zero one a_1_1].
Ltac expand := cbv -[not carrier add mul sub opp div inv zero one].

(* The coefficients of h^0, h^1, … in every a. *)
Lemma values_1_1 :
  a_1_1 0 = #0 /\
  a_1_1 1 = #1 /\
  a_1_1 2 = -b/#2 + (q 1)/#2.
Proof. expand. repeat split; identity. Qed.
Ltac coefficients := pose proof values_1_1; split_hypotheses;
  cbv -[not carrier add mul sub opp div inv zero one a_1_1] in * |-.
Ltac conditions := reduce; rewrite_hypotheses; repeat split; identity.

Theorem order : has_order 1 step.
Proof.
  coefficients. apply order_by_trees.
  - repeat constructor; assumption.
  - reduce. repeat split; identity.
  - conditions.
Qed.

(* Conditions of total order 2 that fail, and by what. *)
Theorem leading_defects :
  residual_empty step 2 = -(pow b 2)/#2 /\
  residual step (node 0 []) 1 = -b/#2 + (q 1)/#2 /\
  residual step (node 0 [node 0 []]) 0 = -#1/#2 /\
  residual step (node 1 []) 0 = -#1/#2.
Proof. coefficients. conditions. Qed.
End Definitions.

(* So the order is not 2: one fails in the rational numbers, at b = 2, q n = 1. *)
Theorem not_more : ~ has_order 2 (step (K := rationals) #2 (fun _ => #1)).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 1 []) 0 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End all_ratios.

Definition proved := (@all_ratios.order, @all_ratios.leading_defects, @all_ratios.not_more).
Print Assumptions proved.
