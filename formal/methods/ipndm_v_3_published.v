(* ipndm-v-3-published is exactly of order 3 for a smooth G in any dimension, step ratios 1 + O(h).
   Written by `python -m samplerproof.theory.formal` from the record of ipndm-v-3-published; checked by `make formal`. *)
From Coq Require Import List Arith Lia ZArith Field.
From samplerproof Require Import Orders Rationals.
Import ListNotations.
Open Scope field_scope.

Module near_equal_steps.
Section Definitions.
Context {K : field} (e1 e2 : nat -> K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition W_1_1 : series K := ((#1/#6) • (h * inverse (near #1 e1) * inverse ((near #1 e1 + near #1 e2)) * ((#9 • (near #1 e1)^2) + (#9 • (near #1 e1 * near #1 e2)) + (#3 • near #1 e1) + (#3 • near #1 e2) + ($(-#1)))))%S.
Definition a_1_1 : series K := W_1_1.
Definition W_1_2 : series K := ((-#1/#6) • (h * inverse (near #1 e1) * inverse (near #1 e2) * ((#3 • (near #1 e1)^2) + (#3 • (near #1 e1 * near #1 e2)) + (#3 • near #1 e2) + ($(-#1)))))%S.
Definition a_1_2 : series K := W_1_2.
Definition W_1_3 : series K := ((#1/#6) • (h * inverse (near #1 e2) * inverse ((near #1 e1 + near #1 e2)) * ((#3 • (near #1 e1)^2) + (#3 • (near #1 e1 * near #1 e2)) + ($(-#1)))))%S.
Definition a_1_3 : series K := W_1_3.
Definition c_0 : series K := ($#1)%S.

Definition step : method K := {|
  stages := [];
  states := [(At #0, c_0)];
  outputs := [
    Output K (Path (At #0)) a_1_1;
    Output K (Path (Near ((-#1) • near #1 e1)%S)) a_1_2;
    Output K (Path (Near (((-#1) • near #1 e1) + ((-#1) • near #1 e2))%S)) a_1_3]
|}.

Ltac reduce := cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_1_2 a_1_3].
Ltac expand := cbv -[not carrier add mul sub opp div inv zero one].

(* The coefficients of h^0, h^1, … in every a. *)
Lemma values_1_1 :
  a_1_1 0 = #0 /\
  a_1_1 1 = #23/#12 /\
  a_1_1 2 = -#3*(e1 1)/#8 + (e2 1)/#24.
Proof. expand. repeat split; identity. Qed.
Lemma values_1_2 :
  a_1_2 0 = #0 /\
  a_1_2 1 = -#4/#3 /\
  a_1_2 2 = -(e1 1)/#6 + (e2 1)/#3.
Proof. expand. repeat split; identity. Qed.
Lemma values_1_3 :
  a_1_3 0 = #0 /\
  a_1_3 1 = #5/#12 /\
  a_1_3 2 = #13*(e1 1)/#24 - #3*(e2 1)/#8.
Proof. expand. repeat split; identity. Qed.
Ltac coefficients := pose proof values_1_1; pose proof values_1_2; pose proof values_1_3; split_hypotheses;
  cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_1_2 a_1_3] in * |-.
Ltac conditions := reduce; rewrite_hypotheses; repeat split; identity.

Theorem order : has_order 3 step.
Proof.
  coefficients. apply order_by_quadrature; [reflexivity|reflexivity|reflexivity|..].
  - repeat constructor; assumption.
  - reduce. repeat split; identity.
  - conditions.
Qed.

(* Conditions of total order 4 that fail, and by what. *)
Theorem leading_defects :
  (forall t, size t = 3 -> residual step t 1 = one / subdensities t * ((e1 1) + (e2 1)/#2)) /\
  (forall t, size t = 4 -> residual step t 0 = one / subdensities t * (-#9/#4)).
Proof. coefficients. repeat split; apply defects_by_quadrature; try reflexivity; conditions. Qed.
End Definitions.

(* So the order is not 4: one fails in the rational numbers, at e1 n = 1, e2 n = 1. *)
Theorem not_more : ~ has_order 4 (step (K := rationals) (fun _ => #1) (fun _ => #1)).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 1 [node 1 []]) 0 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End near_equal_steps.

Module all_ratios.
Section Definitions.
Context {K : field} (r1 r2 : K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition W_1_1 : series K := (((#9*(pow r1 2) + #9*r1*r2 + #3*r1 + #3*r2 - #1)/(#6*r1*(r1 + r2))) • h)%S.
Definition a_1_1 : series K := W_1_1.
Definition W_1_2 : series K := ((-(#3*(pow r1 2) + #3*r1*r2 + #3*r2 - #1)/(#6*r1*r2)) • h)%S.
Definition a_1_2 : series K := W_1_2.
Definition W_1_3 : series K := (((#3*(pow r1 2) + #3*r1*r2 - #1)/(#6*r2*(r1 + r2))) • h)%S.
Definition a_1_3 : series K := W_1_3.
Definition c_0 : series K := ($#1)%S.

Definition step : method K := {|
  stages := [];
  states := [(At #0, c_0)];
  outputs := [
    Output K (Path (At #0)) a_1_1;
    Output K (Path (At (-r1))) a_1_2;
    Output K (Path (At (-r1 - r2))) a_1_3]
|}.

Hypothesis nonzero_1 : r1 <> #0.
Hypothesis nonzero_2 : r2 <> #0.
Hypothesis nonzero_3 : r1 + r2 <> #0.
Ltac reduce := cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_1_2 a_1_3].
Ltac expand := cbv -[not carrier add mul sub opp div inv zero one].

(* The coefficients of h^0, h^1, … in every a. *)
Lemma values_1_1 :
  a_1_1 0 = #0 /\
  a_1_1 1 = (#9*(pow r1 2) + #9*r1*r2 + #3*r1 + #3*r2 - #1)/(#6*r1*(r1 + r2)) /\
  a_1_1 2 = #0 /\
  a_1_1 3 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_1_2 :
  a_1_2 0 = #0 /\
  a_1_2 1 = (-#3*(pow r1 2) - #3*r1*r2 - #3*r2 + #1)/(#6*r1*r2) /\
  a_1_2 2 = #0 /\
  a_1_2 3 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_1_3 :
  a_1_3 0 = #0 /\
  a_1_3 1 = (#3*(pow r1 2) + #3*r1*r2 - #1)/(#6*r2*(r1 + r2)) /\
  a_1_3 2 = #0 /\
  a_1_3 3 = #0.
Proof. expand. repeat split; identity. Qed.
Ltac coefficients := pose proof values_1_1; pose proof values_1_2; pose proof values_1_3; split_hypotheses;
  cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_1_2 a_1_3] in * |-.
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
  (forall t, size t = 3 -> residual step t 0 = one / subdensities t * ((pow r1 2)/#2 + r1*r2/#2 - r1/#2 - #1/#2)).
Proof. coefficients. repeat split; apply defects_by_quadrature; try reflexivity; conditions. Qed.
End Definitions.

(* So the order is not 3: one fails in the rational numbers, at r1 = 2, r2 = 3. *)
Theorem not_more : ~ has_order 3 (step (K := rationals) #2 #3).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 1 [node 0 []]) 0 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End all_ratios.

Definition proved := (@near_equal_steps.order, @near_equal_steps.leading_defects, @near_equal_steps.not_more, @all_ratios.order, @all_ratios.leading_defects, @all_ratios.not_more).
Print Assumptions proved.
