"""The examples at the end of every help text; tests run each one, or its command line where the work is long."""

from __future__ import annotations

BOOK = "`make book` builds the book; its manual describes every command and the limits of every field."

EXAMPLES = {
    "samplerproof": (
        "samplerproof reproduce --quick",
        "samplerproof methods --search heun",
        "samplerproof study my_study.toml",
        "samplerproof verify diffusers:DPMSolverMultistepScheduler",
    ),
    "reproduce": (
        "samplerproof reproduce --quick",
        "samplerproof reproduce --out results/full",
        "samplerproof reproduce --seeds",
    ),
    "methods": (
        "samplerproof methods",
        "samplerproof methods dpm-solver++-2m",
        "samplerproof methods --family deis --order 2",
        "samplerproof methods --search karras --json",
    ),
    "grids": (
        "samplerproof grids",
        "samplerproof grids karras --steps 10",
        "samplerproof grids 'flow?shift=3' --steps 4 --schedule flow",
    ),
    "derive": (
        "samplerproof derive dpm-solver++-2m",
        "samplerproof derive ddim --format torch",
    ),
    "prove": (
        "samplerproof prove dpm-solver++-2m unipc-2",
        "samplerproof prove 'bdia-ddim?gamma=1' --json",
        "samplerproof prove --tableau my_tableau.toml",
    ),
    "study": (
        "samplerproof study my_study.toml",
        "samplerproof study my_study.toml --out results/second --json",
    ),
    "verify": (
        "samplerproof verify diffusers:DPMSolverMultistepScheduler",
        "samplerproof verify 'diffusers:DPMSolverMultistepScheduler?solver_order=3'",
        "samplerproof verify my_sampler.py:sample --against dpm-solver++-2m",
        "samplerproof verify 'my_guided.py:sample?w=4' --against ddim",
        "samplerproof verify comfyui:euler_cfg_pp --path ComfyUI",
        "samplerproof verify my_port.json",
    ),
    "advise": (
        "samplerproof advise rings --nfe 8",
        "samplerproof advise digits --nfe 10 --budget 300 --html advice.html",
        "samplerproof advise my_study.toml --nfe 6 --json",
    ),
    "export": (
        "samplerproof export dpm-solver++-2m --grid karras --steps 8",
        "samplerproof export ddim ddpm --grid 'karras?zero=1' --steps 8 --vectors --out results/vectors",
    ),
    "design": (
        "samplerproof design digits --nfe 8",
        "samplerproof design my_study.toml --nfe 5 --out my.table.json",
        "samplerproof design rings --nfe 10 --method unipc-2 --json",
    ),
    "cite": (
        "samplerproof cite",
        "samplerproof cite dpm-solver++-2m edm-heun",
        "samplerproof cite --theorem order-ddim",
    ),
    "train": ("samplerproof train rings --out results/rings",),
}

NOTES = {
    "samplerproof": "`samplerproof COMMAND --help` has the options and examples of a command.",
    "study": (
        "The file has the tables [target], [schedule], [grid] and [run]. Metrics: tv, kl, w2, trajectory; in d > 1 "
        "also energy, sliced-w2, moments. Grids: `samplerproof grids` lists them. Methods: `samplerproof methods`."
    ),
    "verify": (
        "LIBRARY:NAME is diffusers:Class, k-diffusion:function, azula:Class, comfyui:NAME of its menu, "
        "res4lyf:NAME, dpm-solver:DPM_Solver, unipc:UniPC, edm:edm_sampler, wan:Class or skrample:Class; --path DIR is "
        "a checkout of a library that is not installed, or of one that your file imports. FILE.py:name and "
        "package.module:name are a function (denoise, x, sigmas), with guidance inside (denoise, x, sigmas, cond, "
        "uncond), one as ComfyUI has them (model, x, sigmas, extra_args), a scheduler or its class. "
        "FILE.json is a table, or a run that was recorded in any language."
    ),
    "advise": (
        "The target of a study file is asked between the ends of its [grid]; a network alone between sigma = 80 and "
        "0.002 on the schedule edm, as far as it was trained. FILE.py:name is a mixture, or a function "
        "(x, at, prediction) with an attribute `shape`: a guided model is one of these."
    ),
    "export": "The chapter on ports has both formats, and readers in C, Rust, Swift, JavaScript and Python.",
    "design": (
        "The file is a table that `study` and `verify` take where a method or target goes, and `sp.tabulate` by its "
        "path. The best record is written where the designed table does not beat it on trajectories that neither was "
        "chosen by. TARGET is as in `advise`."
    ),
    "methods": "NAME is a name or an alias; a value of a parameter follows a question mark: 'ddim-eta?eta=1/2'.",
}


def epilog(command: str) -> str:
    """The end of a help text: examples on lines of their own, then what else to know, and where to read more."""
    lines = "\n".join(f"  {line}" for line in EXAMPLES[command])
    return "\n\n".join(["\b\nExamples:\n" + lines, *([NOTES[command]] if command in NOTES else []), BOOK])
