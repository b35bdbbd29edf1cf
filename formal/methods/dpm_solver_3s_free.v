(* dpm-solver-3s-free is exactly of order 2 for a smooth G in any dimension, all step ratios, every r1, every r2 but 2/3.
   Written by `python -m samplerproof.theory.formal` from the record of dpm-solver-3s-free; checked by `make formal`. *)
From Coq Require Import List Arith Lia ZArith Field.
From samplerproof Require Import Orders Rationals.
Import ListNotations.
Open Scope field_scope.

Module all_ratios.
Section Definitions.
Context {K : field} (c2 c3 : K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition W_1_1 : series K := (c2 • (h * phi 1 c2))%S.
Definition a_1_1 : series K := (W_1_1 * growth (-#1) c2 #0)%S.
Definition W_2_1 : series K := ((c3 • (h * phi 1 c3)) + ((-(pow c3 2)/c2) • (h * phi 2 c3)))%S.
Definition a_2_1 : series K := (W_2_1 * growth (-#1) c3 #0)%S.
Definition W_2_2 : series K := (((pow c3 2)/c2) • (h * phi 2 c3))%S.
Definition a_2_2 : series K := (W_2_2 * growth (-#1) c3 c2)%S.
Definition W_3_1 : series K := ((h * phi 1 #1) + ((-#1/c3) • (h * phi 2 #1)))%S.
Definition a_3_1 : series K := (W_3_1 * growth (-#1) #1 #0)%S.
Definition W_3_2 : series K := ((#1/c3) • (h * phi 2 #1))%S.
Definition a_3_2 : series K := (W_3_2 * growth (-#1) #1 c3)%S.
Definition c_0 : series K := ($#1)%S.

Definition step : method K := {|
  stages := [
    MakeStage K (At c2) [
      Output K (Path (At #0)) a_1_1];
    MakeStage K (At c3) [
      Output K (Path (At #0)) a_2_1;
      Output K (Stage 0) a_2_2]];
  states := [(At #0, c_0)];
  outputs := [
    Output K (Path (At #0)) a_3_1;
    Output K (Stage 1) a_3_2]
|}.

Hypothesis nonzero_1 : c2 <> #0.
Hypothesis nonzero_2 : c3 <> #0.
Ltac reduce := cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_2_1 a_2_2 a_3_1 a_3_2].
Ltac expand := cbv -[not carrier add mul sub opp div inv zero one].

(* The coefficients of h^0, h^1, … in every a. *)
Lemma values_1_1 :
  a_1_1 0 = #0 /\
  a_1_1 1 = c2 /\
  a_1_1 2 = -(pow c2 2)/#2 /\
  a_1_1 3 = (pow c2 3)/#6.
Proof. expand. repeat split; identity. Qed.
Lemma values_2_1 :
  a_2_1 0 = #0 /\
  a_2_1 1 = c3*(#2*c2 - c3)/(#2*c2) /\
  a_2_1 2 = -(pow c3 2)*(#3*c2 - #2*c3)/(#6*c2) /\
  a_2_1 3 = (pow c3 3)*(#4*c2 - #3*c3)/(#24*c2).
Proof. expand. repeat split; identity. Qed.
Lemma values_2_2 :
  a_2_2 0 = #0 /\
  a_2_2 1 = (pow c3 2)/(#2*c2) /\
  a_2_2 2 = (pow c3 2)*(#3*c2 - #2*c3)/(#6*c2) /\
  a_2_2 3 = (pow c3 2)*(#6*(pow c2 2) - #8*c2*c3 + #3*(pow c3 2))/(#24*c2).
Proof. expand. repeat split; identity. Qed.
Lemma values_3_1 :
  a_3_1 0 = #0 /\
  a_3_1 1 = (#2*c3 - #1)/(#2*c3) /\
  a_3_1 2 = (#2 - #3*c3)/(#6*c3) /\
  a_3_1 3 = (#4*c3 - #3)/(#24*c3).
Proof. expand. repeat split; identity. Qed.
Lemma values_3_2 :
  a_3_2 0 = #0 /\
  a_3_2 1 = #1/(#2*c3) /\
  a_3_2 2 = (#3*c3 - #2)/(#6*c3) /\
  a_3_2 3 = (#6*(pow c3 2) - #8*c3 + #3)/(#24*c3).
Proof. expand. repeat split; identity. Qed.
Ltac coefficients := pose proof values_1_1; pose proof values_2_1; pose proof values_2_2; pose proof values_3_1; pose proof values_3_2; split_hypotheses;
  cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_2_1 a_2_2 a_3_1 a_3_2] in * |-.
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
  residual step (node 0 []) 2 = c3/#4 - #1/#6 /\
  residual step (node 0 [node 0 []]) 1 = c3/#2 - #1/#3 /\
  residual step (node 1 []) 1 = c3/#2 - #1/#3 /\
  residual step (node 0 [node 0 []; node 0 []]) 0 = c3/#2 - #1/#3 /\
  residual step (node 0 [node 0 [node 0 []]]) 0 = c3/#4 - #1/#6 /\
  residual step (node 0 [node 1 []]) 0 = c3/#4 - #1/#6 /\
  residual step (node 1 [node 0 []]) 0 = c3/#2 - #1/#3 /\
  residual step (node 2 []) 0 = c3/#2 - #1/#3.
Proof. coefficients. conditions. Qed.
End Definitions.

(* So the order is not 3: one fails in the rational numbers, at c2 = 2, c3 = 3. *)
Theorem not_more : ~ has_order 3 (step (K := rationals) #2 #3).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 1 [node 0 []]) 0 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End all_ratios.

Definition proved := (@all_ratios.order, @all_ratios.leading_defects, @all_ratios.not_more).
Print Assumptions proved.
