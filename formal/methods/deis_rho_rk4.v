(* deis-rho-rk4 is exactly of order 4 for a smooth G in any dimension, all step ratios.
   Written by `python -m samplerproof.theory.formal` from the record of deis-rho-rk4; checked by `make formal`. *)
From Coq Require Import List Arith Lia ZArith Field.
From samplerproof Require Import Orders Rationals.
Import ListNotations.
Open Scope field_scope.

Module all_ratios.
Section Definitions.
Context {K : field}.
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition W_1_1 : series K := ((#1/#2) • h)%S.
Definition a_1_1 : series K := W_1_1.
Definition W_2_1 : series K := ((#1/#2) • h)%S.
Definition a_2_1 : series K := W_2_1.
Definition W_3_1 : series K := (h)%S.
Definition a_3_1 : series K := W_3_1.
Definition W_4_1 : series K := ((#1/#6) • h)%S.
Definition a_4_1 : series K := W_4_1.
Definition W_4_2 : series K := ((#1/#3) • h)%S.
Definition a_4_2 : series K := W_4_2.
Definition W_4_3 : series K := ((#1/#3) • h)%S.
Definition a_4_3 : series K := W_4_3.
Definition W_4_4 : series K := ((#1/#6) • h)%S.
Definition a_4_4 : series K := W_4_4.
Definition c_0 : series K := ($#1)%S.

Definition step : method K := {|
  stages := [
    MakeStage K (At (#1/#2)) [
      Output K (Path (At #0)) a_1_1];
    MakeStage K (At (#1/#2)) [
      Output K (Stage 0) a_2_1];
    MakeStage K (At #1) [
      Output K (Stage 1) a_3_1]];
  states := [(At #0, c_0)];
  outputs := [
    Output K (Path (At #0)) a_4_1;
    Output K (Stage 0) a_4_2;
    Output K (Stage 1) a_4_3;
    Output K (Stage 2) a_4_4]
|}.

Ltac reduce := cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_2_1 a_3_1 a_4_1 a_4_2 a_4_3 a_4_4].
Ltac expand := cbv -[not carrier add mul sub opp div inv zero one].

(* The coefficients of h^0, h^1, … in every a. *)
Lemma values_1_1 :
  a_1_1 0 = #0 /\
  a_1_1 1 = #1/#2 /\
  a_1_1 2 = #0 /\
  a_1_1 3 = #0 /\
  a_1_1 4 = #0 /\
  a_1_1 5 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_2_1 :
  a_2_1 0 = #0 /\
  a_2_1 1 = #1/#2 /\
  a_2_1 2 = #0 /\
  a_2_1 3 = #0 /\
  a_2_1 4 = #0 /\
  a_2_1 5 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_3_1 :
  a_3_1 0 = #0 /\
  a_3_1 1 = #1 /\
  a_3_1 2 = #0 /\
  a_3_1 3 = #0 /\
  a_3_1 4 = #0 /\
  a_3_1 5 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_4_1 :
  a_4_1 0 = #0 /\
  a_4_1 1 = #1/#6 /\
  a_4_1 2 = #0 /\
  a_4_1 3 = #0 /\
  a_4_1 4 = #0 /\
  a_4_1 5 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_4_2 :
  a_4_2 0 = #0 /\
  a_4_2 1 = #1/#3 /\
  a_4_2 2 = #0 /\
  a_4_2 3 = #0 /\
  a_4_2 4 = #0 /\
  a_4_2 5 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_4_3 :
  a_4_3 0 = #0 /\
  a_4_3 1 = #1/#3 /\
  a_4_3 2 = #0 /\
  a_4_3 3 = #0 /\
  a_4_3 4 = #0 /\
  a_4_3 5 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_4_4 :
  a_4_4 0 = #0 /\
  a_4_4 1 = #1/#6 /\
  a_4_4 2 = #0 /\
  a_4_4 3 = #0 /\
  a_4_4 4 = #0 /\
  a_4_4 5 = #0.
Proof. expand. repeat split; identity. Qed.
Ltac coefficients := pose proof values_1_1; pose proof values_2_1; pose proof values_3_1; pose proof values_4_1; pose proof values_4_2; pose proof values_4_3; pose proof values_4_4; split_hypotheses;
  cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_2_1 a_3_1 a_4_1 a_4_2 a_4_3 a_4_4] in * |-.
Ltac conditions := reduce; rewrite_hypotheses; repeat split; identity.

Theorem order : has_order 4 step.
Proof.
  coefficients. apply order_by_trees.
  - repeat constructor; assumption.
  - reduce. repeat split; identity.
  - conditions.
Qed.

(* Conditions of total order 5 that fail, and by what. *)
Theorem leading_defects :
  residual step (node 0 [node 0 []; node 0 []; node 0 []; node 0 []]) 0 = #1/#120 /\
  residual step (node 0 [node 0 []; node 0 []; node 0 [node 0 []]]) 0 = #1/#240 /\
  residual step (node 0 [node 0 []; node 0 []; node 1 []]) 0 = #1/#240 /\
  residual step (node 0 [node 0 []; node 0 [node 0 []; node 0 []]]) 0 = -#1/#240 /\
  residual step (node 0 [node 0 []; node 0 [node 0 [node 0 []]]]) 0 = #1/#120 /\
  residual step (node 0 [node 0 []; node 0 [node 1 []]]) 0 = #1/#120 /\
  residual step (node 0 [node 0 []; node 1 [node 0 []]]) 0 = -#1/#240 /\
  residual step (node 0 [node 0 []; node 2 []]) 0 = -#1/#240 /\
  residual step (node 0 [node 0 [node 0 []]; node 0 [node 0 []]]) 0 = #1/#80 /\
  residual step (node 0 [node 0 [node 0 []]; node 1 []]) 0 = #1/#80 /\
  residual step (node 0 [node 0 [node 0 []; node 0 []; node 0 []]]) 0 = -#1/#120 /\
  residual step (node 0 [node 0 [node 0 []; node 0 [node 0 []]]]) 0 = -#1/#240 /\
  residual step (node 0 [node 0 [node 0 []; node 1 []]]) 0 = -#1/#240 /\
  residual step (node 0 [node 0 [node 0 [node 0 []; node 0 []]]]) 0 = #1/#240 /\
  residual step (node 0 [node 0 [node 0 [node 0 [node 0 []]]]]) 0 = -#1/#120 /\
  residual step (node 0 [node 0 [node 0 [node 1 []]]]) 0 = -#1/#120 /\
  residual step (node 0 [node 0 [node 1 [node 0 []]]]) 0 = #1/#240 /\
  residual step (node 0 [node 0 [node 2 []]]) 0 = #1/#240 /\
  residual step (node 0 [node 1 []; node 1 []]) 0 = #1/#80 /\
  residual step (node 0 [node 1 [node 0 []; node 0 []]]) 0 = -#1/#120 /\
  residual step (node 0 [node 1 [node 0 [node 0 []]]]) 0 = -#1/#240 /\
  residual step (node 0 [node 1 [node 1 []]]) 0 = -#1/#240 /\
  residual step (node 0 [node 2 [node 0 []]]) 0 = -#1/#120 /\
  residual step (node 0 [node 3 []]) 0 = -#1/#120 /\
  residual step (node 1 [node 0 []; node 0 []; node 0 []]) 0 = #1/#120 /\
  residual step (node 1 [node 0 []; node 0 [node 0 []]]) 0 = #1/#240 /\
  residual step (node 1 [node 0 []; node 1 []]) 0 = #1/#240 /\
  residual step (node 1 [node 0 [node 0 []; node 0 []]]) 0 = -#1/#240 /\
  residual step (node 1 [node 0 [node 0 [node 0 []]]]) 0 = #1/#120 /\
  residual step (node 1 [node 0 [node 1 []]]) 0 = #1/#120 /\
  residual step (node 1 [node 1 [node 0 []]]) 0 = -#1/#240 /\
  residual step (node 1 [node 2 []]) 0 = -#1/#240 /\
  residual step (node 2 [node 0 []; node 0 []]) 0 = #1/#120 /\
  residual step (node 2 [node 0 [node 0 []]]) 0 = #1/#240 /\
  residual step (node 2 [node 1 []]) 0 = #1/#240 /\
  residual step (node 3 [node 0 []]) 0 = #1/#120 /\
  residual step (node 4 []) 0 = #1/#120.
Proof. coefficients. conditions. Qed.
End Definitions.

(* So the order is not 5: one fails in the rational numbers. *)
Theorem not_more : ~ has_order 5 (step (K := rationals)).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 0 [node 1 []; node 1 []]) 0 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End all_ratios.

Definition proved := (@all_ratios.order, @all_ratios.leading_defects, @all_ratios.not_more).
Print Assumptions proved.
