(* bdia-edm is exactly of order 2 for a smooth G in any dimension, all step ratios, every gamma; its second root is -gamma.
   Written by `python -m samplerproof.theory.formal` from the record of bdia-edm; checked by `make formal`. *)
From Coq Require Import List Arith Lia ZArith Field.
From samplerproof Require Import Orders Rationals.
Import ListNotations.
Open Scope field_scope.

Module all_ratios.
Section Definitions.
Context {K : field} (gamma r1 : K) (l : nat -> K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition W_1_1 : series K := ((-r1) • h)%S.
Definition a_1_1 : series K := W_1_1.
Definition W_2_1 : series K := (h)%S.
Definition a_2_1 : series K := W_2_1.
Definition W_3_1 : series K := ((#1/#2) • (h * (((gamma*r1) • exponential (log_alpha l (At (-r1)) - log_alpha l (At #1))) + ($#1))))%S.
Definition a_3_1 : series K := W_3_1.
Definition W_3_2 : series K := ((gamma*r1/#2) • (h * exponential (log_alpha l (At (-r1)) - log_alpha l (At #1))))%S.
Definition a_3_2 : series K := W_3_2.
Definition W_3_3 : series K := ((#1/#2) • h)%S.
Definition a_3_3 : series K := W_3_3.
Definition c_0 : series K := (((-gamma) • exponential (log_alpha l (At (-r1)) - log_alpha l (At #1))) + ($#1))%S.
Definition c_1 : series K := (gamma • exponential (log_alpha l (At (-r1)) - log_alpha l (At #1)))%S.

Definition step : method K := {|
  stages := [
    MakeStage K (At (-r1)) [
      Output K (Path (At #0)) a_1_1];
    MakeStage K (At #1) [
      Output K (Path (At #0)) a_2_1]];
  states := [(At #0, c_0); (At (-r1), c_1)];
  outputs := [
    Output K (Path (At #0)) a_3_1;
    Output K (Stage 0) a_3_2;
    Output K (Stage 1) a_3_3]
|}.

Ltac reduce := cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_2_1 a_3_1 a_3_2 a_3_3].
Ltac expand := cbv -[not carrier add mul sub opp div inv zero one].

(* The coefficients of h^0, h^1, … in every a. *)
Lemma values_1_1 :
  a_1_1 0 = #0 /\
  a_1_1 1 = -r1 /\
  a_1_1 2 = #0 /\
  a_1_1 3 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_2_1 :
  a_2_1 0 = #0 /\
  a_2_1 1 = #1 /\
  a_2_1 2 = #0 /\
  a_2_1 3 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_3_1 :
  a_3_1 0 = #0 /\
  a_3_1 1 = gamma*r1/#2 + #1/#2 /\
  a_3_1 2 = -gamma*(l 1)*r1*(r1 + #1)/#2 /\
  a_3_1 3 = gamma*r1*(r1 + #1)*((pow (l 1) 2)*r1 + (pow (l 1) 2) + #2*(l 2)*r1 - #2*(l 2))/#4.
Proof. expand. repeat split; identity. Qed.
Lemma values_3_2 :
  a_3_2 0 = #0 /\
  a_3_2 1 = gamma*r1/#2 /\
  a_3_2 2 = -gamma*(l 1)*r1*(r1 + #1)/#2 /\
  a_3_2 3 = gamma*r1*(r1 + #1)*((pow (l 1) 2)*r1 + (pow (l 1) 2) + #2*(l 2)*r1 - #2*(l 2))/#4.
Proof. expand. repeat split; identity. Qed.
Lemma values_3_3 :
  a_3_3 0 = #0 /\
  a_3_3 1 = #1/#2 /\
  a_3_3 2 = #0 /\
  a_3_3 3 = #0.
Proof. expand. repeat split; identity. Qed.
Ltac coefficients := pose proof values_1_1; pose proof values_2_1; pose proof values_3_1; pose proof values_3_2; pose proof values_3_3; split_hypotheses;
  cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_2_1 a_3_1 a_3_2 a_3_3] in * |-.
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
  residual step (node 0 [node 0 []; node 0 []]) 0 = gamma*(pow r1 3)/#6 + #1/#6 /\
  residual step (node 0 [node 0 [node 0 []]]) 0 = -gamma*(pow r1 3)/#6 - #1/#6 /\
  residual step (node 0 [node 1 []]) 0 = -gamma*(pow r1 3)/#6 - #1/#6 /\
  residual step (node 1 [node 0 []]) 0 = gamma*(pow r1 3)/#6 + #1/#6 /\
  residual step (node 2 []) 0 = gamma*(pow r1 3)/#6 + #1/#6.
Proof. coefficients. conditions. Qed.
End Definitions.

(* So the order is not 3: one fails in the rational numbers, at gamma = 2, r1 = 3, l n = 1. *)
Theorem not_more : ~ has_order 3 (step (K := rationals) #2 #3 (fun _ => #1)).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 1 [node 0 []]) 0 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End all_ratios.

Definition proved := (@all_ratios.order, @all_ratios.leading_defects, @all_ratios.not_more).
Print Assumptions proved.
