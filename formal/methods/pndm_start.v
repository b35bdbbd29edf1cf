(* pndm-start is exactly of order 2 for a smooth G in any dimension, step ratios 1 + O(h).
   Written by `python -m samplerproof.theory.formal` from the record of pndm-start; checked by `make formal`. *)
From Coq Require Import List Arith Lia ZArith Field.
From samplerproof Require Import Orders Rationals.
Import ListNotations.
Open Scope field_scope.

Module near_equal_steps.
Section Definitions.
Context {K : field} (middle : nat -> K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition W_1_1 : series K := (h * near (#1/#2) middle)%S.
Definition a_1_1 : series K := W_1_1.
Definition W_2_1 : series K := (h * near (#1/#2) middle)%S.
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
    MakeStage K (Near (near (#1/#2) middle)%S) [
      Output K (Path (At #0)) a_1_1];
    MakeStage K (Near (near (#1/#2) middle)%S) [
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
  a_1_1 2 = (middle 1).
Proof. expand. repeat split; identity. Qed.
Lemma values_2_1 :
  a_2_1 0 = #0 /\
  a_2_1 1 = #1/#2 /\
  a_2_1 2 = (middle 1).
Proof. expand. repeat split; identity. Qed.
Lemma values_3_1 :
  a_3_1 0 = #0 /\
  a_3_1 1 = #1 /\
  a_3_1 2 = #0 /\
  a_3_1 3 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_4_1 :
  a_4_1 0 = #0 /\
  a_4_1 1 = #1/#6 /\
  a_4_1 2 = #0 /\
  a_4_1 3 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_4_2 :
  a_4_2 0 = #0 /\
  a_4_2 1 = #1/#3 /\
  a_4_2 2 = #0 /\
  a_4_2 3 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_4_3 :
  a_4_3 0 = #0 /\
  a_4_3 1 = #1/#3 /\
  a_4_3 2 = #0 /\
  a_4_3 3 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_4_4 :
  a_4_4 0 = #0 /\
  a_4_4 1 = #1/#6 /\
  a_4_4 2 = #0 /\
  a_4_4 3 = #0.
Proof. expand. repeat split; identity. Qed.
Ltac coefficients := pose proof values_1_1; pose proof values_2_1; pose proof values_3_1; pose proof values_4_1; pose proof values_4_2; pose proof values_4_3; pose proof values_4_4; split_hypotheses;
  cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_2_1 a_3_1 a_4_1 a_4_2 a_4_3 a_4_4] in * |-.
Ltac conditions := reduce; rewrite_hypotheses; repeat split; identity.

Theorem order : has_order 2 step.
Proof.
  coefficients. apply order_by_trees.
  - repeat constructor; assumption.
  - reduce. repeat split; identity.
  - conditions.
Qed.

(* Conditions of total order 3 that fail, and by what. *)
Theorem leading_defects :
  residual step (node 0 [node 0 []]) 1 = #2*(middle 1)/#3 /\
  residual step (node 1 []) 1 = #2*(middle 1)/#3.
Proof. coefficients. conditions. Qed.
End Definitions.

(* So the order is not 3: one fails in the rational numbers, at middle n = 1. *)
Theorem not_more : ~ has_order 3 (step (K := rationals) (fun _ => #1)).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 1 []) 1 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End near_equal_steps.

Module all_ratios.
Section Definitions.
Context {K : field} (middle : K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition W_1_1 : series K := (middle • h)%S.
Definition a_1_1 : series K := W_1_1.
Definition W_2_1 : series K := (middle • h)%S.
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
    MakeStage K (At middle) [
      Output K (Path (At #0)) a_1_1];
    MakeStage K (At middle) [
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
  a_1_1 1 = middle /\
  a_1_1 2 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_2_1 :
  a_2_1 0 = #0 /\
  a_2_1 1 = middle /\
  a_2_1 2 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_3_1 :
  a_3_1 0 = #0 /\
  a_3_1 1 = #1 /\
  a_3_1 2 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_4_1 :
  a_4_1 0 = #0 /\
  a_4_1 1 = #1/#6 /\
  a_4_1 2 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_4_2 :
  a_4_2 0 = #0 /\
  a_4_2 1 = #1/#3 /\
  a_4_2 2 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_4_3 :
  a_4_3 0 = #0 /\
  a_4_3 1 = #1/#3 /\
  a_4_3 2 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_4_4 :
  a_4_4 0 = #0 /\
  a_4_4 1 = #1/#6 /\
  a_4_4 2 = #0.
Proof. expand. repeat split; identity. Qed.
Ltac coefficients := pose proof values_1_1; pose proof values_2_1; pose proof values_3_1; pose proof values_4_1; pose proof values_4_2; pose proof values_4_3; pose proof values_4_4; split_hypotheses;
  cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_2_1 a_3_1 a_4_1 a_4_2 a_4_3 a_4_4] in * |-.
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
  residual step (node 0 [node 0 []]) 0 = #2*middle/#3 - #1/#3 /\
  residual step (node 1 []) 0 = #2*middle/#3 - #1/#3.
Proof. coefficients. conditions. Qed.
End Definitions.

(* So the order is not 2: one fails in the rational numbers, at middle = 2. *)
Theorem not_more : ~ has_order 2 (step (K := rationals) #2).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 1 []) 0 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End all_ratios.

Definition proved := (@near_equal_steps.order, @near_equal_steps.leading_defects, @near_equal_steps.not_more, @all_ratios.order, @all_ratios.leading_defects, @all_ratios.not_more).
Print Assumptions proved.
