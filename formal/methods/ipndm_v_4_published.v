(* ipndm-v-4-published is exactly of order 1 for a smooth G in any dimension, step ratios 1 + O(h).
   Written by `python -m samplerproof.theory.formal` from the record of ipndm-v-4-published; checked by `make formal`. *)
From Coq Require Import List Arith Lia ZArith Field.
From samplerproof Require Import Orders Rationals.
Import ListNotations.
Open Scope field_scope.

Module near_equal_steps.
Section Definitions.
Context {K : field} (e1 e2 e3 : nat -> K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition W_1_1 : series K := ((#1/#12) • (h * inverse (near #1 e1) * inverse ((near #1 e1 + near #1 e2)) * inverse ((near #1 e1 + near #1 e2 + near #1 e3)) * ((#18 • (near #1 e1)^3) + (#36 • ((near #1 e1)^2 * near #1 e2)) + (#18 • ((near #1 e1)^2 * near #1 e3)) + (#12 • (near #1 e1)^2) + (#18 • (near #1 e1 * (near #1 e2)^2)) + (#18 • (near #1 e1 * near #1 e2 * near #1 e3)) + (#18 • (near #1 e1 * near #1 e2)) + (#6 • (near #1 e1 * near #1 e3)) + (#10 • near #1 e1) + (#6 • (near #1 e2)^2) + (#6 • (near #1 e2 * near #1 e3)) + (#2 • near #1 e2) + ((-#2) • near #1 e3) + ($#5))))%S.
Definition a_1_1 : series K := W_1_1.
Definition W_1_2 : series K := ((-#1/#12) • (h * inverse (near #1 e1) * inverse (near #1 e2) * inverse ((near #1 e2 + near #1 e3)) * ((#6 • ((near #1 e1)^2 * near #1 e2)) + (#6 • ((near #1 e1)^2 * near #1 e3)) + (#6 • (near #1 e1)^2) + (#6 • (near #1 e1 * (near #1 e2)^2)) + (#6 • (near #1 e1 * near #1 e2 * near #1 e3)) + (#6 • (near #1 e1 * near #1 e2)) + (#12 • near #1 e1) + (#6 • (near #1 e2)^2) + (#6 • (near #1 e2 * near #1 e3)) + (#2 • near #1 e2) + ((-#2) • near #1 e3) + ($#5))))%S.
Definition a_1_2 : series K := W_1_2.
Definition W_1_3 : series K := ((#1/#12) • (h * inverse (near #1 e2) * inverse (near #1 e3) * inverse ((near #1 e1 + near #1 e2)) * ((#6 • ((near #1 e1)^2 * near #1 e3)) + (#6 • (near #1 e1)^2) + (#6 • (near #1 e1 * near #1 e2 * near #1 e3)) + (#6 • (near #1 e1 * near #1 e2)) + (#12 • near #1 e1) + (#4 • near #1 e2) + ((-#2) • near #1 e3) + ($#5))))%S.
Definition a_1_3 : series K := W_1_3.
Definition W_1_4 : series K := ((-#1/#12) • (h * near #1 e1 * inverse ((near #1 e2)^2) * inverse ((near #1 e2 + near #1 e3)) * inverse ((near #1 e1 + near #1 e2 + near #1 e3)) * ((#6 • (near #1 e1)^2) + (#6 • (near #1 e1 * near #1 e2)) + (#12 • near #1 e1) + (#4 • near #1 e2) + ($#5))))%S.
Definition a_1_4 : series K := W_1_4.
Definition c_0 : series K := ($#1)%S.

Definition step : method K := {|
  stages := [];
  states := [(At #0, c_0)];
  outputs := [
    Output K (Path (At #0)) a_1_1;
    Output K (Path (Near ((-#1) • near #1 e1)%S)) a_1_2;
    Output K (Path (Near (((-#1) • near #1 e1) + ((-#1) • near #1 e2))%S)) a_1_3;
    Output K (Path (Near (((-#1) • near #1 e1) + ((-#1) • near #1 e2) + ((-#1) • near #1 e3))%S)) a_1_4]
|}.

Ltac reduce := cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_1_2 a_1_3 a_1_4].
Ltac expand := cbv -[not carrier add mul sub opp div inv zero one].

(* The coefficients of h^0, h^1, … in every a. *)
Lemma values_1_1 :
  a_1_1 0 = #0 /\
  a_1_1 1 = #19/#8 /\
  a_1_1 2 = -#115*(e1 1)/#144 - #29*(e2 1)/#144 - #11*(e3 1)/#72.
Proof. expand. repeat split; identity. Qed.
Lemma values_1_2 :
  a_1_2 0 = #0 /\
  a_1_2 1 = -#65/#24 /\
  a_1_2 2 = -(e1 1)/#24 + #95*(e2 1)/#48 + #11*(e3 1)/#16.
Proof. expand. repeat split; identity. Qed.
Lemma values_1_3 :
  a_1_3 0 = #0 /\
  a_1_3 1 = #43/#24 /\
  a_1_3 2 = #53*(e1 1)/#48 - #97*(e2 1)/#48 - #11*(e3 1)/#8.
Proof. expand. repeat split; identity. Qed.
Lemma values_1_4 :
  a_1_4 0 = #0 /\
  a_1_4 1 = -#11/#24 /\
  a_1_4 2 = -#13*(e1 1)/#18 + #167*(e2 1)/#144 + #55*(e3 1)/#144.
Proof. expand. repeat split; identity. Qed.
Ltac coefficients := pose proof values_1_1; pose proof values_1_2; pose proof values_1_3; pose proof values_1_4; split_hypotheses;
  cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_1_2 a_1_3 a_1_4] in * |-.
Ltac conditions := reduce; rewrite_hypotheses; repeat split; identity.

Theorem order : has_order 1 step.
Proof.
  coefficients. apply order_by_quadrature; [reflexivity|reflexivity|reflexivity|..].
  - repeat constructor; assumption.
  - reduce. repeat split; identity.
  - conditions.
Qed.

(* Conditions of total order 2 that fail, and by what. *)
Theorem leading_defects :
  (forall t, size t = 1 -> residual step t 1 = one / subdensities t * (-#11*(e1 1)/#24 + #11*(e2 1)/#12 - #11*(e3 1)/#24)).
Proof. coefficients. repeat split; apply defects_by_quadrature; try reflexivity; conditions. Qed.
End Definitions.

(* So the order is not 2: one fails in the rational numbers, at e1 n = 1, e2 n = 1, e3 n = 1. *)
Theorem not_more : ~ has_order 2 (step (K := rationals) (fun _ => #1) (fun _ => #1) (fun _ => #1)).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 0 []) 1 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End near_equal_steps.

Module all_ratios.
Section Definitions.
Context {K : field} (r1 r2 r3 : K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition W_1_1 : series K := (((#18*(pow r1 3) + #36*(pow r1 2)*r2 + #18*(pow r1 2)*r3 + #12*(pow r1 2) + #18*r1*(pow r2 2) + #18*r1*r2*r3 + #18*r1*r2 + #6*r1*r3 + #10*r1 + #6*(pow r2 2) + #6*r2*r3 + #2*r2 - #2*r3 + #5)/(#12*r1*(r1 + r2)*(r1 + r2 + r3))) • h)%S.
Definition a_1_1 : series K := W_1_1.
Definition W_1_2 : series K := ((-(#6*(pow r1 2)*r2 + #6*(pow r1 2)*r3 + #6*(pow r1 2) + #6*r1*(pow r2 2) + #6*r1*r2*r3 + #6*r1*r2 + #12*r1 + #6*(pow r2 2) + #6*r2*r3 + #2*r2 - #2*r3 + #5)/(#12*r1*r2*(r2 + r3))) • h)%S.
Definition a_1_2 : series K := W_1_2.
Definition W_1_3 : series K := (((#6*(pow r1 2)*r3 + #6*(pow r1 2) + #6*r1*r2*r3 + #6*r1*r2 + #12*r1 + #4*r2 - #2*r3 + #5)/(#12*r2*r3*(r1 + r2))) • h)%S.
Definition a_1_3 : series K := W_1_3.
Definition W_1_4 : series K := ((-r1*(#6*(pow r1 2) + #6*r1*r2 + #12*r1 + #4*r2 + #5)/(#12*(pow r2 2)*(r2 + r3)*(r1 + r2 + r3))) • h)%S.
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
  a_1_1 1 = (#18*(pow r1 3) + #36*(pow r1 2)*r2 + #18*(pow r1 2)*r3 + #12*(pow r1 2) + #18*r1*(pow r2 2) + #18*r1*r2*r3 + #18*r1*r2 + #6*r1*r3 + #10*r1 + #6*(pow r2 2) + #6*r2*r3 + #2*r2 - #2*r3 + #5)/(#12*r1*(r1 + r2)*(r1 + r2 + r3)).
Proof. expand. repeat split; identity. Qed.
Lemma values_1_2 :
  a_1_2 0 = #0 /\
  a_1_2 1 = (-#6*(pow r1 2)*r2 - #6*(pow r1 2)*r3 - #6*(pow r1 2) - #6*r1*(pow r2 2) - #6*r1*r2*r3 - #6*r1*r2 - #12*r1 - #6*(pow r2 2) - #6*r2*r3 - #2*r2 + #2*r3 - #5)/(#12*r1*r2*(r2 + r3)).
Proof. expand. repeat split; identity. Qed.
Lemma values_1_3 :
  a_1_3 0 = #0 /\
  a_1_3 1 = (#6*(pow r1 2)*r3 + #6*(pow r1 2) + #6*r1*r2*r3 + #6*r1*r2 + #12*r1 + #4*r2 - #2*r3 + #5)/(#12*r2*r3*(r1 + r2)).
Proof. expand. repeat split; identity. Qed.
Lemma values_1_4 :
  a_1_4 0 = #0 /\
  a_1_4 1 = -r1*(#6*(pow r1 2) + #6*r1*r2 + #12*r1 + #4*r2 + #5)/(#12*(pow r2 2)*(r2 + r3)*(r1 + r2 + r3)).
Proof. expand. repeat split; identity. Qed.
Ltac coefficients := pose proof values_1_1; pose proof values_1_2; pose proof values_1_3; pose proof values_1_4; split_hypotheses;
  cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_1_2 a_1_3 a_1_4] in * |-.
Ltac conditions := reduce; rewrite_hypotheses; repeat split; identity.

Theorem order : has_order 0 step.
Proof.
  coefficients. apply order_by_quadrature; [reflexivity|reflexivity|reflexivity|..].
  - repeat constructor; assumption.
  - reduce. repeat split; identity.
  - conditions.
Qed.

(* Conditions of total order 1 that fail, and by what. *)
Theorem leading_defects :
  (forall t, size t = 1 -> residual step t 0 = one / subdensities t * ((-r1*r3 + (pow r2 2))*(#6*(pow r1 2) + #6*r1*r2 + #12*r1 + #4*r2 + #5)/(#12*r3*(pow r2 2)*(r2 + r3)*(r1 + r2 + r3)))).
Proof. coefficients. repeat split; apply defects_by_quadrature; try reflexivity; conditions. Qed.
End Definitions.

(* So the order is not 1: one fails in the rational numbers, at r1 = 2, r2 = 3, r3 = 5. *)
Theorem not_more : ~ has_order 1 (step (K := rationals) #2 #3 #5).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 0 []) 0 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End all_ratios.

Definition proved := (@near_equal_steps.order, @near_equal_steps.leading_defects, @near_equal_steps.not_more, @all_ratios.order, @all_ratios.leading_defects, @all_ratios.not_more).
Print Assumptions proved.
