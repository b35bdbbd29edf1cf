(* The rational numbers as a field of characteristic 0, in which the conditions that fail are counterexamples. *)
From Coq Require Import ZArith QArith Qcanon Field_theory InitialRing.
From samplerproof Require Import Orders.

Lemma positive_rational (p : positive) : Qclt (Q2Qc 0) (gen_phiPOS1 (Q2Qc 1) Qcplus Qcmult p).
Proof.
  assert (forall x y : Qc, Qclt (Q2Qc 0) x -> Qclt (Q2Qc 0) y -> Qclt (Q2Qc 0) (Qcplus x y)) as sum.
  { intros x y Hx Hy. apply Qclt_le_trans with x; [exact Hx|].
    rewrite <- (Qcplus_0_r x) at 1. apply Qcplus_le_compat; [apply Qcle_refl|now apply Qclt_le_weak]. }
  assert (forall x y : Qc, Qclt (Q2Qc 0) x -> Qclt (Q2Qc 0) y -> Qclt (Q2Qc 0) (Qcmult x y)) as product.
  { intros x y Hx Hy. rewrite <- (Qcmult_0_l y). now apply Qcmult_lt_compat_r. }
  assert (Qclt (Q2Qc 0) (Q2Qc 1)) as one by reflexivity.
  induction p; cbn [gen_phiPOS1]; auto.
Qed.

Definition rationals : field.
Proof.
  refine (Field Qc (Q2Qc 0) (Q2Qc 1) Qcplus Qcmult Qcminus Qcopp Qcdiv Qcinv Qcft _).
  intros p H. pose proof (positive_rational p) as less. rewrite H in less. discriminate less.
Defined.

Definition rational (q : Q) : rationals := Q2Qc q.

(* Decided by computing both. *)
Definition differ (x y : Qc) : bool := negb (Qeq_bool x y).
Lemma differ_correct (x y : rationals) : differ x y = true -> x <> y.
Proof.
  intros apart ->. unfold differ in apart. now rewrite (proj2 (Qeq_bool_iff y y) (Qeq_refl y)) in apart.
Qed.
Ltac differ := apply differ_correct; vm_compute; reflexivity.
Print Assumptions rationals.
