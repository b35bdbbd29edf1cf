"""The smallest changes that repair deviations of diffusers 0.42.1, of k-diffusion and of book/checkouts.toml."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError

PACKAGE = "diffusers.schedulers"


@dataclass(frozen=True)
class Repair:
    """A change to the module of a sampler.  target: the setting that deviates.

    module: of diffusers.schedulers; for another library the file that has it, with its ending.
    changes: (old, new) texts.  what: the fault that they repair.
    against: the record that the repaired sampler equals, if another than the target's reference.
    """

    target: str
    module: str
    changes: tuple[tuple[str, str], ...]
    what: str
    against: str | None = None

    @property
    def file(self) -> str:
        """Its path in the repository of the library."""
        return self.module if self.module.endswith(".py") else f"src/{PACKAGE.replace('.', '/')}/{self.module}.py"

    def applied(self, source: str) -> str:
        """The repaired source.  Raises InputError where it has other lines."""
        for old, new in self.changes:
            if old not in source:
                raise InputError("repair", self.target, f"{old!r} in {self.file}, which this version does not have")
            source = source.replace(old, new)
        return source


MULTISTEP, UNIPC = "scheduling_dpmsolver_multistep", "scheduling_unipc_multistep"
SECOND_DIFFERENCE = ("D2 = (1.0 / (r0 + r1)) * (D1_0 - D1_1)", "D2 = (2.0 / (r0 + r1)) * (D1_0 - D1_1)")
DERIVATIVE = "the second divided difference is half of the second derivative, in place of which it is used"
STRIDE = (
    "prev_timestep = timestep - self.config.num_train_timesteps // self.num_inference_steps",
    "prev_timestep = next((int(t) for t in self.timesteps if t < timestep), -1)",
)
NEXT = "a step leads to the start of the next one, not a whole number of training steps further"
DPM_SOLVER = "dpm_solver_pytorch.py"
SECOND_OF_AUTHORS = ("D2 = (1. / (r0 + r1)) * (D1_0 - D1_1)", "D2 = (2. / (r0 + r1)) * (D1_0 - D1_1)")
END_OF_STEP = ("sqrt(alpha_s**2 + sigma_t**2) * integral", "sqrt(alpha_s**2 + sigma_s**2) * integral")
SCALE_AT_END = "the integral is scaled by the level to which the step leads, as the class's own formula has it"
RATIO = "(h_n * (h_n + h_n_1)) / (h_n_1 * (h_n_1 + h_n_2))"
SHARE = f"(1 - h_n / (3 * (h_n + h_n_1)) * {RATIO}) / 2"
SHARE_OF_THREE = f"(1 - h_n / (3 * (h_n + h_n_1))) * {RATIO} / 2"
TERM = "x_t = x_t - alpha_t * h_phi_ks[{}] * {}"
PAST, NEWEST = "torch.einsum('bkchw,k->bchw', D1s, A_c[k][:-1])", "(D1_t * A_c[k][-1])"
ALL_TERMS = (
    f"""\
                for k in range(K - 1):
                    {TERM.format("k + 1", PAST)}
                {TERM.format("K", NEWEST)}""",
    f"""\
                for k in range(K):
                    if len(D1s) > 0:
                        {TERM.format("k + 1", PAST)}
                    {TERM.format("k + 1", NEWEST)}""",
)
GUIDED = "x + (denoised - temp[0])"
FINAL_CALL = "?extra_options=enable_final_model_call"
FROZEN_RULES = (
    "heun_2s",
    "heun_3s",
    "houwen-wray_3s",
    "kutta_3s",
    "ralston_3s",
    "ssprk3_3s",
    "bogacki-shampine_4s",
    "rk4_4s",
    "rk38_4s",
    "dormand-prince_6s",
    "tsi_7s",
)
ANCHOR = f"{'noise_anchor':30}: {'float':19}="
RK_RULES = "beta/rk_coefficients_beta.py"
SHARE_OF_STEP = "the factor c^k of a stage at c h, whose weight has phi_k(c h)"
EVERY_DERIVATIVE = "the corrector has the weights of every derivative, also in the predicted output and of the last one"
OFFSET = ("steps_offset: int = 0,", "steps_offset: int = 1,")
ABOVE_LAST = "timesteps one above, so that the last step, to the level of timestep 0, has a length"
REPAIRS: tuple[Repair, ...] = (
    Repair(
        "diffusers:DDIMScheduler?clip_sample=false&set_alpha_to_one=false", "scheduling_ddim", (OFFSET,), ABOVE_LAST
    ),
    Repair("diffusers:PNDMScheduler", "scheduling_pndm", (OFFSET,), ABOVE_LAST),
    Repair("diffusers:PNDMScheduler?skip_prk_steps=true", "scheduling_pndm", (OFFSET,), ABOVE_LAST),
    Repair(
        "diffusers:DPMSolverMultistepScheduler?solver_order=3",
        MULTISTEP,
        (SECOND_DIFFERENCE,),
        DERIVATIVE,
        "exp-adams-3",
    ),
    Repair(
        "diffusers:DPMSolverMultistepScheduler?use_karras_sigmas=true&solver_order=3",
        MULTISTEP,
        (SECOND_DIFFERENCE,),
        DERIVATIVE,
        "exp-adams-3",
    ),
    Repair(
        "diffusers:DPMSolverMultistepScheduler?algorithm_type=dpmsolver&final_sigmas_type=sigma_min&solver_order=3",
        MULTISTEP,
        (SECOND_DIFFERENCE,),
        DERIVATIVE,
        "exp-adams-noise-3",
    ),
    Repair(
        "diffusers:EDMDPMSolverMultistepScheduler?solver_order=3",
        "scheduling_edm_dpmsolver_multistep",
        (SECOND_DIFFERENCE,),
        DERIVATIVE,
        "exp-adams-3",
    ),
    Repair(
        "diffusers:DPMSolverMultistepScheduler?algorithm_type=sde-dpmsolver++&solver_order=3",
        MULTISTEP,
        (("(2.0 * h) ** 2 - 0.5)) * D2", "(2.0 * h) ** 2 + 0.5)) * D2"),),
        "the sign of 1/2 in the weight of the second difference, which does not vanish with the step otherwise",
    ),
    Repair(
        "diffusers:DDIMScheduler?clip_sample=false&timestep_spacing=linspace",
        "scheduling_ddim",
        (STRIDE,),
        NEXT,
    ),
    Repair(
        "diffusers:UniPCMultistepScheduler?solver_type=bh1",
        UNIPC,
        (("x_t = x_t_ - alpha_t * B_h * pred_res", "x_t = x_t_ if D1s is None else x_t_ - alpha_t * B_h * pred_res"),),
        "B(h) is infinite in the last step, where nothing is added",
    ),
    Repair(
        "diffusers:UniPCMultistepScheduler?predict_x0=false",
        UNIPC,
        (
            ("sigma_t * h_phi_1 * m0", "(alpha_t * sigma_s0 / alpha_s0 - sigma_t) * m0"),
            ("x_t = x_t_ - sigma_t * B_h * pred_res", "x_t = x_t_ if D1s is None else x_t_ - sigma_t * B_h * pred_res"),
        ),
        "sigma_t (e^h - 1) in closed form: in the last step sigma_t is 0 and e^h infinite",
    ),
    Repair(
        "diffusers:UniPCMultistepScheduler?lower_order_final=false",
        UNIPC,
        (
            (
                "        if self.config.lower_order_final:",
                "        last = self.step_index == len(self.timesteps) - 1 and self.sigmas[-1] == 0\n"
                "        if self.config.lower_order_final or last:",
            ),
        ),
        "a step to sigma = 0 is one of order 1, as DPMSolverMultistepScheduler takes it",
    ),
    Repair(
        "diffusers:FlowMatchEulerDiscreteScheduler?invert_sigmas=true&stochastic_sampling=true",
        "scheduling_flow_match_euler_discrete",
        (
            (
                "            x0 = sample - current_sigma * model_output\n",
                "            noisy, next_noisy = current_sigma, next_sigma\n"
                "            if self.config.invert_sigmas:\n"
                "                noisy, next_noisy = current_sigma - 1.0, 1.0 - next_sigma\n"
                "            x0 = sample - noisy * model_output\n",
            ),
            ("(1.0 - next_sigma) * x0 + next_sigma * noise", "(1.0 - next_noisy) * x0 + next_noisy * noise"),
        ),
        "with inverted levels sigma is the share of the data, and 1 - sigma that of the noise",
    ),
    Repair(
        "comfyui:ipndm_v",
        "comfy/k_diffusion/sampling.py",
        (
            (f"temp = {SHARE}", f"temp = {SHARE_OF_THREE}"),
            (f"temp1 = {SHARE}", f"temp1 = {SHARE_OF_THREE}"),
            (
                "temp2 = ((1 - h_n / (3 * (h_n + h_n_1))) / 2 + (1 -",
                "temp2 = ((1 - h_n / (3 * (h_n + h_n_1))) / 2 - (1 -",
            ),
            ("(h_n_2 * (h_n_2 + h_n_3))) * h_n_1 / h_n_2\n", "(h_n_2 * (h_n_2 + h_n_3))) * h_n_2 / h_n_3\n"),
        ),
        "the weights of the second and third differences of steps that are not equal: a parenthesis, a sign, a ratio",
        "deis-rhoab3",
    ),
    Repair("dpm-solver:DPM_Solver?order=3", DPM_SOLVER, (SECOND_OF_AUTHORS,), DERIVATIVE, "exp-adams-3"),
    Repair(
        "dpm-solver:DPM_Solver?order=3&algorithm_type=dpmsolver",
        DPM_SOLVER,
        (SECOND_OF_AUTHORS,),
        DERIVATIVE,
        "exp-adams-noise-3",
    ),
    Repair(
        "wan:FlowDPMSolverMultistepScheduler?solver_order=3",
        "wan/utils/fm_solvers.py",
        (SECOND_DIFFERENCE,),
        DERIVATIVE,
        "exp-adams-3",
    ),
    Repair("azula:REABSampler", "azula/sample.py", (END_OF_STEP,), SCALE_AT_END),
    Repair("azula:REABSampler?order=3", "azula/sample.py", (END_OF_STEP,), SCALE_AT_END),
    Repair("unipc:UniPC?variant=vary_coeff", "uni_pc.py", (ALL_TERMS,), EVERY_DERIVATIVE, "unipc-2-vary"),
    Repair("unipc:UniPC?variant=vary_coeff&order=3", "uni_pc.py", (ALL_TERMS,), EVERY_DERIVATIVE, "unipc-3-vary"),
    Repair(
        "k-diffusion:sample_dpmpp_3m_sde?eta=0.0",
        "k_diffusion/sampling.py",
        (("phi_2 * d1 - phi_3 * d2", "phi_2 * d1 - 2 * phi_3 * d2"),),
        DERIVATIVE,
        "exp-adams-3",
    ),
    Repair(
        "comfyui:dpmpp_2s_ancestral_cfg_pp",
        "comfy/k_diffusion/sampling.py",
        (
            (
                f"x_2 = (sigma_fn(s) / sigma_fn(t)) * ({GUIDED})",
                f"guided = {GUIDED}\n            x_2 = (sigma_fn(s) / sigma_fn(t)) * guided",
            ),
            (f"x = (sigma_fn(t_next) / sigma_fn(t)) * ({GUIDED})", "x = (sigma_fn(t_next) / sigma_fn(t)) * guided"),
        ),
        "the unconditional output of the first evaluation, which that of the second replaces before the step ends",
    ),
    *(
        Repair(
            f"res4lyf:{rule}{FINAL_CALL}",
            "beta/rk_sampler_beta.py",
            ((f"{ANCHOR} 1.0,", f"{ANCHOR} 0.0,"),),
            "the noise prediction of a stage from its own state and level",
        )
        for rule in FROZEN_RULES
    ),
    Repair(
        f"res4lyf:etdrk4_4s{FINAL_CALL}",
        RK_RULES,
        (
            (
                "a3_2 =   φ(1,2)\n            a4_3 = 2*φ(1,2)\n\n            b2 = 2*φ(2) - 4*φ(3)",
                "a3_2 =   c3*φ(1,2)\n            a4_3 =   φ(1,2)\n\n            b2 = 2*φ(2) - 4*φ(3)",
            ),
        ),
        SHARE_OF_STEP,
    ),
    Repair(
        f"res4lyf:res_5s_hochbruck-ostermann{FINAL_CALL}",
        RK_RULES,
        (
            ("a3_2 = 4*φ(2,2)", "a3_2 = φ(2,2)"),
            (
                "a5_2 = (1/4)*φ(2) - φ(3) + 2*φ(2,2) - 4*φ(3,2)",
                "a5_2 = (1/2)*φ(2,2) - (1/2)*φ(3,2) + (1/4)*φ(2) - φ(3)",
            ),
            ("a5_4 = φ(2,2) - a5_2", "a5_4 = (1/4)*φ(2,2) - a5_2"),
        ),
        SHARE_OF_STEP,
    ),
    Repair(
        f"res4lyf:abnorsett_4m{FINAL_CALL}",
        RK_RULES,
        (
            (
                'if rk_type.startswith("abnorsett"):\n                rk_type = "res_4s_strehmel_weiner"',
                'if rk_type.startswith("abnorsett"):\n'
                '                rk_type = "abnorsett_4m" if multistep_stages else "res_4s_strehmel_weiner"',
            ),
        ),
        "the weights of Nørsett's four-step rule, which are those of steps of equal length in lambda",
    ),
    Repair(
        "res4lyf:rk5_7s?noise_anchor=0.0&extra_options=enable_final_model_call",
        RK_RULES,
        (("64448/6561, 212/729]", "64448/6561, -212/729]"), ("[-9017/3168,", "[9017/3168,")),
        "the signs of Dormand and Prince's rows, without which a stage is not at its place",
    ),
)
