(* deis-tab1 is exactly of order 2 for a smooth G in any dimension, all step ratios, any smooth weight.
   Written by `python -m samplerproof.theory.formal` from the record of deis-tab1; checked by `make formal`. *)
From Coq Require Import List Arith Lia ZArith Field.
From samplerproof Require Import Orders Rationals.
Import ListNotations.
Open Scope field_scope.

Module all_ratios.
Section Definitions.
Context {K : field} (r1 : K) (q : nat -> K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition W_1_1 : series K := (moment q 0 + ((#1/r1) • moment q 1))%S.
Definition a_1_1 : series K := (W_1_1 * inverse (weight_at q (At #0)))%S.
Definition W_1_2 : series K := ((-#1/r1) • moment q 1)%S.
Definition a_1_2 : series K := (W_1_2 * inverse (weight_at q (At (-r1))))%S.
Definition c_0 : series K := ($#1)%S.

Definition step : method K := {|
  stages := [];
  states := [(At #0, c_0)];
  outputs := [
    Output K (Path (At #0)) a_1_1;
    Output K (Path (At (-r1))) a_1_2]
|}.

Hypothesis nonzero_1 : r1 <> #0.
Ltac reduce := cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_1_2].
Ltac expand := cbv -[not carrier add mul sub opp div inv zero one].

(* The coefficients of h^0, h^1, … in every a. *)
Lemma values_1_1 :
  a_1_1 0 = #0 /\
  a_1_1 1 = (#2*r1 + #1)/(#2*r1) /\
  a_1_1 2 = (q 1)*(#3*r1 + #2)/(#6*r1) /\
  a_1_1 3 = (q 2)*(#4*r1 + #3)/(#12*r1).
Proof. expand. repeat split; identity. Qed.
Lemma values_1_2 :
  a_1_2 0 = #0 /\
  a_1_2 1 = -#1/(#2*r1) /\
  a_1_2 2 = (q 1)*(-#3*r1 - #2)/(#6*r1) /\
  a_1_2 3 = (-#6*(pow (q 1) 2)*(pow r1 2) - #4*(pow (q 1) 2)*r1 + #6*(q 2)*(pow r1 2) - #3*(q 2))/(#12*r1).
Proof. expand. repeat split; identity. Qed.
Ltac coefficients := pose proof values_1_1; pose proof values_1_2; split_hypotheses;
  cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_1_2] in * |-.
Ltac conditions := reduce; rewrite_hypotheses; repeat split; identity.

Theorem order : has_order 2 step.
Proof.
  coefficients. apply order_by_quadrature; [reflexivity|reflexivity|reflexivity|..].
  - repeat constructor; assumption.
  - reduce. repeat split; identity.
  - conditions.
Qed.

(* Conditions of total order 3 that fail, and by what. *)
Theorem leading_defects :
  (forall t, size t = 1 -> residual step t 2 = one / subdensities t * (((pow (q 1) 2) - (q 2))*(-#3*r1 - #2)/#6)) /\
  (forall t, size t = 2 -> residual step t 1 = one / subdensities t * ((q 1)*(#3*r1 + #2)/#6)) /\
  (forall t, size t = 3 -> residual step t 0 = one / subdensities t * (-r1/#2 - #1/#3)).
Proof. coefficients. repeat split; apply defects_by_quadrature; try reflexivity; conditions. Qed.
End Definitions.

(* So the order is not 3: one fails in the rational numbers, at r1 = 2, q n = 1. *)
Theorem not_more : ~ has_order 3 (step (K := rationals) #2 (fun _ => #1)).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 1 [node 0 []]) 0 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End all_ratios.

Definition proved := (@all_ratios.order, @all_ratios.leading_defects, @all_ratios.not_more).
Print Assumptions proved.
