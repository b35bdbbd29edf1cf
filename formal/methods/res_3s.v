(* res-3s is exactly of order 3 for a smooth G in any dimension, all step ratios.
   Written by `python -m samplerproof.theory.formal` from the record of res-3s; checked by `make formal`. *)
From Coq Require Import List Arith Lia ZArith Field.
From samplerproof Require Import Orders Rationals.
Import ListNotations.
Open Scope field_scope.

Module all_ratios.
Section Definitions.
Context {K : field}.
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition W_1_1 : series K := ((#1/#2) • (h * phi 1 (-#1/#2)))%S.
Definition a_1_1 : series K := (W_1_1 * growth #1 (#1/#2) #0)%S.
Definition W_2_1 : series K := (h * (phi 1 (-#1) + ((-#2) • phi 2 (-#1)) + ((-#2) • phi 2 (-#1/#2))))%S.
Definition a_2_1 : series K := (W_2_1 * growth #1 #1 #0)%S.
Definition W_2_2 : series K := (h * ((#2 • phi 2 (-#1)) + (#2 • phi 2 (-#1/#2))))%S.
Definition a_2_2 : series K := (W_2_2 * growth #1 #1 (#1/#2))%S.
Definition W_3_1 : series K := (h * (phi 1 (-#1) + ((-#5/#3) • phi 2 (-#1))))%S.
Definition a_3_1 : series K := (W_3_1 * growth #1 #1 #0)%S.
Definition W_3_2 : series K := ((#4/#3) • (h * phi 2 (-#1)))%S.
Definition a_3_2 : series K := (W_3_2 * growth #1 #1 (#1/#2))%S.
Definition W_3_3 : series K := ((#1/#3) • (h * phi 2 (-#1)))%S.
Definition a_3_3 : series K := (W_3_3 * growth #1 #1 #1)%S.
Definition c_0 : series K := ($#1)%S.

Definition step : method K := {|
  stages := [
    MakeStage K (At (#1/#2)) [
      Output K (Path (At #0)) a_1_1];
    MakeStage K (At #1) [
      Output K (Path (At #0)) a_2_1;
      Output K (Stage 0) a_2_2]];
  states := [(At #0, c_0)];
  outputs := [
    Output K (Path (At #0)) a_3_1;
    Output K (Stage 0) a_3_2;
    Output K (Stage 1) a_3_3]
|}.

Ltac reduce := cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_2_1 a_2_2 a_3_1 a_3_2 a_3_3].
Ltac expand := cbv -[not carrier add mul sub opp div inv zero one].

(* The coefficients of h^0, h^1, … in every a. *)
Lemma values_1_1 :
  a_1_1 0 = #0 /\
  a_1_1 1 = #1/#2 /\
  a_1_1 2 = #1/#8 /\
  a_1_1 3 = #1/#48 /\
  a_1_1 4 = #1/#384.
Proof. expand. repeat split; identity. Qed.
Lemma values_2_1 :
  a_2_1 0 = #0 /\
  a_2_1 1 = -#1 /\
  a_2_1 2 = -#1 /\
  a_2_1 3 = -#7/#16 /\
  a_2_1 4 = -#61/#480.
Proof. expand. repeat split; identity. Qed.
Lemma values_2_2 :
  a_2_2 0 = #0 /\
  a_2_2 1 = #2 /\
  a_2_2 2 = #1/#2 /\
  a_2_2 3 = #5/#48 /\
  a_2_2 4 = #1/#80.
Proof. expand. repeat split; identity. Qed.
Lemma values_3_1 :
  a_3_1 0 = #0 /\
  a_3_1 1 = #1/#6 /\
  a_3_1 2 = -#1/#18 /\
  a_3_1 3 = -#1/#24 /\
  a_3_1 4 = -#1/#72.
Proof. expand. repeat split; identity. Qed.
Lemma values_3_2 :
  a_3_2 0 = #0 /\
  a_3_2 1 = #2/#3 /\
  a_3_2 2 = #1/#9 /\
  a_3_2 3 = #1/#36 /\
  a_3_2 4 = #1/#360.
Proof. expand. repeat split; identity. Qed.
Lemma values_3_3 :
  a_3_3 0 = #0 /\
  a_3_3 1 = #1/#6 /\
  a_3_3 2 = -#1/#18 /\
  a_3_3 3 = #1/#72 /\
  a_3_3 4 = -#1/#360.
Proof. expand. repeat split; identity. Qed.
Ltac coefficients := pose proof values_1_1; pose proof values_2_1; pose proof values_2_2; pose proof values_3_1; pose proof values_3_2; pose proof values_3_3; split_hypotheses;
  cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_2_1 a_2_2 a_3_1 a_3_2 a_3_3] in * |-.
Ltac conditions := reduce; rewrite_hypotheses; repeat split; identity.

Theorem order : has_order 3 step.
Proof.
  coefficients. apply order_by_trees.
  - repeat constructor; assumption.
  - reduce. repeat split; identity.
  - conditions.
Qed.

(* Conditions of total order 4 that fail, and by what. *)
Theorem leading_defects :
  residual step (node 0 []) 3 = -#1/#72 /\
  residual step (node 0 [node 0 []]) 2 = #1/#36 /\
  residual step (node 1 []) 2 = #1/#36 /\
  residual step (node 0 [node 0 []; node 0 []]) 1 = -#1/#9 /\
  residual step (node 0 [node 0 [node 0 []]]) 1 = #1/#36 /\
  residual step (node 0 [node 1 []]) 1 = -#1/#72 /\
  residual step (node 1 [node 0 []]) 1 = -#5/#72 /\
  residual step (node 2 []) 1 = -#1/#36 /\
  residual step (node 0 [node 0 []; node 0 [node 0 []]]) 0 = #1/#24 /\
  residual step (node 0 [node 0 []; node 1 []]) 0 = #1/#24 /\
  residual step (node 0 [node 0 [node 0 [node 0 []]]]) 0 = -#1/#24 /\
  residual step (node 0 [node 0 [node 1 []]]) 0 = -#1/#24 /\
  residual step (node 1 [node 0 [node 0 []]]) 0 = #1/#24 /\
  residual step (node 1 [node 1 []]) 0 = #1/#24.
Proof. coefficients. conditions. Qed.
End Definitions.

(* So the order is not 4: one fails in the rational numbers. *)
Theorem not_more : ~ has_order 4 (step (K := rationals)).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 1 [node 1 []]) 0 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End all_ratios.

Definition proved := (@all_ratios.order, @all_ratios.leading_defects, @all_ratios.not_more).
Print Assumptions proved.
