(* The order conditions of samplers, over any field of characteristic 0.

   A method in its frame advances dz/du = G(z, u) by a step h. Coefficients are power series in h; what they hold besides
   h (step ratios, parameters, Taylor coefficients of a schedule) are elements of the field. *)
From Coq Require Import List Arith Lia Field Ring_theory Field_theory InitialRing ZArith.
Import ListNotations.

(* ---- Fields of characteristic 0: rationals, reals, rational functions. *)

Record field := Field {
  carrier :> Type;
  zero : carrier; one : carrier;
  add : carrier -> carrier -> carrier;
  mul : carrier -> carrier -> carrier;
  sub : carrier -> carrier -> carrier;
  opp : carrier -> carrier;
  div : carrier -> carrier -> carrier;
  inv : carrier -> carrier;
  is_field : field_theory zero one add mul sub opp div inv (@eq carrier);
  characteristic_0 : forall p : positive, gen_phiPOS1 one add mul p <> zero
}.
Arguments zero {f}. Arguments one {f}. Arguments add {f}. Arguments mul {f}.
Arguments sub {f}. Arguments opp {f}. Arguments div {f}. Arguments inv {f}.

Declare Scope field_scope.
Delimit Scope field_scope with K.
Bind Scope field_scope with carrier.
Notation "x + y" := (add x y) : field_scope.
Notation "x * y" := (mul x y) : field_scope.
Notation "x - y" := (sub x y) : field_scope.
Notation "- x" := (opp x) : field_scope.
Notation "x / y" := (div x y) : field_scope.
Open Scope field_scope.

(* An integer as an element of the field. *)
Definition int {K : field} (z : Z) : K := gen_phiZ zero one add mul opp z.
Notation "# z" := (int z%Z) (at level 1, z at level 0, format "# z") : field_scope.

Lemma integers_differ (K : field) (x y : Z) : @int K x = int y -> Zeq_bool x y = true.
Proof.
  apply (@gen_phiZ_complete K zero one add mul sub opp div inv eq (Eqsth K) (Eq_ext add mul opp) (is_field K)).
  exact (characteristic_0 K).
Qed.

Fixpoint pow {K : field} (x : K) (n : nat) : K :=
  match n with O => one | S O => x | S m => x * pow x m end.

Fixpoint factorial (n : nat) : Z := match n with O => 1 | S m => Z.of_nat n * factorial m end.

(* ---- Power series in h: the coefficient of every power. *)

Definition series (K : field) := nat -> K.

Section Series.
Context {K : field}.

Fixpoint sum_to (n : nat) (f : nat -> K) : K := match n with O => f O | S m => sum_to m f + f n end.

Definition constant (c : K) : series K := fun n => match n with O => c | _ => zero end.
Definition h : series K := fun n => match n with S O => one | _ => zero end.
Definition plus (x y : series K) : series K := fun n => x n + y n.
Definition minus (x y : series K) : series K := fun n => x n - y n.
Definition negated (x : series K) : series K := fun n => - x n.
Definition times (x y : series K) : series K := fun n => sum_to n (fun i => x i * y (n - i)%nat).
Definition scaled (c : K) (x : series K) : series K := fun n => c * x n.
Fixpoint power (x : series K) (k : nat) : series K :=
  match k with O => constant one | S O => x | S m => times x (power x m) end.

(* Coefficients n, n-1, …, 0 of a series given by a recursion on those before. *)
Fixpoint recursion (next : nat -> list K -> K) (n : nat) : list K :=
  match n with O => [next O []] | S m => let before := recursion next m in next n before :: before end.
(* sum_{i >= 1} f(i) x_i y_(n - i), where y_(n-1), y_(n-2), … are in the list *)
Fixpoint convolved (f : nat -> K) (x : series K) (i : nat) (before : list K) : K :=
  match before with [] => zero | y :: rest => f i * x i * y + convolved f x (S i) rest end.

(* 1/x, where x_0 <> 0. *)
Definition inverse (x : series K) : series K := fun n =>
  hd zero (recursion (fun n before =>
    match n with O => one / x O | _ => - convolved (fun _ => one) x 1 before / x O end) n).
(* e^x, where x_0 = 0: n e_n = sum_i i x_i e_(n-i) *)
Definition exponential (x : series K) : series K := fun n =>
  hd zero (recursion (fun n before =>
    match n with
    | O => one
    | _ => convolved (fun i => int (Z.of_nat i)) x 1 before / int (Z.of_nat n)
    end) n).
(* phi_k(c h) = sum_n (c h)^n / (n + k)! *)
Definition phi (k : nat) (c : K) : series K := fun n => pow c n / int (factorial (n + k)).

End Series.

Declare Scope series_scope.
Delimit Scope series_scope with S.
Bind Scope series_scope with series.
Notation "x + y" := (plus x y) : series_scope.
Notation "x * y" := (times x y) : series_scope.
Notation "x - y" := (minus x y) : series_scope.
Notation "- x" := (negated x) : series_scope.
Notation "x ^ k" := (power x k) : series_scope.
Notation "c • x" := (scaled c%K x) (at level 40, left associativity) : series_scope.
Notation "$ c" := (constant c%K) (at level 1, c at level 0, format "$ c") : series_scope.

(* A place in the clock in units of h from u_n: a number of the field, or a series where ratios are 1 + O(h). *)
Inductive place {K : field} := At (c : K) | Near (s : series K).
Arguments place : clear implicits.

Section Functions.
Context {K : field}.

(* s^k x *)
Definition by_power (s : place K) (k : nat) (x : series K) : series K :=
  match s, k with
  | _, O => x
  | At c, _ => scaled (pow c k) x
  | Near s, _ => times (power s k) x
  end.
(* f_0 + f_1 s h + f_2 (s h)^2 + … *)
Definition taylor (f : nat -> K) (s : place K) : series K := fun n =>
  match s with
  | At c => f n * pow c n
  | Near _ => sum_to n (fun k => by_power s k (constant (f k)) (n - k)%nat)
  end.
(* Where f_0 is given: the weight of a frame over that at u_n has 1, log alpha less that at u_n has 0. *)
Definition starting (first : K) (f : nat -> K) : nat -> K := fun n => match n with O => first | _ => f n end.
(* A ratio that is c up to O(h), any series. *)
Definition near (c : K) (e : nat -> K) : series K := starting c e.
(* The growth of the frame's weight from a place to another: e^{kappa (end - place) h}. *)
Definition growth (kappa end_ place_ : K) : series K := phi 0 (kappa * (end_ - place_)).
(* The smooth weight q at a place, over that at u_n, and its moment of s^k over the step. *)
Definition weight_at (q : nat -> K) (s : place K) : series K := taylor (starting one q) s.
Definition moment (q : nat -> K) (k : nat) : series K := fun n =>
  match n with O => zero | S m => starting one q m / int (Z.of_nat (n + k)) end.
(* The integral of e^{b (s - 1) h} against it, times h. *)
Definition rate_moment (q : nat -> K) (b : K) : series K :=
  let product := times (phi 0 b) (weight_at q (At one)) in
  times (phi 0 (- b)) (fun n => match n with O => zero | S m => product m / int (Z.of_nat n) end).
(* log alpha at a place less that at u_n, for any smooth alpha *)
Definition log_alpha (l : nat -> K) (s : place K) : series K := taylor (starting zero l) s.
(* (x - arctan x)/x^3 = 1/3 - x^2/5 + x^4/7 - …, where x_0 = 0 *)
Definition arc (x : series K) : series K := fun n =>
  sum_to (Nat.div2 n) (fun j => pow (- one) j / int (Z.of_nat (2 * j + 3)) * power x (2 * j) n).

End Functions.

(* ---- Rooted trees with time legs: a vertex is G, a leg a derivative in u, a child one in z. *)

Inductive tree := node (legs : nat) (children : list tree).

Fixpoint size (t : tree) : nat :=
  match t with node q cs => S (q + fold_right (fun c n => size c + n) 0 cs) end%nat.
Fixpoint density {K : field} (t : tree) : K :=
  match t with node q cs => int (Z.of_nat (size t)) * fold_right (fun c g => density c * g) one cs end.
Definition densities {K : field} (cs : list tree) : K := fold_right (fun c g => density c * g) one cs.
Definition sizes (cs : list tree) : nat := fold_right (fun c n => size c + n)%nat O cs.

(* ---- Methods. *)

(* Where an output was made: at an earlier place on the exact path; there, but at a predicted point, off the path by a
   series for every tree; or at stage i of this step, counted from 0. *)
Inductive source {K : field} := Path (s : place K) | Predicted (s : place K) (off : tree -> series K)
  | Stage (i : nat).

(* The new vector holds a G: a = W w(end) / w(place) from the weight W on F = G/w. It is divisible by h. *)
Record output {K : field} := Output { made : source (K := K); coefficients : series K }.
Record stage {K : field} := MakeStage { stage_end : place K; stage_outputs : list (output (K := K)) }.
(* stages start from z_n; the step carries the states at the places given. *)
Record method {K : field} := Method {
  stages : list (stage (K := K));
  states : list (place K * series K);
  outputs : list (output (K := K))
}.
Arguments source : clear implicits. Arguments output : clear implicits.
Arguments stage : clear implicits. Arguments method : clear implicits.

Section Weights.
Context {K : field}.

Definition over_h (a : series K) : series K := fun n => a (S n).

(* In G where it was made, given the vectors of the stages before. *)
Definition in_output (before : list (place K * (tree -> series K))) (from : source K) (x : series K) (t : tree)
  : series K :=
  match from, t with
  | Path s, node q cs => scaled (one / densities cs) (by_power s (q + sizes cs) x)
  | Predicted s off, node q cs =>
      let path := scaled (one / densities cs) (by_power s (q + sizes cs) x) in
      match q, cs with O, [c] => plus path (times (off c) x) | _, _ => path end
  | Stage i, node q cs =>
      let (s, vector) := nth i before (At zero, fun _ => constant zero) in
      by_power s q (fold_left (fun product c => times product (vector c)) cs x)
  end.

Fixpoint sum_of (terms : list (series K)) : series K :=
  match terms with [] => constant zero | [x] => x | x :: rest => plus x (sum_of rest) end.

Definition in_outputs (before : list (place K * (tree -> series K))) (made_of : list (output K)) (t : tree) : series K :=
  sum_of (map (fun o => in_output before (made o) (over_h (coefficients o)) t) made_of).

Fixpoint run (before : list (place K * (tree -> series K))) (left : list (stage K))
  : list (place K * (tree -> series K)) :=
  match left with
  | [] => before
  | s :: rest => run (before ++ [(stage_end s, in_outputs before (stage_outputs s))]) rest
  end.

(* What the states before z_n bring. *)
Definition in_states (carried : list (place K * series K)) (t : tree) : series K :=
  sum_of (map (fun c => scaled (one / density t) (by_power (fst c) (size t) (snd c))) carried).

(* The weight of a tree, over h^size, in the result of the step. *)
Definition update (M : method K) (t : tree) : series K :=
  match states M with
  | [_] => in_outputs (run [] (stages M)) (outputs M) t
  | carried => plus (in_states (tl carried) t) (in_outputs (run [] (stages M)) (outputs M) t)
  end.

(* Its weight less that in the exact solution, 1/density. *)
Definition residual (M : method K) (t : tree) : series K := fun n =>
  match n with O => update M t O - one / density t | _ => update M t n end.
(* The same for the empty tree, z itself. *)
Definition residual_empty (M : method K) : series K := fun n =>
  match n with O => sum_of (map snd (states M)) O - one | _ => sum_of (map snd (states M)) n end.

(* How far off the path, at the leading order q + 1, a predictor came out at the end of an earlier step of that size. *)
Definition off_path (q : nat) (step_size : K) (predictor : method K) (t : tree) : series K := fun n =>
  if Nat.eqb (n + size t) (S q) then pow step_size (S q) * residual predictor t n else zero.

(* All conditions of total order up to p. *)
Definition has_order (p : nat) (M : method K) : Prop :=
  Forall (fun o => coefficients o O = zero) (flat_map stage_outputs (stages M) ++ outputs M) /\
  (forall n, n <= p -> residual_empty M n = zero)%nat /\
  (forall t n, size t + n <= p -> residual M t n = zero)%nat.

End Weights.

(* ---- All trees, as lists; the order of children counts here, and changes no weight. *)

Fixpoint forests (fuel m : nat) : list (list tree) :=
  match m, fuel with
  | O, _ => [[]]
  | _, O => []
  | _, S f => flat_map (fun k => flat_map (fun t => map (cons t) (forests f (m - k)))
                (flat_map (fun q => map (node q) (forests f (k - 1 - q))) (seq 0 k))) (seq 1 m)
  end.
Definition trees (k : nat) : list tree := flat_map (fun q => map (node q) (forests k (k - 1 - q))) (seq 0 k).

Lemma forests_complete : forall fuel cs, (sizes cs <= fuel)%nat -> In cs (forests fuel (sizes cs)).
Proof.
  induction fuel as [|f IH]; intros [|[q inner] rest] small.
  - now left.
  - simpl in small; lia.
  - now left.
  - change (sizes (node q inner :: rest)) with (S (q + sizes inner) + sizes rest)%nat in *.
    cbn [forests Nat.add]. apply in_flat_map. exists (S (q + sizes inner)). split; [apply in_seq; lia|].
    apply in_flat_map. exists (node q inner). split.
    + apply in_flat_map. exists q. split; [apply in_seq; lia|]. apply in_map.
      replace (S (q + sizes inner) - 1 - q)%nat with (sizes inner) by lia. apply IH. lia.
    + apply in_map. replace (S (q + sizes inner + sizes rest) - S (q + sizes inner))%nat with (sizes rest) by lia.
      apply IH. lia.
Qed.

Lemma trees_complete : forall t, In t (trees (size t)).
Proof.
  intros [q cs]. change (size (node q cs)) with (S (q + sizes cs)). unfold trees.
  apply in_flat_map. exists q. split; [apply in_seq; lia|]. apply in_map.
  replace (S (q + sizes cs) - 1 - q)%nat with (sizes cs) by lia. apply forests_complete. lia.
Qed.

(* A conjunction over a list, without True at its end. *)
Fixpoint every {A} (P : A -> Prop) (l : list A) : Prop :=
  match l with [] => True | [x] => P x | x :: rest => P x /\ every P rest end.

Lemma every_in {A} (P : A -> Prop) l : every P l -> forall x, In x l -> P x.
Proof.
  induction l as [|a [|b l] IH]; intros H x there.
  - contradiction.
  - destruct there as [<-|[]]. exact H.
  - destruct H as [first others]. destruct there as [<-|there]; [exact first|now apply IH].
Qed.

Definition conditions (p : nat) : list (tree * nat) :=
  flat_map (fun k => flat_map (fun t => map (pair t) (seq 0 (S p - k))) (trees k)) (seq 1 p).

(* The conditions are finitely many. *)
Lemma order_by_trees (K : field) (M : method K) (p : nat) :
  Forall (fun o => coefficients o O = zero) (flat_map stage_outputs (stages M) ++ outputs M) ->
  every (fun n => residual_empty M n = zero) (seq 0 (S p)) ->
  every (fun c => residual M (fst c) (snd c) = zero) (conditions p) -> has_order p M.
Proof.
  intros divisible empty all. split; [exact divisible|split].
  - intros n le. apply (every_in _ _ empty). apply in_seq. lia.
  - intros t n le. apply (every_in _ _ all (t, n)). apply in_flat_map. exists (size t).
    assert (1 <= size t)%nat by (destruct t; simpl; lia).
    split; [apply in_seq; lia|]. apply in_flat_map. exists t. split; [apply trees_complete|].
    apply in_map. apply in_seq. lia.
Qed.

(* ---- Without stages a tree's condition is that of the quadrature of its size over the densities of its subtrees. *)

Section Quadrature.
Context {K : field}.
Add Field K_field : (is_field K) (completeness (integers_differ K)).

Fixpoint on_the_path (l : list (output K)) : bool :=
  match l with [] => true | o :: rest => match made o with Path _ => on_the_path rest | _ => false end end.

(* sum_j a_j s_j^k / h *)
Definition quadrature (M : method K) (k : nat) : series K :=
  sum_of (map (fun o => match made o with Path s => by_power s k (over_h (coefficients o)) | _ => constant zero end)
    (outputs M)).

Lemma sum_of_scaled (c : K) l (n : nat) : sum_of (map (scaled c) l) n = c * sum_of l n.
Proof.
  induction l as [|x [|y l] IH].
  - simpl. destruct n; simpl; ring.
  - reflexivity.
  - change (scaled c x n + sum_of (map (scaled c) (y :: l)) n = c * (x n + sum_of (y :: l) n)).
    rewrite IH. unfold scaled. ring.
Qed.

Lemma outputs_on_path before l q cs (n : nat) : on_the_path l = true ->
  in_outputs before l (node q cs) n = one / densities cs *
    sum_of (map (fun o => match made o with
      Path s => by_power s (q + sizes cs) (over_h (coefficients o)) | _ => constant zero end) l) n.
Proof.
  intros on. rewrite <- sum_of_scaled. unfold in_outputs. rewrite map_map.
  apply (f_equal (fun terms => sum_of terms n)). apply map_ext_in. intros [from x] there.
  assert (forall l, on_the_path l = true -> In (Output K from x) l -> match from with Path _ => True | _ => False end)
    as path.
  { clear. induction l as [|[made x'] l IH]; intros on []; simpl in on.
    - injection H as -> ->. now destruct from.
    - destruct made; try discriminate. now apply IH. }
  specialize (path l on there). destruct from; easy.
Qed.

Lemma density_nonzero : forall t, density t <> (zero : K).
Proof.
  fix self 1. intros [q cs]. simpl.
  assert (forall p, int (Zpos p) <> (zero : K)) as positive.
  { intros p is. change zero with (@int K 0) in is. apply integers_differ in is. discriminate. }
  intros H.
  assert (forall x y : K, x * y = zero -> x <> zero -> y = zero) as integral.
  { intros x y xy x0. replace y with (x * y / x) by (field; exact x0). rewrite xy. field. exact x0. }
  apply integral in H; [|apply positive].
  clear q. induction cs as [|c cs IH]; simpl in H.
  - exact (F_1_neq_0 (is_field K) H).
  - apply integral in H; [now apply IH|apply self].
Qed.

Lemma densities_nonzero cs : densities cs <> (zero : K).
Proof.
  intros H. apply (density_nonzero (node 0 cs)). simpl. unfold densities in H. rewrite H. ring.
Qed.

Lemma residual_on_path (M : method K) q cs (n : nat) :
  length (states M) = 1%nat -> stages M = [] -> on_the_path (outputs M) = true ->
  residual M (node q cs) n = one / densities cs *
    (quadrature M (q + sizes cs) n - match n with O => one / int (Z.of_nat (S (q + sizes cs))) | _ => zero end).
Proof.
  intros single none on. destruct M as [? [|state []] outs];
    cbn [states stages outputs length] in single, none, on; try discriminate. subst.
  unfold residual, update; cbn [states stages outputs run].
  assert (int (Z.of_nat (S (q + sizes cs))) <> (zero : K)) as whole.
  { intros is. change zero with (@int K 0) in is. apply integers_differ in is. discriminate. }
  pose proof (densities_nonzero cs) as nonzero.
  rewrite outputs_on_path by exact on. unfold quadrature; cbn [outputs].
  destruct n; [|rewrite outputs_on_path by exact on; field; exact nonzero].
  change (density (node q cs)) with (@int K (Z.of_nat (S (q + sizes cs))) * densities cs)%K.
  field. split; assumption.
Qed.

(* The densities of its subtrees. *)
Definition subdensities (t : tree) : K := match t with node _ cs => densities cs end.

(* What a quadrature is off by, all trees of that size are, over the densities of their subtrees. *)
Lemma defects_by_quadrature (M : method K) (k n : nat) (off : K) :
  length (states M) = 1%nat -> stages M = [] -> on_the_path (outputs M) = true ->
  quadrature M k n - match n with O => one / int (Z.of_nat (S k)) | _ => zero end = off ->
  forall t, size t = S k -> residual M t n = one / subdensities t * off.
Proof.
  intros single none on <- [q cs] is. injection is as is. change (q + sizes cs = k)%nat in is. subst k.
  now apply residual_on_path.
Qed.

Definition moments (p : nat) : list (nat * nat) := flat_map (fun k => map (pair k) (seq 0 (p - k))) (seq 0 p).

Lemma order_by_quadrature (M : method K) (p : nat) :
  length (states M) = 1%nat -> stages M = [] -> on_the_path (outputs M) = true ->
  Forall (fun o => coefficients o O = zero) (outputs M) ->
  every (fun n => residual_empty M n = zero) (seq 0 (S p)) ->
  every (fun c => quadrature M (fst c) (snd c) =
    match snd c with O => one / int (Z.of_nat (S (fst c))) | _ => zero end) (moments p) ->
  has_order p M.
Proof.
  intros single none on divisible empty all. split; [now rewrite none|split].
  - intros n le. apply (every_in _ _ empty). apply in_seq. lia.
  - intros [q cs] n le. change (size (node q cs)) with (S (q + sizes cs)) in le.
    rewrite residual_on_path by assumption.
    assert (In (q + sizes cs, n)%nat (moments p)) as there.
    { apply in_flat_map. exists (q + sizes cs)%nat. split; [apply in_seq; lia|]. apply in_map. apply in_seq. lia. }
    apply (every_in _ _ all) in there. cbn [fst snd] in there. rewrite there.
    pose proof (densities_nonzero cs).
    destruct n; field; [split; [|assumption]|assumption].
    intros is. change zero with (@int K 0) in is. apply integers_differ in is. discriminate.
Qed.

End Quadrature.

(* ---- Tactics: the denominators are those of the hypotheses, up to a sign. *)

Ltac nonzero_denominator :=
  match goal with
  | given : ?d <> _ |- ?x <> _ => exact given
  | given : ?d <> _ |- ?x <> _ => intros is; apply given; rewrite <- is; cbv -[carrier add mul sub opp div inv zero one]; ring
  | given : ?d <> _ |- ?x <> _ =>
      intros is; apply given; transitivity (opp x); [cbv -[carrier add mul sub opp div inv zero one]; ring|rewrite is; ring]
  end.

Ltac identity := field; repeat split; nonzero_denominator.
Ltac split_hypotheses := repeat match goal with both : _ /\ _ |- _ => destruct both end.
Ltac rewrite_hypotheses := repeat match goal with known : _ = _ |- _ => rewrite ?known; clear known end.

Definition proved := (order_by_trees, @order_by_quadrature, @defects_by_quadrature).
Print Assumptions proved.
