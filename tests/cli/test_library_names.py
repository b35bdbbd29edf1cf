"""The names of libraries: every one that an installed library exports, and every one answers."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

import samplerproof as sp
from samplerproof.book.library_tableaux import library
from samplerproof.book.sampler_names import bare, without_record
from samplerproof.book.studies.provable_systems import SYSTEMS
from samplerproof.book.tables.library_table import library_page
from samplerproof.cli.methods_command import catalogue, described
from samplerproof.names.input_error import InputError
from samplerproof.names.library_names import PAPER, LibraryName, library_names
from samplerproof.numerics.catalogue import METHODS, resolve
from samplerproof.numerics.points import Point

Run = Callable[..., tuple[int, str, str]]

NAMES = library_names()


def exported(library: str) -> set[str]:
    """The names of the table without their options."""
    return {entry.name.partition("?")[0] for entry in NAMES.values() if entry.library == library}


def test_every_scheduler_of_diffusers_is_there() -> None:
    """Assert that the table has the schedulers of the installed version, and no others."""
    schedulers = pytest.importorskip("diffusers.schedulers")
    found = {name for name in dir(schedulers) if name.endswith(("Scheduler", "Schedulers"))}
    assert exported("diffusers") == found
    assert NAMES["diffusers:DDIMScheduler"].version == version("diffusers")


def test_every_sampler_of_k_diffusion_is_there() -> None:
    """Assert the same of its functions; its file is read, since the package imports what is not installed."""
    spec = find_spec("k_diffusion")
    if spec is None or spec.origin is None:
        pytest.skip("k-diffusion is not installed")
    tree = ast.parse(Path(spec.origin).with_name("sampling.py").read_text(encoding="utf-8"))
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("sample_")}
    assert exported("k-diffusion") == found
    assert NAMES["k-diffusion:sample_euler"].version == version("k-diffusion")


def test_every_alias_of_a_library_is_there_with_its_record() -> None:
    """Assert that records and table agree on each name, for the libraries whose names are all in the table."""
    aliases = {alias: record.name for record in METHODS.values() for alias in record.aliases if ":" in alias}
    known = {
        alias: name for alias, name in aliases.items() if alias.partition(":")[0] in {e.library for e in NAMES.values()}
    }
    assert {alias: NAMES[alias].record for alias in known} == known


@pytest.mark.parametrize("entry", NAMES.values(), ids=lambda entry: entry.typed)
def test_a_name_has_a_record_that_resolves_or_a_reason(entry: LibraryName) -> None:
    """Assert one of the two; that the record is the one that commands take, and that the reason is what they say."""
    assert (entry.record is None) == bool(entry.why)
    if entry.record is not None:
        assert resolve(entry.typed) == resolve(entry.record)
        assert entry.near is None
        return
    with pytest.raises(InputError, match="without a record: ") as refused:
        resolve(entry.typed)
    assert entry.why[:40] in str(refused.value)
    assert entry.proved is None or entry.proved == {s.name: s.order for s in SYSTEMS}.get(entry.name, 1)
    if entry.near is not None:
        assert resolve(entry.near)


def test_a_name_is_shown_with_its_record_or_its_reason(in_process: Run) -> None:
    """Assert both for a person, and for JSON; an unknown name of a library has near ones of that library."""
    code, out, err = in_process("methods", "comfyui:exp_heun_2_x0")
    assert (code, err) == (0, "")
    assert "dpm-solver++-2s-taylor?r=1: " in out
    assert "asked for" in out
    code, out, err = in_process("methods", "comfyui:heunpp2")
    assert (code, err) == (0, "")
    assert NAMES["comfyui:heunpp2"].why in out
    (found,) = json.loads(in_process("methods", "restart", "--json")[1])
    assert (found["name"], found["near"], NAMES["restart"].library) == ("restart", "edm-heun", PAPER)
    code, out, err = in_process("methods", "comfyui:heunpp3")
    assert (code, out) == (2, "")
    assert "nearest: comfyui:heunpp2" in err


def test_a_search_finds_every_name() -> None:
    """Assert that each name of a library or paper, each tableau and each system of the arena finds what it is."""
    for entry in NAMES.values():
        found = {answer["name"] for answer in catalogue(search=entry.typed)}
        assert (entry.typed if entry.record is None else entry.record.partition("?")[0]) in found
    for tableau in library()["tableau"]:
        name = f"res4lyf:{tableau['name']}"
        found = {answer["name"] for answer in catalogue(search=name)}
        assert (resolve(name).name if name in NAMES else name) in found
    for system in SYSTEMS:
        assert system.name in {answer["name"] for answer in catalogue(search=system.name)}


def test_a_search_with_a_filter_leaves_records_alone() -> None:
    """Assert that what has no record is found by a search alone, and that nothing found is none of both."""
    assert [answer["name"] for answer in catalogue(search="heunpp2")] == ["comfyui:heunpp2"]
    for filters in ({"order": 1}, {"family": "ddim"}, {"stochastic": True}):
        with pytest.raises(InputError, match="none left"):
            catalogue(search="heunpp2", **filters)
    with pytest.raises(InputError, match="none left"):
        catalogue(search="heunpp9")


def test_a_name_is_found_without_its_library() -> None:
    """Assert it of a name with a record, of one without and of a tableau; two samplers of one name are refused."""
    assert described("DPMSolverMultistepScheduler")["name"] == "dpm-solver++-2m"
    assert described("heunpp2")["name"] == "comfyui:heunpp2"
    assert described("res_5s_hochbruck-ostermann")["name"] == "res4lyf:res_5s_hochbruck-ostermann"
    assert described("dpmpp_2m") == described("comfyui:dpmpp_2m")  # RES4LYF has a tableau of that name
    assert described("DPM++ 2M Karras")["name"] == "dpm-solver++-2m"  # as the web UI has it
    assert bare("ddim-eta?eta=1/2") == "ddim-eta?eta=1/2"
    assert bare("no-such-sampler") == "no-such-sampler"


def test_a_tableau_answers_with_its_orders_and_what_fails() -> None:
    """Assert claimed, proved and measured order, the failing condition and the repair of one that has less."""
    (found,) = without_record("res4lyf:res_5s_hochbruck-ostermann")
    assert (found["claimed_order"], found["proved_order"]) == (4, 2)
    assert abs(found["observed_order"] - 2) < 0.1
    assert "fails next: 1/4 h^1  [[]]; of order 4 with " in found["why"]


def test_claims_are_shown_with_their_repair(in_process: Run) -> None:
    """Assert the line of a record that has less than is claimed, and none where no claim was read."""
    assert "claimed        4, by diffusers, fourth-order; deis-rhoab3 has it" in in_process("methods", "ipndm-4")[1]
    assert "claimed  " not in in_process("methods", "consistency")[1]
    assert described("consistency")["claimed"] is None


def test_the_page_has_every_name() -> None:
    """Assert a row for each."""
    page = library_page()
    assert all(f"| `{entry.name}` |" in page for entry in NAMES.values())


@pytest.mark.parametrize(("kind", "prediction", "order"), [("vp-linear", "data", 2), ("flow", "velocity", 4)])
def test_a_tableau_of_skrample_is_of_order_2_unless_the_clock_is_linear(kind: str, prediction: str, order: int) -> None:
    """Assert it of the classical Runge-Kutta method, whose stages are one-node steps to fractions of a step's time.

    A stage takes the mean of outputs with weights a_ij / c_i, the step that with b_j (skrample 0.7.0, step_tableau).
    """
    schedule, mixture = sp.schedule(kind), sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
    places, first, last = ((0.5, [1.0]), (0.5, [0.0, 1.0]), (1.0, [0.0, 0.0, 1.0])), 0.9, 0.1
    x = torch.linspace(-2, 2, 21, dtype=torch.float64)[:, None]

    def step_to(x: torch.Tensor, output: torch.Tensor, s: Point, t: Point) -> torch.Tensor:
        if prediction == "velocity":
            return x + (t.sigma - s.sigma) * output
        return t.sigma / s.sigma * x + (t.alpha - s.alpha * t.sigma / s.sigma) * output

    def run(steps: int) -> torch.Tensor:
        z, times = x, torch.linspace(first, last, steps + 1, dtype=torch.float64)
        for start, end in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
            s = schedule.point(start)
            outputs = [mixture(z, s, prediction)]
            for place, shares in places:
                at = schedule.point(start + place * (end - start))
                mean = sum(share * output for share, output in zip(shares, outputs, strict=True))
                outputs.append(mixture(step_to(z, mean, s, at), at, prediction))
            mean = (outputs[0] + 2 * outputs[1] + 2 * outputs[2] + outputs[3]) / 6
            z = step_to(z, mean, s, schedule.point(end))
        return z

    exact = sp.exact_flow(mixture, x, schedule.point(first), schedule.point(last))[0]
    coarse, fine = (float((run(n) - exact).norm()) for n in (40, 80))
    assert abs(math.log2(coarse / fine) - order) < 0.2
