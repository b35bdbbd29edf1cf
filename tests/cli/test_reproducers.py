"""The reproducers of discrepancies: short, of torch and one library alone, and they show what the page states."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import io
from pathlib import Path

import pytest

from samplerproof.book.records.version_results import answer, libraries, printed
from samplerproof.book.tables.verification_tables import REPRODUCERS, _with_versions
from samplerproof.numerics.conformance.adapters.k_diffusion import importable

FILES = sorted((Path(__file__).parents[2] / "book" / "reproducers").glob("*.txt"))
CHECKOUTS = (
    "comfy",
    "dpm_solver_pytorch",
    "uni_pc",
    "fm_solvers",
    "azula",
    "RES4LYF",
    "k_diffusion",
)  # what book/checkouts.toml has, as it is imported
SHOWN = {
    "every_derivative": "integrates lambda to 0.061335; it is 0.091086",
    "frozen_state": "heun_3s, noise_anchor=1.0: order 2.00\nheun_3s, noise_anchor=0.0: order 3.00",
    "four_steps": "equal steps: the step to 1 adds -3.250000; the integral is -3.750000",
    "inverted_noise": "stochastic_sampling=False: the sample is 3.0000\nstochastic_sampling=True: the sample is 0.3704",
    "noise_of_a_stage": "with another noise in its stage the step ends 0.0000 away\nof one path, 0.5370 of the noise",
    "noise_without_data": "leads to 0.993844; alpha x0 + sigma x is 0.938450",
    "order_without_noise": ": order 2.06",
    "places_of_stages": "the second evaluation is at 0.3514 of the step in lambda\nthe third evaluation is at 0.6847",
    "second_difference_of_edm": "integrates t^2 to 0.019032; it is 0.038063",
    "second_difference_of_noise": "integrates t^2 to -0.018578; it is -0.037155",
    "last_call": "an evaluation at sigma = 2.00\nan evaluation at sigma = 1.00\n",
    "last_step": "the sample is nan",
    "linspace_steps": "times -0.636623; DDIM's step there has -0.684360",
    "repeated_level": "changes the sample by 0.0e+00",
    "second_difference": "integrates t^2 to 0.004973; it is 0.009946",
    "scale_of_integral": "adds -0.71946; the integral is -0.45502",
    "second_difference_on_the_flow": "integrates t^2 to 0.000704; it is 0.001407",
    "second_difference_of_authors": "integrates lambda^2 to 0.015792; it is 0.031583",
    "signs_of_a_stage": "the row of the stage at 0.8889 adds up to 1.4705",
    "rows_of_stages": "etdrk4_4s: order 2.02; a_32 = 0.9928",
    "weights_of_stages": "the step integrates lambda to -0.017684; it is 0.004837",
    "stale_condition": "sample_dpmpp_2s_ancestral_cfg_pp: 2.000000; the solution is 1.386294",
    "weights_of_equal_steps": "unequal steps: the step to 1 adds 885.666667; the integral is -3.750000",
    "third_order_sde": "h = 0.0168: the weight of the oldest output is -0.0843",
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_reproducer_is_short_and_of_one_library(file: Path) -> None:
    """Assert that it has at most fifteen lines, and imports torch and one library."""
    text = file.read_text(encoding="utf-8")
    assert len([line for line in text.splitlines() if line.strip()]) <= 15
    assert imported(text) in ({"torch", "diffusers"}, *({"torch", name} for name in CHECKOUTS))


def imported(text: str) -> set[str]:
    """The packages that a text imports."""
    found = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = [node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name for node in found]
    return {module.partition(".")[0] for module in modules}


@pytest.mark.slow
@pytest.mark.filterwarnings("default::DeprecationWarning", "default::FutureWarning")  # of the libraries
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_reproducer_shows_it(file: Path) -> None:
    """Assert what it prints with the library, where that is installed or on the path."""
    text = file.read_text(encoding="utf-8")
    if any(importlib.util.find_spec(name) is None for name in imported(text)):
        pytest.skip("its library is not there")
    trains = importable("") if "k_diffusion" in imported(text) else contextlib.nullcontext()
    with trains, contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(text, file.name, "exec"), {})
    assert SHOWN[file.stem] in out.getvalue()


def test_what_a_reproducer_prints_depends_on_the_version(tmp_path: Path) -> None:
    """Assert it of two versions of a package in folders, one of which raises."""
    for name, line in (("old", "value = 1 / 0"), ("new", "value = 2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a_library_of_two_versions.py").write_text(f"{line}\n")
    text = "import a_library_of_two_versions as library\nprint(library.value)\nprint(library.__name__)"
    assert printed(text, tmp_path / "new") == "2; a_library_of_two_versions"
    assert printed(text, tmp_path / "old") == "ZeroDivisionError: division by zero"
    lines = [{"library": "a", "version": str(n), "printed": "yes" if n < 3 else "no"} for n in (1, 2, 3)]
    assert "\n".join(_with_versions(lines)).splitlines()[2:] == ["- a 1, 2: `yes`", "- a 3: `no`"]
    assert not [*_with_versions([])]


def test_kept_versions_print_what_the_installed_one_does() -> None:
    """Assert that the newest version is kept with what a run of the installed one shows, and that all are used."""
    kept = answer()
    assert {name for one in libraries().values() for name in one["reproducers"]} == {*kept} <= {*REPRODUCERS.values()}
    for name, lines in kept.items():
        assert SHOWN[name].strip().replace("\n", "; ") in lines[-1]["printed"]
        assert [line["version"] for line in lines] == libraries()[lines[0]["library"]]["tried"]
