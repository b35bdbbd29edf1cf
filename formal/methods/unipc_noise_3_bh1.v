(* unipc-noise-3-bh1 is exactly of order 4 for a smooth G in any dimension, all step ratios.
   Written by `python -m samplerproof.theory.formal` from the record of unipc-noise-3-bh1; checked by `make formal`. *)
From Coq Require Import List Arith Lia ZArith Field.
From samplerproof Require Import Orders Rationals.
Import ListNotations.
Open Scope field_scope.

Module all_ratios.
Section Definitions.
Context {K : field} (r1 r2 : K).
Add Field the_field : (is_field K) (completeness (integers_differ K)).

(* The weights W of the record, a = W w(end) / w(place), and the coefficients c of z_n, z_{n-1}. *)
Definition predictor_W_1_1 : series K := ((h * phi 1 #1) + (((#2*r1 + r2)/(r1*(r1 + r2))) • (h * phi 2 #1)) + ((#2/(r1*(r1 + r2))) • (h * phi 3 #1)))%S.
Definition predictor_a_1_1 : series K := (predictor_W_1_1 * growth (-#1) #1 #0)%S.
Definition predictor_W_1_2 : series K := (((-(r1 + r2)/(r1*r2)) • (h * phi 2 #1)) + ((-#2/(r1*r2)) • (h * phi 3 #1)))%S.
Definition predictor_a_1_2 : series K := (predictor_W_1_2 * growth (-#1) #1 (-r1))%S.
Definition predictor_W_1_3 : series K := (((r1/(r2*(r1 + r2))) • (h * phi 2 #1)) + ((#2/(r2*(r1 + r2))) • (h * phi 3 #1)))%S.
Definition predictor_a_1_3 : series K := (predictor_W_1_3 * growth (-#1) #1 (-r1 - r2))%S.
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
Definition W_1_1 : series K := ((h * phi 1 #1) + (((#2*r1 + r2)/(r1*(r1 + r2))) • (h * phi 2 #1)) + ((#2/(r1*(r1 + r2))) • (h * phi 3 #1)))%S.
Definition a_1_1 : series K := (W_1_1 * growth (-#1) #1 #0)%S.
Definition W_1_2 : series K := (((-(r1 + r2)/(r1*r2)) • (h * phi 2 #1)) + ((-#2/(r1*r2)) • (h * phi 3 #1)))%S.
Definition a_1_2 : series K := (W_1_2 * growth (-#1) #1 (-r1))%S.
Definition W_1_3 : series K := (((r1/(r2*(r1 + r2))) • (h * phi 2 #1)) + ((#2/(r2*(r1 + r2))) • (h * phi 3 #1)))%S.
Definition a_1_3 : series K := (W_1_3 * growth (-#1) #1 (-r1 - r2))%S.
Definition W_2_1 : series K := ((h * phi 1 #1) + ((-#2*(#2*r1 + r2 - #1)/(r1*(r1 + r2))) • (h * phi 3 #1)) + ((-((pow r1 2) + r1*r2 - #2*r1 - r2)/(r1*(r1 + r2))) • (h * phi 2 #1)) + ((-#6/(r1*(r1 + r2))) • (h * phi 4 #1)))%S.
Definition a_2_1 : series K := (W_2_1 * growth (-#1) #1 #0)%S.
Definition W_2_2 : series K := (((-(r1 + r2)/(r1*r2*(r1 + #1))) • (h * phi 2 #1)) + ((#2*(r1 + r2 - #1)/(r1*r2*(r1 + #1))) • (h * phi 3 #1)) + ((#6/(r1*r2*(r1 + #1))) • (h * phi 4 #1)))%S.
Definition a_2_2 : series K := (W_2_2 * growth (-#1) #1 (-r1))%S.
Definition W_2_3 : series K := (((r1/(r2*(r1 + r2)*(r1 + r2 + #1))) • (h * phi 2 #1)) + ((-#2*(r1 - #1)/(r2*(r1 + r2)*(r1 + r2 + #1))) • (h * phi 3 #1)) + ((-#6/(r2*(r1 + r2)*(r1 + r2 + #1))) • (h * phi 4 #1)))%S.
Definition a_2_3 : series K := (W_2_3 * growth (-#1) #1 (-r1 - r2))%S.
Definition W_2_4 : series K := (((r1*(r1 + r2)/((r1 + #1)*(r1 + r2 + #1))) • (h * phi 2 #1)) + ((#2*(#2*r1 + r2)/((r1 + #1)*(r1 + r2 + #1))) • (h * phi 3 #1)) + ((#6/((r1 + #1)*(r1 + r2 + #1))) • (h * phi 4 #1)))%S.
Definition a_2_4 : series K := (W_2_4 * growth (-#1) #1 #1)%S.
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
  a_1_1 2 = (-#432*(pow r1 2) - #432*r1*r2 - #576*r1 - #288*r2 - #216)/(#864*r1*(r1 + r2)) /\
  a_1_1 3 = (#414720*(pow r1 2) + #414720*r1*r2 + #622080*r1 + #311040*r2 + #248832)/(#2488320*r1*(r1 + r2)) /\
  a_1_1 4 = (-#8957952000*(pow r1 2) - #8957952000*r1*r2 - #14332723200*r1 - #7166361600*r2 - #5971968000)/(#214990848000*r1*(r1 + r2)) /\
  a_1_1 5 = (#6501323243520000*(pow r1 2) + #6501323243520000*r1*r2 + #10835538739200000*r1 + #5417769369600000*r2 + #4643802316800000)/(#780158789222400000*r1*(r1 + r2)).
Proof. expand. repeat split; identity. Qed.
Lemma values_1_2 :
  a_1_2 0 = #0 /\
  a_1_2 1 = (-#3*r1 - #3*r2 - #2)/(#6*r1*r2) /\
  a_1_2 2 = (#6*(pow r1 2) + #6*r1*r2 + #8*r1 + #4*r2 + #3)/(#12*r1*r2) /\
  a_1_2 3 = (-#30*(pow r1 3) - #30*(pow r1 2)*r2 - #60*(pow r1 2) - #40*r1*r2 - #45*r1 - #15*r2 - #12)/(#120*r1*r2) /\
  a_1_2 4 = (#30*(pow r1 4) + #30*(pow r1 3)*r2 + #80*(pow r1 3) + #60*(pow r1 2)*r2 + #90*(pow r1 2) + #45*r1*r2 + #48*r1 + #12*r2 + #10)/(#360*r1*r2) /\
  a_1_2 5 = (-#105*(pow r1 5) - #105*(pow r1 4)*r2 - #350*(pow r1 4) - #280*(pow r1 3)*r2 - #525*(pow r1 3) - #315*(pow r1 2)*r2 - #420*(pow r1 2) - #168*r1*r2 - #175*r1 - #35*r2 - #30)/(#5040*r1*r2).
Proof. expand. repeat split; identity. Qed.
Lemma values_1_3 :
  a_1_3 0 = #0 /\
  a_1_3 1 = (#3*r1 + #2)/(#6*r2*(r1 + r2)) /\
  a_1_3 2 = (-#432*(pow r1 2) - #432*r1*r2 - #576*r1 - #288*r2 - #216)/(#864*r2*(r1 + r2)) /\
  a_1_3 3 = (#622080*(pow r1 3) + #1244160*(pow r1 2)*r2 + #1244160*(pow r1 2) + #622080*r1*(pow r2 2) + #1658880*r1*r2 + #933120*r1 + #414720*(pow r2 2) + #622080*r2 + #248832)/(#2488320*r2*(r1 + r2)) /\
  a_1_3 4 = (-#17915904000*(pow r1 4) - #53747712000*(pow r1 3)*r2 - #47775744000*(pow r1 3) - #53747712000*(pow r1 2)*(pow r2 2) - #107495424000*(pow r1 2)*r2 - #53747712000*(pow r1 2) - #17915904000*r1*(pow r2 3) - #71663616000*r1*(pow r2 2) - #80621568000*r1*r2 - #28665446400*r1 - #11943936000*(pow r2 3) - #26873856000*(pow r2 2) - #21499084800*r2 - #5971968000)/(#214990848000*r2*(r1 + r2)) /\
  a_1_3 5 = (#16253308108800000*(pow r1 5) + #65013232435200000*(pow r1 4)*r2 + #54177693696000000*(pow r1 4) + #97519848652800000*(pow r1 3)*(pow r2 2) + #173368619827200000*(pow r1 3)*r2 + #81266540544000000*(pow r1 3) + #65013232435200000*(pow r1 2)*(pow r2 3) + #195039697305600000*(pow r1 2)*(pow r2 2) + #195039697305600000*(pow r1 2)*r2 + #65013232435200000*(pow r1 2) + #16253308108800000*r1*(pow r2 4) + #86684309913600000*r1*(pow r2 3) + #146279772979200000*r1*(pow r2 2) + #104021171896320000*r1*r2 + #27088846848000000*r1 + #10835538739200000*(pow r2 4) + #32506616217600000*(pow r2 3) + #39007939461120000*(pow r2 2) + #21671077478400000*r2 + #4643802316800000)/(#780158789222400000*r2*(r1 + r2)).
Proof. expand. repeat split; identity. Qed.
Lemma values_2_1 :
  a_2_1 0 = #0 /\
  a_2_1 1 = (#6*(pow r1 2) + #6*r1*r2 + #4*r1 + #2*r2 + #1)/(#12*r1*(r1 + r2)) /\
  a_2_1 2 = (-#34560*(pow r1 2) - #34560*r1*r2 - #34560*r1 - #17280*r2 - #10368)/(#207360*r1*(r1 + r2)) /\
  a_2_1 3 = (#17915904000*(pow r1 2) + #17915904000*r1*r2 + #21499084800*r1 + #10749542400*r2 + #7166361600)/(#429981696000*r1*(r1 + r2)) /\
  a_2_1 4 = (-#1560317578444800000*(pow r1 2) - #1560317578444800000*r1*r2 - #2080423437926400000*r1 - #1040211718963200000*r2 - #743008370688000000)/(#187238109413376000000*r1*(r1 + r2)) /\
  a_2_1 5 = (#38049180480598494412800000000*(pow r1 2) + #38049180480598494412800000000*r1*r2 + #54355972115140706304000000000*r1 + #27177986057570353152000000000*r2 + #20383489543177764864000000000)/(#27395409946030915977216000000000*r1*(r1 + r2)).
Proof. expand. repeat split; identity. Qed.
Lemma values_2_2 :
  a_2_2 0 = #0 /\
  a_2_2 1 = (-#2*r1 - #2*r2 - #1)/(#12*r1*r2*(r1 + #1)) /\
  a_2_2 2 = (#240*(pow r1 2) + #240*r1*r2 + #240*r1 + #120*r2 + #72)/(#1440*r1*r2*(r1 + #1)) /\
  a_2_2 3 = (-#120*(pow r1 3) - #120*(pow r1 2)*r2 - #180*(pow r1 2) - #120*r1*r2 - #108*r1 - #36*r2 - #24)/(#1440*r1*r2*(r1 + #1)) /\
  a_2_2 4 = (#8400*(pow r1 4) + #8400*(pow r1 3)*r2 + #16800*(pow r1 3) + #12600*(pow r1 2)*r2 + #15120*(pow r1 2) + #7560*r1*r2 + #6720*r1 + #1680*r2 + #1200)/(#302400*r1*r2*(r1 + #1)) /\
  a_2_2 5 = (-#3360*(pow r1 5) - #3360*(pow r1 4)*r2 - #8400*(pow r1 4) - #6720*(pow r1 3)*r2 - #10080*(pow r1 3) - #6048*(pow r1 2)*r2 - #6720*(pow r1 2) - #2688*r1*r2 - #2400*r1 - #480*r2 - #360)/(#483840*r1*r2*(r1 + #1)).
Proof. expand. repeat split; identity. Qed.
Lemma values_2_3 :
  a_2_3 0 = #0 /\
  a_2_3 1 = (#2*r1 + #1)/(#12*r2*(r1 + r2)*(r1 + r2 + #1)) /\
  a_2_3 2 = (-#34560*(pow r1 2) - #34560*r1*r2 - #34560*r1 - #17280*r2 - #10368)/(#207360*r2*(r1 + r2)*(r1 + r2 + #1)) /\
  a_2_3 3 = (#35831808000*(pow r1 3) + #71663616000*(pow r1 2)*r2 + #53747712000*(pow r1 2) + #35831808000*r1*(pow r2 2) + #71663616000*r1*r2 + #32248627200*r1 + #17915904000*(pow r2 2) + #21499084800*r2 + #7166361600)/(#429981696000*r2*(r1 + r2)*(r1 + r2 + #1)) /\
  a_2_3 4 = (-#5201058594816000000*(pow r1 4) - #15603175784448000000*(pow r1 3)*r2 - #10402117189632000000*(pow r1 3) - #15603175784448000000*(pow r1 2)*(pow r2 2) - #23404763676672000000*(pow r1 2)*r2 - #9361905470668800000*(pow r1 2) - #5201058594816000000*r1*(pow r2 3) - #15603175784448000000*r1*(pow r2 2) - #14042858206003200000*r1*r2 - #4160846875852800000*r1 - #2600529297408000000*(pow r2 3) - #4680952735334400000*(pow r2 2) - #3120635156889600000*r2 - #743008370688000000)/(#187238109413376000000*r2*(r1 + r2)*(r1 + r2 + #1)) /\
  a_2_3 5 = (#190245902402992472064000000000*(pow r1 5) + #760983609611969888256000000000*(pow r1 4)*r2 + #475614756007481180160000000000*(pow r1 4) + #1141475414417954832384000000000*(pow r1 3)*(pow r2 2) + #1521967219223939776512000000000*(pow r1 3)*r2 + #570737707208977416192000000000*(pow r1 3) + #760983609611969888256000000000*(pow r1 2)*(pow r2 3) + #1712213121626932248576000000000*(pow r1 2)*(pow r2 2) + #1369770497301545798860800000000*(pow r1 2)*r2 + #380491804805984944128000000000*(pow r1 2) + #190245902402992472064000000000*r1*(pow r2 4) + #760983609611969888256000000000*r1*(pow r2 3) + #1027327872976159349145600000000*r1*(pow r2 2) + #608786887689575910604800000000*r1*r2 + #135889930287851765760000000000*r1 + #95122951201496236032000000000*(pow r2 4) + #228295082883590966476800000000*(pow r2 3) + #228295082883590966476800000000*(pow r2 2) + #108711944230281412608000000000*r2 + #20383489543177764864000000000)/(#27395409946030915977216000000000*r2*(r1 + r2)*(r1 + r2 + #1)).
Proof. expand. repeat split; identity. Qed.
Lemma values_2_4 :
  a_2_4 0 = #0 /\
  a_2_4 1 = (#6*(pow r1 2) + #6*r1*r2 + #8*r1 + #4*r2 + #3)/(#12*(r1 + #1)*(r1 + r2 + #1)) /\
  a_2_4 2 = (#2880*(pow r1 2) + #2880*r1*r2 + #2880*r1 + #1440*r2 + #864)/(#17280*(r1 + #1)*(r1 + r2 + #1)) /\
  a_2_4 3 = (#86400*(pow r1 2) + #86400*r1*r2 + #69120*r1 + #34560*r2 + #17280)/(#2073600*(r1 + #1)*(r1 + r2 + #1)) /\
  a_2_4 4 = (#3628800*(pow r1 2) + #3628800*r1*r2 + #2419200*r1 + #1209600*r2 + #518400)/(#435456000*(r1 + #1)*(r1 + r2 + #1)) /\
  a_2_4 5 = (#203212800*(pow r1 2) + #203212800*r1*r2 + #116121600*r1 + #58060800*r2 + #21772800)/(#146313216000*(r1 + #1)*(r1 + r2 + #1)).
Proof. expand. repeat split; identity. Qed.
Ltac coefficients := pose proof values_1_1; pose proof values_1_2; pose proof values_1_3; pose proof values_2_1; pose proof values_2_2; pose proof values_2_3; pose proof values_2_4; split_hypotheses;
  cbv -[not carrier add mul sub opp div inv zero one a_1_1 a_1_2 a_1_3 a_2_1 a_2_2 a_2_3 a_2_4] in * |-.
Ltac conditions := reduce; rewrite_hypotheses; repeat split; identity.

Theorem order : has_order 4 step.
Proof.
  coefficients. apply order_by_trees.
  - repeat constructor; assumption.
  - reduce. repeat split; identity.
  - conditions.
Qed.

(* Conditions of total order 5 that fail, and by what. *)
Theorem leading_defects :
  residual step (node 0 []) 4 = (pow r1 2)/#144 + r1*r2/#144 + r1/#144 + r2/#288 + #1/#480 /\
  residual step (node 1 []) 3 = (pow r1 2)/#36 + r1*r2/#36 + r1/#36 + r2/#72 + #1/#120 /\
  residual step (node 0 [node 0 []; node 0 []]) 2 = (pow r1 2)/#12 + r1*r2/#12 + r1/#12 + r2/#24 + #1/#40 /\
  residual step (node 1 [node 0 []]) 2 = (pow r1 2)/#12 + r1*r2/#12 + r1/#12 + r2/#24 + #1/#40 /\
  residual step (node 2 []) 2 = (pow r1 2)/#12 + r1*r2/#12 + r1/#12 + r2/#24 + #1/#40 /\
  residual step (node 0 [node 0 []; node 0 []; node 0 []]) 1 = (pow r1 2)/#6 + r1*r2/#6 + r1/#6 + r2/#12 + #1/#20 /\
  residual step (node 0 [node 0 []; node 0 [node 0 []]]) 1 = (pow r1 2)/#12 + r1*r2/#12 + r1/#12 + r2/#24 + #1/#40 /\
  residual step (node 0 [node 0 []; node 1 []]) 1 = (pow r1 2)/#12 + r1*r2/#12 + r1/#12 + r2/#24 + #1/#40 /\
  residual step (node 1 [node 0 []; node 0 []]) 1 = (pow r1 2)/#6 + r1*r2/#6 + r1/#6 + r2/#12 + #1/#20 /\
  residual step (node 1 [node 0 [node 0 []]]) 1 = (pow r1 2)/#12 + r1*r2/#12 + r1/#12 + r2/#24 + #1/#40 /\
  residual step (node 1 [node 1 []]) 1 = (pow r1 2)/#12 + r1*r2/#12 + r1/#12 + r2/#24 + #1/#40 /\
  residual step (node 2 [node 0 []]) 1 = (pow r1 2)/#6 + r1*r2/#6 + r1/#6 + r2/#12 + #1/#20 /\
  residual step (node 3 []) 1 = (pow r1 2)/#6 + r1*r2/#6 + r1/#6 + r2/#12 + #1/#20 /\
  residual step (node 0 [node 0 []; node 0 []; node 0 []; node 0 []]) 0 = (pow r1 2)/#6 + r1*r2/#6 + r1/#6 + r2/#12 + #1/#20 /\
  residual step (node 0 [node 0 []; node 0 []; node 0 [node 0 []]]) 0 = (pow r1 2)/#12 + r1*r2/#12 + r1/#12 + r2/#24 + #1/#40 /\
  residual step (node 0 [node 0 []; node 0 []; node 1 []]) 0 = (pow r1 2)/#12 + r1*r2/#12 + r1/#12 + r2/#24 + #1/#40 /\
  residual step (node 0 [node 0 []; node 0 [node 0 []; node 0 []]]) 0 = (pow r1 2)/#18 + r1*r2/#18 + r1/#18 + r2/#36 + #1/#60 /\
  residual step (node 0 [node 0 []; node 0 [node 0 [node 0 []]]]) 0 = (pow r1 2)/#36 + r1*r2/#36 + r1/#36 + r2/#72 + #1/#120 /\
  residual step (node 0 [node 0 []; node 0 [node 1 []]]) 0 = (pow r1 2)/#36 + r1*r2/#36 + r1/#36 + r2/#72 + #1/#120 /\
  residual step (node 0 [node 0 []; node 1 [node 0 []]]) 0 = (pow r1 2)/#18 + r1*r2/#18 + r1/#18 + r2/#36 + #1/#60 /\
  residual step (node 0 [node 0 []; node 2 []]) 0 = (pow r1 2)/#18 + r1*r2/#18 + r1/#18 + r2/#36 + #1/#60 /\
  residual step (node 0 [node 0 [node 0 []]; node 0 [node 0 []]]) 0 = (pow r1 2)/#24 + r1*r2/#24 + r1/#24 + r2/#48 + #1/#80 /\
  residual step (node 0 [node 0 [node 0 []]; node 1 []]) 0 = (pow r1 2)/#24 + r1*r2/#24 + r1/#24 + r2/#48 + #1/#80 /\
  residual step (node 0 [node 1 []; node 1 []]) 0 = (pow r1 2)/#24 + r1*r2/#24 + r1/#24 + r2/#48 + #1/#80 /\
  residual step (node 1 [node 0 []; node 0 []; node 0 []]) 0 = (pow r1 2)/#6 + r1*r2/#6 + r1/#6 + r2/#12 + #1/#20 /\
  residual step (node 1 [node 0 []; node 0 [node 0 []]]) 0 = (pow r1 2)/#12 + r1*r2/#12 + r1/#12 + r2/#24 + #1/#40 /\
  residual step (node 1 [node 0 []; node 1 []]) 0 = (pow r1 2)/#12 + r1*r2/#12 + r1/#12 + r2/#24 + #1/#40 /\
  residual step (node 1 [node 0 [node 0 []; node 0 []]]) 0 = (pow r1 2)/#18 + r1*r2/#18 + r1/#18 + r2/#36 + #1/#60 /\
  residual step (node 1 [node 0 [node 0 [node 0 []]]]) 0 = (pow r1 2)/#36 + r1*r2/#36 + r1/#36 + r2/#72 + #1/#120 /\
  residual step (node 1 [node 0 [node 1 []]]) 0 = (pow r1 2)/#36 + r1*r2/#36 + r1/#36 + r2/#72 + #1/#120 /\
  residual step (node 1 [node 1 [node 0 []]]) 0 = (pow r1 2)/#18 + r1*r2/#18 + r1/#18 + r2/#36 + #1/#60 /\
  residual step (node 1 [node 2 []]) 0 = (pow r1 2)/#18 + r1*r2/#18 + r1/#18 + r2/#36 + #1/#60 /\
  residual step (node 2 [node 0 []; node 0 []]) 0 = (pow r1 2)/#6 + r1*r2/#6 + r1/#6 + r2/#12 + #1/#20 /\
  residual step (node 2 [node 0 [node 0 []]]) 0 = (pow r1 2)/#12 + r1*r2/#12 + r1/#12 + r2/#24 + #1/#40 /\
  residual step (node 2 [node 1 []]) 0 = (pow r1 2)/#12 + r1*r2/#12 + r1/#12 + r2/#24 + #1/#40 /\
  residual step (node 3 [node 0 []]) 0 = (pow r1 2)/#6 + r1*r2/#6 + r1/#6 + r2/#12 + #1/#20 /\
  residual step (node 4 []) 0 = (pow r1 2)/#6 + r1*r2/#6 + r1/#6 + r2/#12 + #1/#20.
Proof. coefficients. conditions. Qed.
End Definitions.

(* So the order is not 5: one fails in the rational numbers, at r1 = 2, r2 = 3, r3 = 5, r4 = 7, r5 = 11. *)
Theorem not_more : ~ has_order 5 (step (K := rationals) #2 #3 #5 #7 #11).
Proof.
  intros (_ & empty & fails).
  refine (differ_correct _ _ _ (fails (node 1 [node 0 []; node 0 []; node 0 []]) 0 _)); [vm_compute; reflexivity|cbv; lia].
Qed.
End all_ratios.

Definition proved := (@all_ratios.order, @all_ratios.leading_defects, @all_ratios.not_more).
Print Assumptions proved.
