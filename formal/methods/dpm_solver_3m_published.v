(* dpm-solver-3m-published is exactly of order 2 for a smooth G in any dimension, all step ratios.
   Written by `python -m samplerproof.theory.formal` from the record of dpm-solver-3m-published; checked by `make formal`. *)
From Coq Require Import List Arith Lia ZArith Field.
From samplerproof Require Import Orders Rationals.
Import ListNotations.
Open Scope field_scope.

Module all_ratios.
Section Definitions.
Context {K : field} (r1 r2 : K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition W_1_1 : series K := ((h * phi 1 #1) + (((#2*r1 + r2)/(r1*(r1 + r2))) • (h * phi 2 #1)) + ((#1/(r1*(r1 + r2))) • (h * phi 3 #1)))%S.
Definition a_1_1 : series K := (W_1_1 * growth (-#1) #1 #0)%S.
Definition W_1_2 : series K := (((-(r1 + r2)/(r1*r2)) • (h * phi 2 #1)) + ((-#1/(r1*r2)) • (h * phi 3 #1)))%S.
Definition a_1_2 : series K := (W_1_2 * growth (-#1) #1 (-r1))%S.
Definition W_1_3 : series K := (((r1/(r2*(r1 + r2))) • (h * phi 2 #1)) + ((#1/(r2*(r1 + r2))) • (h * phi 3 #1)))%S.
Definition a_1_3 : series K := (W_1_3 * growth (-#1) #1 (-r1 - r2))%S.
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
  a_1_1 1 = (#6*(pow r1 2) + #6*r1*r2 + #6*r1 + #3*r2 + #1)/(#6*r1*(r1 + r2)) /\
  a_1_1 2 = (-#12*(pow r1 2) - #12*r1*r2 - #16*r1 - #8*r2 - #3)/(#24*r1*(r1 + r2)) /\
  a_1_1 3 = (#20*(pow r1 2) + #20*r1*r2 + #30*r1 + #15*r2 + #6)/(#120*r1*(r1 + r2)).
Proof. expand. repeat split; identity. Qed.
Lemma values_1_2 :
  a_1_2 0 = #0 /\
  a_1_2 1 = (-#3*r1 - #3*r2 - #1)/(#6*r1*r2) /\
  a_1_2 2 = (#12*(pow r1 2) + #12*r1*r2 + #12*r1 + #8*r2 + #3)/(#24*r1*r2) /\
  a_1_2 3 = (-#30*(pow r1 3) - #30*(pow r1 2)*r2 - #50*(pow r1 2) - #40*r1*r2 - #30*r1 - #15*r2 - #6)/(#120*r1*r2).
Proof. expand. repeat split; identity. Qed.
Lemma values_1_3 :
  a_1_3 0 = #0 /\
  a_1_3 1 = (#3*r1 + #1)/(#6*r2*(r1 + r2)) /\
  a_1_3 2 = (-#12*(pow r1 2) - #12*r1*r2 - #12*r1 - #4*r2 - #3)/(#24*r2*(r1 + r2)) /\
  a_1_3 3 = (#30*(pow r1 3) + #60*(pow r1 2)*r2 + #50*(pow r1 2) + #30*r1*(pow r2 2) + #60*r1*r2 + #30*r1 + #10*(pow r2 2) + #15*r2 + #6)/(#120*r2*(r1 + r2)).
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
  (forall t, size t = 1 -> residual step t 2 = one / subdensities t * (-#1/#12)) /\
  (forall t, size t = 2 -> residual step t 1 = one / subdensities t * (-#1/#6)) /\
  (forall t, size t = 3 -> residual step t 0 = one / subdensities t * (-#1/#6)).
Proof. coefficients. repeat split; apply defects_by_quadrature; try reflexivity; conditions. Qed.
End Definitions.

(* So the order is not 3: one fails in the rational numbers, at r1 = 2, r2 = 3. *)
Theorem not_more : ~ has_order 3 (step (K := rationals) #2 #3).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 1 [node 0 []]) 0 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End all_ratios.

Definition proved := (@all_ratios.order, @all_ratios.leading_defects, @all_ratios.not_more).
Print Assumptions proved.
