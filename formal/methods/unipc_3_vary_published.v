(* unipc-3-vary-published is exactly of order 1 for a smooth G in any dimension, all step ratios.
   Written by `python -m samplerproof.theory.formal` from the record of unipc-3-vary-published; checked by `make formal`. *)
From Coq Require Import List Arith Lia ZArith Field.
From samplerproof Require Import Orders Rationals.
Import ListNotations.
Open Scope field_scope.

Module all_ratios.
Section Definitions.
Context {K : field} (r1 r2 : K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition predictor_W_1_1 : series K := ((h * phi 1 (-#1)) + (((#2*r1 + r2)/(r1*(r1 + r2))) • (h * phi 2 (-#1))) + ((#2/(r1*(r1 + r2))) • (h * phi 3 (-#1))))%S.
Definition predictor_a_1_1 : series K := (predictor_W_1_1 * growth #1 #1 #0)%S.
Definition predictor_W_1_2 : series K := (((-(r1 + r2)/(r1*r2)) • (h * phi 2 (-#1))) + ((-#2/(r1*r2)) • (h * phi 3 (-#1))))%S.
Definition predictor_a_1_2 : series K := (predictor_W_1_2 * growth #1 #1 (-r1))%S.
Definition predictor_W_1_3 : series K := (((r1/(r2*(r1 + r2))) • (h * phi 2 (-#1))) + ((#2/(r2*(r1 + r2))) • (h * phi 3 (-#1))))%S.
Definition predictor_a_1_3 : series K := (predictor_W_1_3 * growth #1 #1 (-r1 - r2))%S.
Definition predictor_c_0 : series K := ($#1)%S.

Definition predictor : method K := {|
  stages := [];
  states := [(At #0, predictor_c_0)];
  outputs := [
    Output K (Path (At #0)) predictor_a_1_1;
    Output K (Path (At (-r1))) predictor_a_1_2;
    Output K (Path (At (-r1 - r2))) predictor_a_1_3]
|}.
End Definitions.

Section Definitions.
Context {K : field} (r1 r2 r3 r4 r5 : K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition W_1_1 : series K := ((h * phi 1 (-#1)) + (((#2*r1 + r2)/(r1*(r1 + r2))) • (h * phi 2 (-#1))) + ((#2/(r1*(r1 + r2))) • (h * phi 3 (-#1))))%S.
Definition a_1_1 : series K := (W_1_1 * growth #1 #1 #0)%S.
Definition W_1_2 : series K := (((-(r1 + r2)/(r1*r2)) • (h * phi 2 (-#1))) + ((-#2/(r1*r2)) • (h * phi 3 (-#1))))%S.
Definition a_1_2 : series K := (W_1_2 * growth #1 #1 (-r1))%S.
Definition W_1_3 : series K := (((r1/(r2*(r1 + r2))) • (h * phi 2 (-#1))) + ((#2/(r2*(r1 + r2))) • (h * phi 3 (-#1))))%S.
Definition a_1_3 : series K := (W_1_3 * growth #1 #1 (-r1 - r2))%S.
Definition W_2_1 : series K := (((-#2*(#2*r1 + r2)/((r1 + #1)*(r1 + r2 + #1))) • (h * phi 4 (-#1))) + (h * phi 1 (-#1)) + ((#1/(r2*(r1 + r2)*(r1 + r2 + #1))) • (h * (((-r1) • phi 2 (-#1)) + ((#2*r1 - #2) • phi 3 (-#1))))) + ((#1/(r1*r2*(r1 + #1))) • (h * (((r1 + r2) • phi 2 (-#1)) + ((-#2*r1 - #2*r2 + #2) • phi 3 (-#1))))))%S.
Definition a_2_1 : series K := (W_2_1 * growth #1 #1 #0)%S.
Definition W_2_2 : series K := ((-#1/(r1*r2*(r1 + #1))) • (h * (((r1 + r2) • phi 2 (-#1)) + ((-#2*r1 - #2*r2 + #2) • phi 3 (-#1)))))%S.
Definition a_2_2 : series K := (W_2_2 * growth #1 #1 (-r1))%S.
Definition W_2_3 : series K := ((-#1/(r2*(r1 + r2)*(r1 + r2 + #1))) • (h * (((-r1) • phi 2 (-#1)) + ((#2*r1 - #2) • phi 3 (-#1)))))%S.
Definition a_2_3 : series K := (W_2_3 * growth #1 #1 (-r1 - r2))%S.
Definition W_2_4 : series K := ((#2*(#2*r1 + r2)/((r1 + #1)*(r1 + r2 + #1))) • (h * phi 4 (-#1)))%S.
Definition a_2_4 : series K := (W_2_4 * growth #1 #1 #1)%S.
Definition c_0 : series K := ($#1)%S.

Definition step : method K := {|
  stages := [
    MakeStage K (At #1) [
      Output K (Predicted (At #0) (off_path 3 r1 (predictor (r2/r1) (r3/r1)))) a_1_1;
      Output K (Predicted (At (-r1)) (off_path 3 r2 (predictor (r3/r2) (r4/r2)))) a_1_2;
      Output K (Predicted (At (-r1 - r2)) (off_path 3 r3 (predictor (r4/r3) (r5/r3)))) a_1_3]];
  states := [(At #0, c_0)];
  outputs := [
    Output K (Predicted (At #0) (off_path 3 r1 (predictor (r2/r1) (r3/r1)))) a_2_1;
    Output K (Predicted (At (-r1)) (off_path 3 r2 (predictor (r3/r2) (r4/r2)))) a_2_2;
    Output K (Predicted (At (-r1 - r2)) (off_path 3 r3 (predictor (r4/r3) (r5/r3)))) a_2_3;
    Output K (Stage 0) a_2_4]
|}.

Hypothesis nonzero_1 : r1 <> #0.
Hypothesis nonzero_2 : r2 <> #0.
Hypothesis nonzero_3 : r1 + #1 <> #0.
Hypothesis nonzero_4 : r1 + r2 <> #0.
Hypothesis nonzero_5 : r1 + r2 + #1 <> #0.
Ltac reduce := cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_1_2 a_1_3 a_2_1 a_2_2 a_2_3 a_2_4].
Ltac expand := cbv -[not carrier add mul sub opp div inv zero one].

(* The coefficients of h^0, h^1, … in every a. *)
Lemma values_1_1 :
  a_1_1 0 = #0 /\
  a_1_1 1 = (#6*(pow r1 2) + #6*r1*r2 + #6*r1 + #3*r2 + #2)/(#6*r1*(r1 + r2)) /\
  a_1_1 2 = (#6*(pow r1 2) + #6*r1*r2 + #8*r1 + #4*r2 + #3)/(#12*r1*(r1 + r2)).
Proof. expand. repeat split; identity. Qed.
Lemma values_1_2 :
  a_1_2 0 = #0 /\
  a_1_2 1 = (-#3*r1 - #3*r2 - #2)/(#6*r1*r2) /\
  a_1_2 2 = (-#6*(pow r1 2) - #6*r1*r2 - #8*r1 - #4*r2 - #3)/(#12*r1*r2).
Proof. expand. repeat split; identity. Qed.
Lemma values_1_3 :
  a_1_3 0 = #0 /\
  a_1_3 1 = (#3*r1 + #2)/(#6*r2*(r1 + r2)) /\
  a_1_3 2 = (#6*(pow r1 2) + #6*r1*r2 + #8*r1 + #4*r2 + #3)/(#12*r2*(r1 + r2)).
Proof. expand. repeat split; identity. Qed.
Lemma values_2_1 :
  a_2_1 0 = #0 /\
  a_2_1 1 = (#12*(pow r1 4) + #24*(pow r1 3)*r2 + #22*(pow r1 3) + #12*(pow r1 2)*(pow r2 2) + #33*(pow r1 2)*r2 + #18*(pow r1 2) + #11*r1*(pow r2 2) + #18*r1*r2 + #12*r1 + #2*(pow r2 2) + #6*r2 + #4)/(#12*r1*(r1 + #1)*(r1 + r2)*(r1 + r2 + #1)) /\
  a_2_1 2 = (#30*(pow r1 4) + #60*(pow r1 3)*r2 + #52*(pow r1 3) + #30*(pow r1 2)*(pow r2 2) + #78*(pow r1 2)*r2 + #45*(pow r1 2) + #26*r1*(pow r2 2) + #45*r1*r2 + #40*r1 + #5*(pow r2 2) + #20*r2 + #15)/(#60*r1*(r1 + #1)*(r1 + r2)*(r1 + r2 + #1)).
Proof. expand. repeat split; identity. Qed.
Lemma values_2_2 :
  a_2_2 0 = #0 /\
  a_2_2 1 = (-r1 - r2 - #2)/(#6*r1*r2*(r1 + #1)) /\
  a_2_2 2 = (-#2*(pow r1 2) - #2*r1*r2 - #5*r1 - r2 - #3)/(#12*r1*r2*(r1 + #1)).
Proof. expand. repeat split; identity. Qed.
Lemma values_2_3 :
  a_2_3 0 = #0 /\
  a_2_3 1 = (r1 + #2)/(#6*r2*(r1 + r2)*(r1 + r2 + #1)) /\
  a_2_3 2 = (#2*(pow r1 2) + #2*r1*r2 + #5*r1 + #4*r2 + #3)/(#12*r2*(r1 + r2)*(r1 + r2 + #1)).
Proof. expand. repeat split; identity. Qed.
Lemma values_2_4 :
  a_2_4 0 = #0 /\
  a_2_4 1 = (#2*r1 + r2)/(#12*(r1 + #1)*(r1 + r2 + #1)) /\
  a_2_4 2 = (-#2*r1 - r2)/(#60*(r1 + #1)*(r1 + r2 + #1)).
Proof. expand. repeat split; identity. Qed.
Ltac coefficients := pose proof values_1_1; pose proof values_1_2; pose proof values_1_3; pose proof values_2_1; pose proof values_2_2; pose proof values_2_3; pose proof values_2_4; split_hypotheses;
  cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_1_2 a_1_3 a_2_1 a_2_2 a_2_3 a_2_4] in * |-.
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
  residual step (node 0 []) 1 = (#2*(pow r1 2) + #2*r1*r2 + #2*r1 + r2)/(#4*(r1 + #1)*(r1 + r2 + #1)) /\
  residual step (node 0 [node 0 []]) 0 = (-#2*(pow r1 2) - #2*r1*r2 - #2*r1 - r2)/(#4*(r1 + #1)*(r1 + r2 + #1)) /\
  residual step (node 1 []) 0 = (-#2*(pow r1 2) - #2*r1*r2 - #2*r1 - r2)/(#4*(r1 + #1)*(r1 + r2 + #1)).
Proof. coefficients. conditions. Qed.
End Definitions.

(* So the order is not 2: one fails in the rational numbers, at r1 = 2, r2 = 3, r3 = 5, r4 = 7, r5 = 11. *)
Theorem not_more : ~ has_order 2 (step (K := rationals) #2 #3 #5 #7 #11).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 0 []) 1 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End all_ratios.

Definition proved := (@all_ratios.order, @all_ratios.leading_defects, @all_ratios.not_more).
Print Assumptions proved.
