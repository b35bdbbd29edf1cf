"""What the code of a method's authors does where a library deviates, as read in their repositories: a text a target."""

from __future__ import annotations

from .known_repairs import FINAL_CALL, FROZEN_RULES

MULTI = "diffusers:DPMSolverMultistepScheduler"
THREE_STEPS = (
    "The authors of DPM-Solver have the same line in their code, and contributed it to the library: their formula has "
    "order 2, and the change is a change to that formula."
)
ABOVE_ZERO = (
    "UniPC's authors end at a level above 0, where every number is finite; the step to sigma = 0 is the library's."
)

VARY = (
    "This is the file of UniPC's authors. The corrector has every product of a derivative's weight and an entry "
    "of the inverse; the file leaves out all but one of the predicted output's, and the last one of the others' "
    "(the claim `unipc-vary-published`). The variants bh1 and bh2 have all of them. This is known: "
    "issue 10 of wl-zhao/UniPC, open since August 2023."
)
ROSENBROCK = (
    "The formula in the class's documentation scales the integral by sqrt(1 + e^(2s)) of the end s of the step, which "
    "is sqrt(alpha_s^2 + sigma_s^2); the code has the sigma of its start in place of sigma_s. That loses every order "
    "above 1. A search of public issues found no thread about it."
)
FROZEN = (
    "As long as noise_anchor is 1, its default, the noise prediction of a stage is (x - D) / sigma with the x and "
    "sigma of the start of the step: no such rule has an order above 2. With noise_anchor=0 they are those of the "
    "stage, and the rule has its own order. No thread about it was found."
)
FACTORS = (
    "Where a weight of a stage at c h contains phi_k(c h), its factor c^k is left out: with c = 1/2 the weight of the "
    "second stage in the third is {} that of the method of this name. No thread about it was found."
)

# The remarks on a discrepancy, in addition to its numbers.
REMARKS: dict[str, str] = {
    "diffusers:DDIMScheduler?clip_sample=false&timestep_spacing=linspace": (
        "DDIM's authors go through a list of timesteps, each step to the next of the list, as the library's own "
        "`DDPMScheduler` does. With the default spacing both are the same. This is known: issues 11347 and 12633 of "
        "diffusers are open, and pull request 14357 proposes this change."
    ),
    **dict.fromkeys(
        (
            "diffusers:DDIMScheduler?clip_sample=false&set_alpha_to_one=false",
            "diffusers:PNDMScheduler",
            "diffusers:PNDMScheduler?skip_prk_steps=true",
        ),
        "The last step leads to the level of timestep 0, at which it starts. The configurations of Stable Diffusion "
        "have steps_offset=1, and with it the last step starts one timestep above. The other steps are the method's.",
    ),
    "diffusers:FlowMatchEulerDiscreteScheduler?invert_sigmas=true&stochastic_sampling=true": (
        "The stochastic step is written for levels that fall to 0. Inverted ones rise to 1, as for Mochi, and there it "
        "takes the noise for the data: runs end in noise. With the change it is `consistency`. No thread about it was "
        "found."
    ),
    "diffusers:IPNDMScheduler": (
        "At its first level alpha is 0, and the noise prediction, sigma x + alpha v, is the sample itself: the first "
        "step leads to sigma' x, without the term alpha' times the data prediction -v. That is an error of O(1/N), and "
        "the observed order is 1. From the second level on its rows are iPNDM's."
    ),
    f"{MULTI}?solver_order=3": THREE_STEPS,
    f"{MULTI}?use_karras_sigmas=true&solver_order=3": THREE_STEPS,
    f"{MULTI}?algorithm_type=dpmsolver&final_sigmas_type=sigma_min&solver_order=3": THREE_STEPS,
    "diffusers:EDMDPMSolverMultistepScheduler?solver_order=3": THREE_STEPS,
    f"{MULTI}?algorithm_type=sde-dpmsolver++&solver_order=3": (
        "The authors of DPM-Solver have no three-step sampler of the SDE; k-diffusion has one, with + 1/2. With - 1/2 "
        "the weight of the second difference tends to -1 where it should vanish with the step."
    ),
    "diffusers:DPMSolverSinglestepScheduler?solver_order=3": (
        "The authors of DPM-Solver put the stages at 1/3 and 2/3 of the step in lambda, and compute the second by the "
        "line through two outputs, integrated exactly. The library puts them on its timesteps, and computes the second "
        "by its two-stage rule, with the line evaluated at the middle. It is another formula, not one of lower order: "
        "for the run as a whole, order 3 is observed."
    ),
    "diffusers:DPMSolverSinglestepScheduler?algorithm_type=sde-dpmsolver++": (
        "The authors of DPM-Solver have no two-stage sampler of the SDE; one of them approved this one (pull request "
        "8269 of diffusers). It draws the noise of the end independently of that of the stage: such a sampler has weak "
        "order 1. With both from one path it is `sde-dpm-solver++-2s`, of weak order 2."
    ),
    "diffusers:UniPCMultistepScheduler?solver_type=bh1": ABOVE_ZERO,
    "diffusers:UniPCMultistepScheduler?predict_x0=false": ABOVE_ZERO
    + " `DPMSolverMultistepScheduler` refuses noise predictions there.",
    "diffusers:UniPCMultistepScheduler?lower_order_final=false": ABOVE_ZERO
    + " With `final_sigmas_type=sigma_min` this setting is finite as well.",
    "comfyui:ipndm_v": (
        "It is the method of Adams and Bashforth in sigma for steps that are not equal, which is `deis-rhoab3` "
        "and, integrated numerically, ComfyUI's own `lms`. Its weights have three slips. One shows on equal steps "
        "too, where they are 57, -65, 43, -11 in place of 55, -59, 37, -9 over 24; another leaves their sum "
        "unequal to 1 where the ratios of steps differ. Other public copies of the function have the same lines; "
        "no thread about them was found."
    ),
    "comfyui:ipndm": (
        "Its weights are those of Adams and Bashforth for equal steps, which the levels of no schedule in use are in "
        "sigma. `deis-rhoab3` has the weights for steps that are not equal, and order 4. No thread about it was found."
    ),
    "comfyui:dpmpp_2s_ancestral_cfg_pp": (
        "The second evaluation of a step replaces the unconditional output, which the last line of the step reads: "
        "where both outputs are equal, it adds the difference of two evaluations. With the output of the first "
        "evaluation kept until then, the rows are those of `dpmpp-2s-ancestral` there, to 6e-16. This is known: pull "
        "request 11914 of ComfyUI, closed in 2026, proposed that; 14814, open since July 2026, proposes another rule "
        "for the two outputs as well."
    ),
    "azula:REABSampler": ROSENBROCK,
    "azula:REABSampler?order=3": ROSENBROCK,
    "dpm-solver:DPM_Solver?order=3": "This is the file of DPM-Solver's authors. " + THREE_STEPS,
    "dpm-solver:DPM_Solver?order=3&algorithm_type=dpmsolver": "This is the file of DPM-Solver's authors. "
    + THREE_STEPS,
    "wan:FlowDPMSolverMultistepScheduler?solver_order=3": "It is made after diffusers' class. " + THREE_STEPS,
    "unipc:UniPC?variant=vary_coeff": VARY,
    "unipc:UniPC?variant=vary_coeff&order=3": VARY,
    **{f"res4lyf:{rule}{FINAL_CALL}": FROZEN for rule in FROZEN_RULES},
    f"res4lyf:rk5_7s{FINAL_CALL}": "It has both the signs that `rk5_7s` has with noise_anchor=0, and this: " + FROZEN,
    f"res4lyf:etdrk4_4s{FINAL_CALL}": FACTORS.format("twice"),
    f"res4lyf:res_5s_hochbruck-ostermann{FINAL_CALL}": FACTORS.format("four times"),
    f"res4lyf:abnorsett_4m{FINAL_CALL}": (
        "The weights of Nørsett's four-step rule are in the file, in a branch that is not reached: the name is "
        "replaced by `res_4s_strehmel_weiner`, whose weights for stages within the step are applied to the outputs of "
        "the steps before. No thread about it was found."
    ),
    "res4lyf:euler": (
        "In a last step to sigma = 0 it makes no evaluation, and continues with the output of the step before. With "
        "extra_options=enable_final_model_call it makes one, and is Euler's method there too."
    ),
    "res4lyf:rk5_7s?noise_anchor=0.0&extra_options=enable_final_model_call": (
        "Its rows are those of Dormand and Prince's pair of 1980 with two signs turned: the entries of two rows do not "
        "add up to the places of their stages, and order 1 is observed. Its weights are those of the pair's order 4, "
        "not 5, which `dormand-prince_6s` has. A search of public issues found no thread about it."
    ),
    "k-diffusion:sample_dpmpp_3m_sde?eta=0.0": (
        "Its second difference is halved as in the three-step method of DPM-Solver's authors. With noise, its "
        "default, no order is lost: `sa-solver-3`, with the full difference, has weak order 2 as well."
    ),
}

# What changed in the table of verdicts.
CHANGES = (
    "2026-11-29: it has samplers of libraries and official files that come as a checkout, each verdict with the "
    "repository and the commit that it is of.",
    "2026-11-29: an order far below the one that a name or option promises is an error too where no method is equal.",
    "2026-11-29: a last step of first order, and another start of the method that a sampler names, are recognised; "
    "they were another formula before. Two bounds for rounding are wider where the arithmetic needs it: for a step "
    "that its noise shortens, and for an entry that vanishes in rounding.",
    "2026-11-30: RES4LYF's and Azula's samplers are judged again. Two of Azula's, `vABSampler` of order 2 and 3, are "
    "methods of the catalogue on the flow, `flow-ab2` and `flow-ab3`. Nine of RES4LYF's rules of order 3 to 5 are "
    "discrepancies now, since order 2 is observed: seven by `noise_anchor`, two by factors of their stages. Of two "
    "records that are one table, the one of higher order is named.",
    "2026-11-30: every verdict is renewed; what it varied has a run in inference mode too. A repair is given for "
    "twenty samplers more, each tried on a copy: k-diffusion's three-step method without noise, ComfyUI's CFG++ of "
    "two stages, fourteen of RES4LYF's rules, and four settings of diffusers. Stages of a step that noise shortens "
    "have the bound for rounding of its end.",
)

# Errors of earlier versions of the page.
CORRECTIONS = (
    "Until 2026-11-28 this page stated of diffusers' `SASolverScheduler`, in three settings, that its formula deviates "
    "from SA-Solver's, and gave a change that would repair it. That was wrong. The scheduler has the formula that "
    "SA-Solver's authors recommend, the mode `few_steps` of their code with the rescaling of their Appendix D; it had"
    " been compared with their mode `more_steps`. The catalogue has had both since: `sa-solver-p2c1-few-steps` and "
    "its relatives, of the same weak order 2. No repair is needed there.",
    "Until then it also stated that k-diffusion's `sample_heun` with churn and `sample_dpmpp_3m_sde` with noise have "
    "a lower order than they advertise: the first has order 2 in law where the score is exact, and with noise the "
    "second has the weak order 2 of `sa-solver-3`. And it called the three-step method on noise predictions another "
    "formula; it is its authors'.",
)
