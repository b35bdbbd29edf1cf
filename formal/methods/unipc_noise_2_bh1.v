(* unipc-noise-2-bh1 is exactly of order 3 for a smooth G in any dimension, all step ratios.
   Written by `python -m samplerproof.theory.formal` from the record of unipc-noise-2-bh1; checked by `make formal`. *)
From Coq Require Import List Arith Lia ZArith Field.
From samplerproof Require Import Orders Rationals.
Import ListNotations.
Open Scope field_scope.

Module all_ratios.
Section Definitions.
Context {K : field} (r1 : K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition predictor_W_1_1 : series K := ((h * phi 1 #1) + ((#1/(#2*r1)) • h))%S.
Definition predictor_a_1_1 : series K := (predictor_W_1_1 * growth (-#1) #1 #0)%S.
Definition predictor_W_1_2 : series K := ((-#1/(#2*r1)) • h)%S.
Definition predictor_a_1_2 : series K := (predictor_W_1_2 * growth (-#1) #1 (-r1))%S.
Definition predictor_c_0 : series K := ($#1)%S.

Definition predictor : method K := {|
  stages := [];
  states := [(At #0, predictor_c_0)];
  outputs := [
    Output K (Path (At #0)) predictor_a_1_1;
    Output K (Path (At (-r1))) predictor_a_1_2]
|}.
End Definitions.

Section Definitions.
Context {K : field} (r1 r2 r3 : K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition W_1_1 : series K := ((h * phi 1 #1) + ((#1/(#2*r1)) • h))%S.
Definition a_1_1 : series K := (W_1_1 * growth (-#1) #1 #0)%S.
Definition W_1_2 : series K := ((-#1/(#2*r1)) • h)%S.
Definition a_1_2 : series K := (W_1_2 * growth (-#1) #1 (-r1))%S.
Definition W_2_1 : series K := ((h * phi 1 #1) + ((-(r1 - #1)/r1) • (h * phi 2 #1)) + ((-#2/r1) • (h * phi 3 #1)))%S.
Definition a_2_1 : series K := (W_2_1 * growth (-#1) #1 #0)%S.
Definition W_2_2 : series K := (((-#1/(r1*(r1 + #1))) • (h * phi 2 #1)) + ((#2/(r1*(r1 + #1))) • (h * phi 3 #1)))%S.
Definition a_2_2 : series K := (W_2_2 * growth (-#1) #1 (-r1))%S.
Definition W_2_3 : series K := (((r1/(r1 + #1)) • (h * phi 2 #1)) + ((#2/(r1 + #1)) • (h * phi 3 #1)))%S.
Definition a_2_3 : series K := (W_2_3 * growth (-#1) #1 #1)%S.
Definition c_0 : series K := ($#1)%S.

Definition step : method K := {|
  stages := [
    MakeStage K (At #1) [
      Output K (Predicted (At #0) (off_path 2 r1 (predictor (r2/r1)))) a_1_1;
      Output K (Predicted (At (-r1)) (off_path 2 r2 (predictor (r3/r2)))) a_1_2]];
  states := [(At #0, c_0)];
  outputs := [
    Output K (Predicted (At #0) (off_path 2 r1 (predictor (r2/r1)))) a_2_1;
    Output K (Predicted (At (-r1)) (off_path 2 r2 (predictor (r3/r2)))) a_2_2;
    Output K (Stage 0) a_2_3]
|}.

Hypothesis nonzero_1 : r1 <> #0.
Hypothesis nonzero_2 : r1 + #1 <> #0.
Ltac reduce := cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_1_2 a_2_1 a_2_2 a_2_3].
Ltac expand := cbv -[not carrier add mul sub opp div inv zero one].

(* The coefficients of h^0, h^1, … in every a. *)
Lemma values_1_1 :
  a_1_1 0 = #0 /\
  a_1_1 1 = (#2*r1 + #1)/(#2*r1) /\
  a_1_1 2 = (-r1 - #1)/(#2*r1) /\
  a_1_1 3 = (#2*r1 + #3)/(#12*r1) /\
  a_1_1 4 = (-r1 - #2)/(#24*r1).
Proof. expand. repeat split; identity. Qed.
Lemma values_1_2 :
  a_1_2 0 = #0 /\
  a_1_2 1 = -#1/(#2*r1) /\
  a_1_2 2 = (r1 + #1)/(#2*r1) /\
  a_1_2 3 = -(pow (r1 + #1) 2)/(#4*r1) /\
  a_1_2 4 = (pow (r1 + #1) 3)/(#12*r1).
Proof. expand. repeat split; identity. Qed.
Lemma values_2_1 :
  a_2_1 0 = #0 /\
  a_2_1 1 = (#3*r1 + #1)/(#6*r1) /\
  a_2_1 2 = (-#2*r1 - #1)/(#12*r1) /\
  a_2_1 3 = (#5*r1 + #3)/(#120*r1) /\
  a_2_1 4 = (-#3*r1 - #2)/(#360*r1).
Proof. expand. repeat split; identity. Qed.
Lemma values_2_2 :
  a_2_2 0 = #0 /\
  a_2_2 1 = -#1/(#6*r1*(r1 + #1)) /\
  a_2_2 2 = (#2*r1 + #1)/(#12*r1*(r1 + #1)) /\
  a_2_2 3 = (-#10*(pow r1 2) - #10*r1 - #3)/(#120*r1*(r1 + #1)) /\
  a_2_2 4 = (#2*r1 + #1)*(#5*(pow r1 2) + #5*r1 + #2)/(#360*r1*(r1 + #1)).
Proof. expand. repeat split; identity. Qed.
Lemma values_2_3 :
  a_2_3 0 = #0 /\
  a_2_3 1 = (#3*r1 + #2)/(#6*(r1 + #1)) /\
  a_2_3 2 = (#2*r1 + #1)/(#12*(r1 + #1)) /\
  a_2_3 3 = (#5*r1 + #2)/(#120*(r1 + #1)) /\
  a_2_3 4 = (#3*r1 + #1)/(#360*(r1 + #1)).
Proof. expand. repeat split; identity. Qed.
Ltac coefficients := pose proof values_1_1; pose proof values_1_2; pose proof values_2_1; pose proof values_2_2; pose proof values_2_3; split_hypotheses;
  cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_1_2 a_2_1 a_2_2 a_2_3] in * |-.
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
  residual step (node 0 []) 3 = r1/#36 + #1/#72 /\
  residual step (node 1 []) 2 = r1/#12 + #1/#24 /\
  residual step (node 0 [node 0 []; node 0 []]) 1 = r1/#6 + #1/#12 /\
  residual step (node 1 [node 0 []]) 1 = r1/#6 + #1/#12 /\
  residual step (node 2 []) 1 = r1/#6 + #1/#12 /\
  residual step (node 0 [node 0 []; node 0 []; node 0 []]) 0 = r1/#6 + #1/#12 /\
  residual step (node 0 [node 0 []; node 0 [node 0 []]]) 0 = r1/#12 + #1/#24 /\
  residual step (node 0 [node 0 []; node 1 []]) 0 = r1/#12 + #1/#24 /\
  residual step (node 1 [node 0 []; node 0 []]) 0 = r1/#6 + #1/#12 /\
  residual step (node 1 [node 0 [node 0 []]]) 0 = r1/#12 + #1/#24 /\
  residual step (node 1 [node 1 []]) 0 = r1/#12 + #1/#24 /\
  residual step (node 2 [node 0 []]) 0 = r1/#6 + #1/#12 /\
  residual step (node 3 []) 0 = r1/#6 + #1/#12.
Proof. coefficients. conditions. Qed.
End Definitions.

(* So the order is not 4: one fails in the rational numbers, at r1 = 2, r2 = 3, r3 = 5. *)
Theorem not_more : ~ has_order 4 (step (K := rationals) #2 #3 #5).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 1 [node 0 []; node 0 []]) 0 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End all_ratios.

Definition proved := (@all_ratios.order, @all_ratios.leading_defects, @all_ratios.not_more).
Print Assumptions proved.
