(* bdia-ddim is exactly of order 1 for a smooth G in any dimension, step ratios 1 + O(h), every gamma but 1; its second root is -gamma.
   Written by `python -m samplerproof.theory.formal` from the record of bdia-ddim; checked by `make formal`. *)
From Coq Require Import List Arith Lia ZArith Field.
From samplerproof Require Import Orders Rationals.
Import ListNotations.
Open Scope field_scope.

Module near_equal_steps.
Section Definitions.
Context {K : field} (gamma : K) (e1 l : nat -> K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition W_1_1 : series K := (h * ((gamma • (near #1 e1 * exponential (log_alpha l (Near ((-#1) • near #1 e1)%S) - log_alpha l (At #1)))) + ($#1)))%S.
Definition a_1_1 : series K := W_1_1.
Definition c_0 : series K := (((-gamma) • exponential (log_alpha l (Near ((-#1) • near #1 e1)%S) - log_alpha l (At #1))) + ($#1))%S.
Definition c_1 : series K := (gamma • exponential (log_alpha l (Near ((-#1) • near #1 e1)%S) - log_alpha l (At #1)))%S.

Definition step : method K := {|
  stages := [];
  states := [(At #0, c_0); (Near ((-#1) • near #1 e1)%S, c_1)];
  outputs := [
    Output K (Path (At #0)) a_1_1]
|}.

Ltac reduce := cbv -[not carrier add mul sub opp div inv zero one a_1_1].
Ltac expand := cbv -[not carrier add mul sub opp div inv zero one].

(* The coefficients of h^0, h^1, … in every a. *)
Lemma values_1_1 :
  a_1_1 0 = #0 /\
  a_1_1 1 = gamma + #1 /\
  a_1_1 2 = gamma*(-#2*(l 1) + (e1 1)).
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
  residual step (node 0 [node 0 []]) 0 = gamma/#2 - #1/#2 /\
  residual step (node 1 []) 0 = gamma/#2 - #1/#2.
Proof. coefficients. conditions. Qed.
End Definitions.

(* So the order is not 2: one fails in the rational numbers, at gamma = 2, e1 n = 1, l n = 1. *)
Theorem not_more : ~ has_order 2 (step (K := rationals) #2 (fun _ => #1) (fun _ => #1)).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 1 []) 0 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End near_equal_steps.

Module all_ratios.
Section Definitions.
Context {K : field} (gamma r1 : K) (l : nat -> K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition W_1_1 : series K := (h * (((gamma*r1) • exponential (log_alpha l (At (-r1)) - log_alpha l (At #1))) + ($#1)))%S.
Definition a_1_1 : series K := W_1_1.
Definition c_0 : series K := (((-gamma) • exponential (log_alpha l (At (-r1)) - log_alpha l (At #1))) + ($#1))%S.
Definition c_1 : series K := (gamma • exponential (log_alpha l (At (-r1)) - log_alpha l (At #1)))%S.

Definition step : method K := {|
  stages := [];
  states := [(At #0, c_0); (At (-r1), c_1)];
  outputs := [
    Output K (Path (At #0)) a_1_1]
|}.

Ltac reduce := cbv -[not carrier add mul sub opp div inv zero one a_1_1].
Ltac expand := cbv -[not carrier add mul sub opp div inv zero one].

(* The coefficients of h^0, h^1, … in every a. *)
Lemma values_1_1 :
  a_1_1 0 = #0 /\
  a_1_1 1 = gamma*r1 + #1 /\
  a_1_1 2 = -gamma*(l 1)*r1*(r1 + #1).
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
  residual step (node 0 [node 0 []]) 0 = gamma*(pow r1 2)/#2 - #1/#2 /\
  residual step (node 1 []) 0 = gamma*(pow r1 2)/#2 - #1/#2.
Proof. coefficients. conditions. Qed.
End Definitions.

(* So the order is not 2: one fails in the rational numbers, at gamma = 2, r1 = 3, l n = 1. *)
Theorem not_more : ~ has_order 2 (step (K := rationals) #2 #3 (fun _ => #1)).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 1 []) 0 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End all_ratios.

Definition proved := (@near_equal_steps.order, @near_equal_steps.leading_defects, @near_equal_steps.not_more, @all_ratios.order, @all_ratios.leading_defects, @all_ratios.not_more).
Print Assumptions proved.
