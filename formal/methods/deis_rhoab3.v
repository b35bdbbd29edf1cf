(* deis-rhoab3 is exactly of order 4 for a smooth G in any dimension, all step ratios.
   Written by `python -m samplerproof.theory.formal` from the record of deis-rhoab3; checked by `make formal`. *)
From Coq Require Import List Arith Lia ZArith Field.
From samplerproof Require Import Orders Rationals.
Import ListNotations.
Open Scope field_scope.

Module all_ratios.
Section Definitions.
Context {K : field} (r1 r2 r3 : K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition W_1_1 : series K := (h + (((#3*r1 + #2*r2 + r3)/(#3*r1*(r1 + r2)*(r1 + r2 + r3))) • h) + (((#3*(pow r1 2) + #4*r1*r2 + #2*r1*r3 + (pow r2 2) + r2*r3)/(#2*r1*(r1 + r2)*(r1 + r2 + r3))) • h) + ((#1/(#4*r1*(r1 + r2)*(r1 + r2 + r3))) • h))%S.
Definition a_1_1 : series K := W_1_1.
Definition W_1_2 : series K := (((-(r1 + r2)*(r1 + r2 + r3)/(#2*r1*r2*(r2 + r3))) • h) + ((-(#2*r1 + #2*r2 + r3)/(#3*r1*r2*(r2 + r3))) • h) + ((-#1/(#4*r1*r2*(r2 + r3))) • h))%S.
Definition a_1_2 : series K := W_1_2.
Definition W_1_3 : series K := (((r1*(r1 + r2 + r3)/(#2*r2*r3*(r1 + r2))) • h) + (((#2*r1 + r2 + r3)/(#3*r2*r3*(r1 + r2))) • h) + ((#1/(#4*r2*r3*(r1 + r2))) • h))%S.
Definition a_1_3 : series K := W_1_3.
Definition W_1_4 : series K := (((-r1*(r1 + r2)/(#2*r3*(r2 + r3)*(r1 + r2 + r3))) • h) + ((-(#2*r1 + r2)/(#3*r3*(r2 + r3)*(r1 + r2 + r3))) • h) + ((-#1/(#4*r3*(r2 + r3)*(r1 + r2 + r3))) • h))%S.
Definition a_1_4 : series K := W_1_4.
Definition c_0 : series K := ($#1)%S.

Definition step : method K := {|
  stages := [];
  states := [(At #0, c_0)];
  outputs := [
    Output K (Path (At #0)) a_1_1;
    Output K (Path (At (-r1))) a_1_2;
    Output K (Path (At (-r1 - r2))) a_1_3;
    Output K (Path (At (-r1 - r2 - r3))) a_1_4]
|}.

Hypothesis nonzero_1 : r1 <> #0.
Hypothesis nonzero_2 : r2 <> #0.
Hypothesis nonzero_3 : r3 <> #0.
Hypothesis nonzero_4 : r1 + r2 <> #0.
Hypothesis nonzero_5 : r2 + r3 <> #0.
Hypothesis nonzero_6 : r1 + r2 + r3 <> #0.
Ltac reduce := cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_1_2 a_1_3 a_1_4].
Ltac expand := cbv -[not carrier add mul sub opp div inv zero one].

(* The coefficients of h^0, h^1, … in every a. *)
Lemma values_1_1 :
  a_1_1 0 = #0 /\
  a_1_1 1 = (#12*(pow r1 3) + #24*(pow r1 2)*r2 + #12*(pow r1 2)*r3 + #18*(pow r1 2) + #12*r1*(pow r2 2) + #12*r1*r2*r3 + #24*r1*r2 + #12*r1*r3 + #12*r1 + #6*(pow r2 2) + #6*r2*r3 + #8*r2 + #4*r3 + #3)/(#12*r1*(r1 + r2)*(r1 + r2 + r3)) /\
  a_1_1 2 = #0 /\
  a_1_1 3 = #0 /\
  a_1_1 4 = #0 /\
  a_1_1 5 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_1_2 :
  a_1_2 0 = #0 /\
  a_1_2 1 = (-#6*(pow r1 2) - #12*r1*r2 - #6*r1*r3 - #8*r1 - #6*(pow r2 2) - #6*r2*r3 - #8*r2 - #4*r3 - #3)/(#12*r1*r2*(r2 + r3)) /\
  a_1_2 2 = #0 /\
  a_1_2 3 = #0 /\
  a_1_2 4 = #0 /\
  a_1_2 5 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_1_3 :
  a_1_3 0 = #0 /\
  a_1_3 1 = (#6*(pow r1 2) + #6*r1*r2 + #6*r1*r3 + #8*r1 + #4*r2 + #4*r3 + #3)/(#12*r2*r3*(r1 + r2)) /\
  a_1_3 2 = #0 /\
  a_1_3 3 = #0 /\
  a_1_3 4 = #0 /\
  a_1_3 5 = #0.
Proof. expand. repeat split; identity. Qed.
Lemma values_1_4 :
  a_1_4 0 = #0 /\
  a_1_4 1 = (-#6*(pow r1 2) - #6*r1*r2 - #8*r1 - #4*r2 - #3)/(#12*r3*(r2 + r3)*(r1 + r2 + r3)) /\
  a_1_4 2 = #0 /\
  a_1_4 3 = #0 /\
  a_1_4 4 = #0 /\
  a_1_4 5 = #0.
Proof. expand. repeat split; identity. Qed.
Ltac coefficients := pose proof values_1_1; pose proof values_1_2; pose proof values_1_3; pose proof values_1_4; split_hypotheses;
  cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_1_2 a_1_3 a_1_4] in * |-.
Ltac conditions := reduce; rewrite_hypotheses; repeat split; identity.

Theorem order : has_order 4 step.
Proof.
  coefficients. apply order_by_quadrature; [reflexivity|reflexivity|reflexivity|..].
  - repeat constructor; assumption.
  - reduce. repeat split; identity.
  - conditions.
Qed.

(* Conditions of total order 5 that fail, and by what. *)
Theorem leading_defects :
  (forall t, size t = 5 -> residual step t 0 = one / subdensities t * (-(pow r1 3)/#2 - (pow r1 2)*r2 - (pow r1 2)*r3/#2 - (pow r1 2) - r1*(pow r2 2)/#2 - r1*r2*r3/#2 - #4*r1*r2/#3 - #2*r1*r3/#3 - #3*r1/#4 - (pow r2 2)/#3 - r2*r3/#3 - r2/#2 - r3/#4 - #1/#5)).
Proof. coefficients. repeat split; apply defects_by_quadrature; try reflexivity; conditions. Qed.
End Definitions.

(* So the order is not 5: one fails in the rational numbers, at r1 = 2, r2 = 3, r3 = 5. *)
Theorem not_more : ~ has_order 5 (step (K := rationals) #2 #3 #5).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 1 [node 0 []; node 0 []; node 0 []]) 0 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End all_ratios.

Definition proved := (@all_ratios.order, @all_ratios.leading_defects, @all_ratios.not_more).
Print Assumptions proved.
