(* li-code-accelerated-ode is exactly of order 2 for a smooth G in any dimension, all step ratios.
   Written by `python -m samplerproof.theory.formal` from the record of li-code-accelerated-ode; checked by `make formal`. *)
From Coq Require Import List Arith Lia ZArith Field.
From samplerproof Require Import Orders Rationals.
Import ListNotations.
Open Scope field_scope.

Module all_ratios.
Section Definitions.
Context {K : field} (r1 rho : K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition W_1_1 : series K := (h + ((((pow rho 2) + #1)/r1) • (h * inverse ((((-r1) • h) + ($(#2*rho)))) * ((h * inverse ((((rho • ($rho + h)) + ($#1)))^3) * arc (h * inverse (((rho • ($rho + h)) + ($#1))))) + ((rho/((pow rho 2) + #1)) • inverse (((rho • ($rho + h)) + ($#1))))) * (((((-r1) • h) + ($rho)))^2 + ($#1)))))%S.
Definition a_1_1 : series K := W_1_1.
Definition W_1_2 : series K := ((-((pow rho 2) + #1)/r1) • (h * inverse ((((-r1) • h) + ($(#2*rho)))) * ((h * inverse ((((rho • ($rho + h)) + ($#1)))^3) * arc (h * inverse (((rho • ($rho + h)) + ($#1))))) + ((rho/((pow rho 2) + #1)) • inverse (((rho • ($rho + h)) + ($#1))))) * (((((-r1) • h) + ($rho)))^2 + ($#1))))%S.
Definition a_1_2 : series K := W_1_2.
Definition c_0 : series K := ($#1)%S.

Definition step : method K := {|
  stages := [];
  states := [(At #0, c_0)];
  outputs := [
    Output K (Path (At #0)) a_1_1;
    Output K (Path (At (-r1))) a_1_2]
|}.

Hypothesis nonzero_1 : r1 <> #0.
Hypothesis nonzero_2 : rho <> #0.
Hypothesis nonzero_3 : (pow rho 2) + #1 <> #0.
Ltac reduce := cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_1_2].
Ltac expand := cbv -[not carrier add mul sub opp div inv zero one].

(* The coefficients of h^0, h^1, … in every a. *)
Lemma values_1_1 :
  a_1_1 0 = #0 /\
  a_1_1 1 = (#2*r1 + #1)/(#2*r1) /\
  a_1_1 2 = (#1 - #3*(pow rho 2))*(#3*r1 + #2)/(#12*r1*rho*((pow rho 2) + #1)) /\
  a_1_1 3 = (#3*(pow r1 2)*(pow rho 4) + #6*(pow r1 2)*(pow rho 2) + #3*(pow r1 2) + #18*r1*(pow rho 4) - #12*r1*(pow rho 2) + #2*r1 + #12*(pow rho 4) - #12*(pow rho 2))/(#24*r1*(pow rho 2)*(pow ((pow rho 2) + #1) 2)).
Proof. expand. repeat split; identity. Qed.
Lemma values_1_2 :
  a_1_2 0 = #0 /\
  a_1_2 1 = -#1/(#2*r1) /\
  a_1_2 2 = (#3*r1 + #2)*(#3*(pow rho 2) - #1)/(#12*r1*rho*((pow rho 2) + #1)) /\
  a_1_2 3 = (-#3*(pow r1 2)*(pow rho 4) - #6*(pow r1 2)*(pow rho 2) - #3*(pow r1 2) - #18*r1*(pow rho 4) + #12*r1*(pow rho 2) - #2*r1 - #12*(pow rho 4) + #12*(pow rho 2))/(#24*r1*(pow rho 2)*(pow ((pow rho 2) + #1) 2)).
Proof. expand. repeat split; identity. Qed.
Ltac coefficients := pose proof values_1_1; pose proof values_1_2; split_hypotheses;
  cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_1_2] in * |-.
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
  (forall t, size t = 2 -> residual step t 1 = one / subdensities t * ((#1 - #3*(pow rho 2))*(#3*r1 + #2)/(#12*rho*((pow rho 2) + #1)))) /\
  (forall t, size t = 3 -> residual step t 0 = one / subdensities t * (-r1/#2 - #1/#3)).
Proof. coefficients. repeat split; apply defects_by_quadrature; try reflexivity; conditions. Qed.
End Definitions.

(* So the order is not 3: one fails in the rational numbers, at r1 = 2, rho = 3. *)
Theorem not_more : ~ has_order 3 (step (K := rationals) #2 #3).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 1 [node 0 []]) 0 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End all_ratios.

Definition proved := (@all_ratios.order, @all_ratios.leading_defects, @all_ratios.not_more).
Print Assumptions proved.
