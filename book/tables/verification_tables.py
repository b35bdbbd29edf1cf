"""The pages of the study of verifications: the table of verdicts, and the discrepancies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ...numerics.conformance.known_repairs import FINAL_CALL, FROZEN_RULES
from ...numerics.conformance.official_code import CHANGES, CORRECTIONS, REMARKS
from ...numerics.conformance.report import own_name
from ...numerics.support.files import write_text
from ..markup import code, fenced, number, plain, scientific, table
from ..studies.verification import fails

MULTISTEP, UNIPC = "diffusers:DPMSolverMultistepScheduler", "diffusers:UniPCMultistepScheduler"
REPRODUCERS = {  # of a discrepancy: a file in book/reproducers
    f"{MULTISTEP}?solver_order=3": "second_difference",
    f"{MULTISTEP}?use_karras_sigmas=true&solver_order=3": "second_difference",
    f"{MULTISTEP}?algorithm_type=sde-dpmsolver++&solver_order=3": "third_order_sde",
    f"{MULTISTEP}?algorithm_type=dpmsolver&final_sigmas_type=sigma_min&solver_order=3": "second_difference_of_noise",
    "diffusers:EDMDPMSolverMultistepScheduler?solver_order=3": "second_difference_of_edm",
    "diffusers:DPMSolverSinglestepScheduler?solver_order=3": "places_of_stages",
    "diffusers:DPMSolverSinglestepScheduler?algorithm_type=sde-dpmsolver++": "noise_of_a_stage",
    "diffusers:IPNDMScheduler": "noise_without_data",
    "diffusers:FlowMatchEulerDiscreteScheduler?invert_sigmas=true&stochastic_sampling=true": "inverted_noise",
    f"{UNIPC}?solver_type=bh1": "last_step",
    f"{UNIPC}?predict_x0=false": "last_step",
    f"{UNIPC}?lower_order_final=false": "last_step",
    "diffusers:DDIMScheduler?clip_sample=false&timestep_spacing=linspace": "linspace_steps",
    "diffusers:DDIMScheduler?clip_sample=false&set_alpha_to_one=false": "repeated_level",
    "diffusers:PNDMScheduler": "repeated_level",
    "diffusers:PNDMScheduler?skip_prk_steps=true": "repeated_level",
    "k-diffusion:sample_dpmpp_3m_sde?eta=0.0": "order_without_noise",
    "comfyui:ipndm": "weights_of_equal_steps",
    "comfyui:ipndm_v": "four_steps",
    "comfyui:dpmpp_2s_ancestral_cfg_pp": "stale_condition",
    "dpm-solver:DPM_Solver?order=3": "second_difference_of_authors",
    "dpm-solver:DPM_Solver?order=3&algorithm_type=dpmsolver": "second_difference_of_authors",
    "unipc:UniPC?variant=vary_coeff": "every_derivative",
    "unipc:UniPC?variant=vary_coeff&order=3": "every_derivative",
    "wan:FlowDPMSolverMultistepScheduler?solver_order=3": "second_difference_on_the_flow",
    "azula:REABSampler": "scale_of_integral",
    "azula:REABSampler?order=3": "scale_of_integral",
    "res4lyf:rk5_7s?noise_anchor=0.0&extra_options=enable_final_model_call": "signs_of_a_stage",
    f"res4lyf:rk5_7s{FINAL_CALL}": "signs_of_a_stage",
    **{f"res4lyf:{rule}{FINAL_CALL}": "frozen_state" for rule in FROZEN_RULES},
    f"res4lyf:etdrk4_4s{FINAL_CALL}": "rows_of_stages",
    f"res4lyf:res_5s_hochbruck-ostermann{FINAL_CALL}": "rows_of_stages",
    f"res4lyf:abnorsett_4m{FINAL_CALL}": "weights_of_stages",
    "res4lyf:euler": "last_call",
}
TABLE = "verification.md"
DISCREPANCIES = "discrepancies.md"
MEANING = {
    "error": "it could not be run",
    "not-linear": "it has no table, because its result is not linear in its inputs",
    "non-finite": "a value is not finite on finite inputs",
    "different-formula": "its rows differ from those of the reference",
    "identical": "its rows are those of the reference, to 1e-14 as shipped",
    "roundoff": "its rows are those of the reference in float64; as shipped they differ within the bound for rounding",
}


def write(answer: dict[str, Any], folder: Path) -> None:
    """Write both pages into the folder."""
    write_text(folder / TABLE, overview(answer))
    write_text(folder / DISCREPANCIES, discrepancies(answer))


def overview(answer: dict[str, Any]) -> str:
    """Method x implementation x verdict, and the targets without a method to compare with."""
    records = answer["records"]
    judged = [r for r in records if r["reference"] is not None or r["matches"]]
    head = ("method", "implementation", "verdict", "as shipped", "in float64", "order proved", "advertised", "observed")
    rows = sorted(((_method(r), _row(r)) for r in judged), key=lambda pair: pair[0])
    others = [
        (code(r["target"]), plain(r["verdict"]), number(r["observed_order"], ".2f"), plain(r.get("nearest") or "-"),
         plain(_first(r)))
        for r in records
        if r not in judged
    ]  # fmt: skip
    parts = [
        "# Verification",
        _made(answer),
        "Every implementation was run on basis vectors, which gives its table row by row, and each row was compared "
        "with that of the method. *As shipped* and *in float64* are the largest relative errors of a row; then come "
        "the order proved for the method, the order that the name or the options of the implementation advertise, and "
        "the order observed.",
        "\n".join(f"- *{verdict}*: {meaning}." for verdict, meaning in MEANING.items()),
        table(head, [row for _, row in rows]),
        "## Without a method to compare with",
        table(("implementation", "verdict", "order observed", "nearest", "why"), others) if others else "None.",
        *_libraries(records),
    ]
    unverified = answer.get("unverified", [])
    if unverified:
        parts += ["## Listed, not yet verified", ", ".join(map(code, unverified)) + "."]
    parts += ["## What changed", "\n".join(f"- {text}" for text in CHANGES)]
    return "\n\n".join(parts) + "\n"


def _libraries(records: Sequence[dict[str, Any]]) -> Iterable[str]:
    """How many samplers there are by library, and which version or commit of it."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        rows.setdefault(record["target"].partition(":")[0], []).append(record)
    counts = {library: len(samplers(of_it)) for library, of_it in rows.items()}
    yield "## Libraries"
    yield (
        f"{sum(counts.values())} samplers of {len(rows)} libraries or official files, in {len(records)} settings. A "
        "class or function counts once: its options, and other names of it, do not."
    )
    lines = [(code(name), _source(name, of_it), str(counts[name]), str(len(of_it))) for name, of_it in rows.items()]
    yield table(("library", "version", "samplers", "settings"), lines)


def samplers(records: Iterable[dict[str, Any]]) -> set[str]:
    """The classes and functions of these records; ComfyUI's NAME_gpu calls NAME."""
    return {record["target"].partition("?")[0].removesuffix("_gpu") for record in records}


def _source(library: str, records: Sequence[dict[str, Any]]) -> str:
    """The version of a library that is installed, or the repository and commit of its checkout."""
    checkout = records[-1].get("checkout")
    if checkout is None:
        return plain(records[-1]["versions"].get(library, "-"))
    repository, commit = checkout.get("repository", ""), checkout.get("commit", "")
    link = f"[{plain(repository.rpartition('github.com/')[2])}, {commit[:12]}]({repository}/tree/{commit})"
    return f"{plain(checkout['version'])}: {link}" if "version" in checkout else link


def discrepancies(answer: dict[str, Any]) -> str:
    """For each discrepancy: library and version, command, findings, proof, repair and the verdict after it."""
    parts = ["# Discrepancies", _made(answer)]
    if answer["discrepancies"]:
        head = ("implementation", "deviation", "after the repair")
        parts += [
            "Implementations that are not the method of their name, are not finite, have a lower order than they "
            "advertise, or fail with another error, such as writing into the tensors of the caller. Each has its "
            "numbers, the proof, what the code of the method's authors does, and where one is known the smallest "
            "repair, tried on a copy in memory. A different formula is not always a fault; its cost is stated.",
            table(head, [_line(entry) for entry in answer["discrepancies"]]),
        ]
    for entry in answer["discrepancies"]:
        parts += _entry(entry, answer.get("reproduced", {}))
    if not answer["discrepancies"]:
        parts.append("None.")
    parts += ["## Corrected", *CORRECTIONS]
    return "\n\n".join(parts) + "\n"


def _line(entry: dict[str, Any]) -> tuple[str, ...]:
    errors = [f for f in entry["findings"] if f["severity"] == "error"]
    kinds = ", ".join(dict.fromkeys(f["kind"] for f in errors or entry["findings"] if f["kind"] != "roundoff"))
    return code(entry["target"]), plain(kinds), "-" if entry["repair"] is None else _after(entry["repair"])


def _after(repair: dict[str, Any]) -> str:
    """The method that the repaired copy equals."""
    name = repair["after"]["reference"]
    return code(name) if name else "not a method of the catalogue"


def _entry(entry: dict[str, Any], reproduced: dict[str, list[dict[str, str]]]) -> Iterable[str]:
    yield f"## {code(entry['target'])}"
    library = entry["target"].partition(":")[0] if "checkout" in entry else next(reversed(entry["versions"]))
    command = code(f"samplerproof verify '{entry['target']}'" + (" --path DIR" if "checkout" in entry else ""))
    yield f"{plain(library)} {_source(library, [entry])}; {command}: {plain(entry['verdict'])}."
    yield "\n".join(f"- {plain(finding['kind'])}: {plain(finding['detail'])}" for finding in entry["findings"])
    first = map(own_name, entry["matches"][:1])
    proofs = dict.fromkeys(name for name in (*first, entry["reference"]) if name)
    if proofs:
        yield f"Proof: {code('samplerproof prove ' + ' '.join(proofs))}."
    if entry["target"] in REMARKS:
        yield f"Beside it: {REMARKS[entry['target']]}"
    if entry["target"] in REPRODUCERS:
        yield "A reproducer, of torch and the library alone:"
        yield fenced(reproducer(entry["target"]), "python")
        yield from _with_versions(reproduced.get(REPRODUCERS[entry["target"]], []))
    repair = entry["repair"]
    if repair is None:
        yield "No repair is given."
        return
    yield f"Repair, {plain(repair['what'])}; in {code(repair['module'])}:"
    lines = [line for old, new in repair["changes"] for line in (*_signed("-", old), *_signed("+", new))]
    yield fenced(repair.get("diff", "\n".join(lines)).rstrip(), "diff")
    after = repair["after"]
    error = f", {after['max_relative_error_float64']:.1e} in float64" if after["max_relative_error_float64"] else ""
    order = f", observed order {after['observed_order']:.2f}" if after["observed_order"] is not None else ""
    yield f"After this change in memory it is {_after(repair)}: {plain(after['verdict'])}{error}{order}."


def reproducer(target: str) -> str:
    """The text of the reproducer of a discrepancy."""
    file = Path(__file__).parents[1] / "reproducers" / f"{REPRODUCERS[target]}.txt"
    return file.read_text(encoding="utf-8").rstrip()


def _with_versions(lines: Sequence[dict[str, str]]) -> Iterable[str]:
    """What it prints with which versions of the library, where they were tried."""
    printed: dict[str, list[str]] = {}
    for line in lines:
        printed.setdefault(line["printed"], []).append(line["version"])
    if printed:
        library = lines[0]["library"]
        each = (f"- {plain(library)} {plain(', '.join(versions))}: {code(text)}" for text, versions in printed.items())
        yield "\n".join(["What it prints, by version of the library:", "", *each])


def _signed(sign: str, text: str) -> list[str]:
    return [f"{sign} {line}" for line in text.splitlines()]


def _made(answer: dict[str, Any]) -> str:
    run = answer["manifest"]["run"]
    versions = {name: v for record in answer["records"] for name, v in record["versions"].items()}
    used = ", ".join(plain(f"{name} {version}") for name, version in sorted(versions.items()))
    return f"Made by `samplerproof study` on {run['steps']} steps, with {used}."


def _method(record: dict[str, Any]) -> str:
    return str(record["reference"] or own_name(next(iter(record["matches"]), "-")))


def _row(record: dict[str, Any]) -> tuple[str, ...]:
    errors = [scientific(record[f"max_relative_error{which}"]) for which in ("", "_float64")]
    orders = (record["nominal_order"], record["promised_order"])
    return (
        code(_method(record)),
        code(record["target"]),
        plain(outcome(record)),
        *errors,
        *("-" if order is None else str(order) for order in orders),
        number(record["observed_order"], ".2f"),
    )


def outcome(record: dict[str, Any]) -> str:
    """The verdict; if it conforms but fails, also the kinds of the findings that are errors."""
    kinds = dict.fromkeys(f["kind"] for f in record["findings"] if f["severity"] == "error")
    return f"{record['verdict']}, but fails: {', '.join(kinds)}" if fails(record) else str(record["verdict"])


def _first(record: dict[str, Any]) -> str:
    return next((str(finding["detail"]) for finding in record["findings"]), "-")
