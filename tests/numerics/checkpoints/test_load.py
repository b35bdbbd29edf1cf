"""A checkpoint is what its description says, or is refused in one line that names the field."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import networks
import numpy
import pytest
import torch
from refused_checkpoints import refused
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from samplerproof.numerics.checkpoints import checkpoint_checks, plain_module
from samplerproof.numerics.checkpoints.checkpoint import unit_point
from samplerproof.numerics.checkpoints.checkpoint_checks import check
from samplerproof.numerics.checkpoints.level_of_lambda import discrete, linear_betas
from samplerproof.numerics.checkpoints.load import OWN_CHECKPOINTS, load, own_names
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.grids import grid
from samplerproof.numerics.points import Point
from samplerproof.numerics.rates import local_exponents
from samplerproof.numerics.sample import sample
from samplerproof.numerics.support.consent import Consent
from samplerproof.numerics.support.reading import json_object
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture
from samplerproof.numerics.targets.reference import reference_flow

F64 = torch.float64


@pytest.fixture(autouse=True)
def not_in_another_process(monkeypatch):
    """A module is made here without being looked over in a process of its own, which takes two seconds each."""
    monkeypatch.setattr(plain_module, "probe", lambda target: None)


@pytest.fixture
def folder(tmp_path):
    """A copy of the kept rings."""
    return shutil.copytree(OWN_CHECKPOINTS / "rings", tmp_path / "mine")


def edited(folder, *changes):
    path = folder / "checkpoint.toml"
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return folder


def rewritten(folder, change=lambda tensors: None, **changes):
    """The weights with some of them changed, and with another description inside."""
    path = folder / "model.safetensors"
    with safe_open(path, "pt") as file:
        description = json.loads(file.metadata()["samplerproof"])
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, {"samplerproof": json.dumps(description | changes)})
    return folder


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("name", ["digits", "photos", "rings"])
def test_every_checkpoint_of_the_project_loads(name):
    """Assert that the three are there, small together, with their training records, and better than trivial."""
    checkpoint = load(name)
    assert checkpoint.name == name
    assert checkpoint.prediction == "v"
    record = json.loads((OWN_CHECKPOINTS / name / "training.json").read_text(encoding="utf-8"))
    assert record["command"] == f"samplerproof train {name}"
    assert {"curve", "seconds", "device", "versions", "commit", "recipe"} <= set(record)
    assert any(loss < 0.6 * trivial for _, loss, trivial in record["validation"]["levels"])
    assert record["validation"]["loss"] < record["validation"]["trivial"]
    assert name in own_names()
    assert sum(path.stat().st_size for path in OWN_CHECKPOINTS.rglob("*") if path.is_file()) < 6e6


def test_a_network_sees_alpha_and_sigma_alone():
    """Assert that one point of lambda gives one prediction, however the process is scaled and timed."""
    denoise = load("rings").denoiser()
    x = torch.randn(5, 2, dtype=F64, generator=torch.Generator().manual_seed(0))
    at = Point(0.6, 0.8, 0.3, -1.0, 2.0)
    data, noise = denoise(x, at, "data"), denoise(x, at, "noise")
    assert torch.allclose(0.6 * data + 0.8 * noise, x, rtol=1e-14, atol=1e-14)
    assert torch.allclose(denoise(x, at, "velocity"), -data + 2 * noise, rtol=1e-14, atol=1e-14)
    assert torch.allclose(denoise(x, at, "score"), -noise / 0.8, rtol=1e-14, atol=1e-14)
    scaled = denoise(10 * x, Point(6.0, 8.0, 77.0), "data")
    assert torch.allclose(scaled, data, rtol=1e-13, atol=1e-13)
    with pytest.raises(InputError, match="finite"):
        denoise(x, Point(0.0, 1.0), "data")


def test_any_dtype_and_the_answer_is_as_the_question():
    """Assert that low precision is near double, not equal to it, and that the caller's dtype comes back."""
    checkpoint = load("digits")
    x = torch.randn(2, 1, 8, 8, dtype=F64, generator=torch.Generator().manual_seed(0))
    exact = checkpoint.denoiser()(x, Point(0.6, 0.8), "noise")
    for dtype, near in ((torch.float32, 1e-5), (torch.bfloat16, 0.1), (torch.float16, 0.02)):
        off = (checkpoint.denoiser(dtype)(x, Point(0.6, 0.8), "noise") - exact).abs().max().item()
        assert 0 < off < near
        assert checkpoint.denoiser(dtype)(x.float(), Point(0.6, 0.8), "noise").dtype == torch.float32
    assert checkpoint.network.state_dict()["leave.weight"].dtype == torch.float32


def test_ends_are_those_of_a_posterior_mean():
    """Assert that the data prediction is x where there is no noise, and the noise prediction x where there is only."""
    denoise = load("digits").denoiser()
    x = torch.rand(4, 1, 8, 8, dtype=F64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    clean, noisy = networks.point(7.5), networks.point(-5.0)
    assert (denoise(x, clean, "data") - x).abs().max() < 5e-3
    assert (denoise(x, noisy, "noise") - x).abs().max() < 0.05


def test_a_wheel_has_every_file_of_the_checkpoints():
    """Assert that the files in trained/ are those that the pattern in pyproject.toml names."""
    pattern = 'checkpoints" = ["trained/*/*"]'
    assert pattern in (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    assert {len(path.relative_to(OWN_CHECKPOINTS).parts) for path in OWN_CHECKPOINTS.rglob("*") if path.is_file()} == {
        2
    }


# fault -> (change of the folder, words of the message)
FAULTS = {
    "cut short": (
        lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-100]),
        ["weights", "whole safetensors file"],
    ),
    "renamed": (lambda f: (f / "model.safetensors").rename(f / "other"), ["weights", "No such file"]),
    "no description": (lambda f: (f / "checkpoint.toml").unlink(), ["checkpoint", "checkpoint.toml"]),
    "broken TOML": (lambda f: edited(f, ("format = 1", "format = = 1")), ["valid TOML"]),
    "another format": (lambda f: edited(f, ("format = 1", "format = 2")), ["format: got 2", "1"]),
    "another kind": (lambda f: edited(f, ('"network"', '"net"')), ["kind: got 'net'"]),
    "an unknown key": (lambda f: edited(f, ("sigma_data", "sigma_date")), ["sigma_data"]),
    "an unknown architecture": (
        lambda f: edited(f, ('"perceptron"', '"perceptrom"')),
        ["network.architecture", "nearest: perceptron"],
    ),
    "widths of another network": (lambda f: edited(f, ("[96, 96", "[96, 64")), ["network", "96"]),
    "another shape": (lambda f: edited(f, ("shape = [2]", "shape = [3]")), ["shape: got [3]", "[2]"]),
    "another prediction": (lambda f: edited(f, ('"v"', '"noise"')), ["prediction: got 'noise'", "'v'"]),
    "another size of the data": (lambda f: edited(f, ("= 0.485", "= 0.5")), ["sigma_data: got 0.5", "0.485"]),
    "not a number among the weights": (
        lambda f: rewritten(f, lambda t: t["leave.bias"].fill_(torch.nan)),
        ["finite", "leave.bias"],
    ),
    "a weight missing": (lambda f: rewritten(f, lambda t: t.pop("leave.bias")), ["leave.bias is missing"]),
    "a weight too many": (lambda f: rewritten(f, lambda t: t.update(more=torch.ones(1))), ["has no more"]),
    "a weight of another shape": (
        lambda f: rewritten(f, lambda t: t.update({"leave.bias": torch.ones(3)})),
        ["leave.bias is [3], not [2]"],
    ),
    "weights without a description": (
        lambda f: save_file(load_file(f / "model.safetensors"), f / "model.safetensors"),
        ["with their description"],
    ),
    # both files agree and are wrong: the outputs of the network show it
    "the same wrong prediction in both files": (
        lambda f: rewritten(edited(f, ('prediction = "v"', 'prediction = "noise"')), prediction="noise"),
        ["prediction: got 'noise'", "predicts 'v'"],
    ),
    # sizes and nesting without end
    **{
        f"{key} without end": (lambda f, old=old, new=new: edited(f, (old, new)), [key])
        for key, old, new in (
            ("shape", "shape = [2]", "shape = [1000000000]"),
            ("widths", "[96, 96", "[1000000000, 96"),
            ("network.told", "told = ", "told = 1000000000"),
            ("sigma_data", "= 0.485", f"= {'9' * 400}"),
            ("span", "span = [", f"span = [-{'9' * 400}, "),
        )
    },
    "nested without end": (lambda f: edited(f, ('"v"', "[" * 3000)), ["nested at most"]),
    "metadata nested too deep": (lambda f: rewritten(f, **{"name": nested(500)}), ["nested at most"]),
    "larger than its weights": (
        lambda f: rewritten(edited(f, ("[96, 96", "[4096, 4096")), lambda t: None),
        ["weights beside it were written with"],
    ),
    "weights that denoise nothing": (
        lambda f: rewritten(f, lambda t: t["leave.weight"].mul_(-1)),
        ["a trained denoiser"],
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_line(name, folder):
    """Assert that what was whole loads, and does no longer once it is made wrong."""
    load(folder)
    make_wrong, said = FAULTS[name]
    make_wrong(folder)
    refused(folder, *said)


def test_what_is_no_checkpoint(tmp_path, monkeypatch):
    refused("ringz", "checkpoint: got 'ringz'", "nearest: rings")
    refused(tmp_path, "checkpoint", "checkpoint.toml")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rings").mkdir()
    refused("rings", '"./rings"')


@pytest.mark.parametrize("true", ["noise", "data", "v", "flow"])
def test_a_lie_about_the_prediction_is_found_and_the_truth_named(true, tmp_path):
    """Assert that each kind passes as itself, and as none of the other three."""
    checkpoint = load(networks.written(tmp_path / "net", true, true), Consent(code=True))
    for lie in {"noise", "data", "v", "flow"} - {true}:
        with pytest.raises(InputError, match=f"prediction: got '{lie}'.*predicts '{true}'"):
            check(replace(checkpoint, prediction=lie))


UNTRAINED = {"zero": "v", "constant": "v", "scaled": "v", "linear_noise": "noise", "linear_data": "data"}


@pytest.mark.parametrize(("made", "described"), [*UNTRAINED.items(), ("linear_flow", "flow"), ("zero", "data")])
def test_a_network_that_has_learnt_nothing_is_refused(made, described, tmp_path):
    """Assert so of outputs that are zero, constant, or the input times a number, under every described prediction."""
    size = 0.5  # not used, but weights that were checked once are not checked again
    refused(networks.written(tmp_path / "net", made, described, size=size), "checkpoint: ", code=True)


@pytest.mark.parametrize("name", ["digits", "photos"])
def test_a_lie_about_a_picture_network(name):
    """Assert the same for the U-Nets."""
    checkpoint = load(name)
    for lie in ("noise", "data", "flow"):
        with pytest.raises(InputError, match=f"prediction: got '{lie}'.*predicts 'v'"):
            check(replace(checkpoint, prediction=lie))


@pytest.mark.parametrize("kind", ["noise", "data", "v", "flow"])
def test_an_external_network_behind_the_contract_is_the_network_it_was_made_of(kind, tmp_path):
    """Assert that t is recovered from lambda, on points of another schedule, for every kind of prediction."""
    ours = load("rings").denoiser()
    theirs = load(networks.written(tmp_path / "net", kind, kind), Consent(code=True)).denoiser()
    x = torch.randn(6, 2, dtype=F64, generator=torch.Generator().manual_seed(1))
    for at in (Point(1.0, 20.0), Point(0.5, 0.5), Point(1.0, 0.05)):
        for prediction in ("data", "noise"):
            a, b = ours(x, at, prediction), theirs(x, at, prediction)
            assert torch.allclose(a, b, rtol=1e-9, atol=1e-9)


MODULES = {
    "a schedule of 400 digits": (
        {"schedule": networks.SCHEDULE | {"beta_max": 10**400}},
        "schedule.beta_max: got an integer of 1329 bits",
    ),
    "levels without end": ({"schedule": {"kind": "discrete", "betas": "linear", "levels": 10**12}}, "levels"),
    "a NUL in a name": ({"network": {"module": "networks:noise", "weights": "a\0"}}, "same folder"),
    "samples without end": ({"shape": [4096, 4096, 4096]}, "allowed without --large"),
    "a module that is not there": ({"network": {"module": "nowhere:net", "weights": "model.safetensors"}}, "nowhere"),
    "no callable": ({"network": {"module": "networks", "weights": "model.safetensors"}}, "package.module:callable"),
    "a callable that gives no module": (
        {"network": {"module": "networks:not_a_module", "weights": "model.safetensors"}},
        "not int",
    ),
    "weights elsewhere": ({"network": {"module": "networks:noise", "weights": "../w.safetensors"}}, "same folder"),
    "a shape the network does not take": ({"shape": [3]}, "shape: got [3]"),
    "an unknown schedule": ({"schedule": {"kind": "vp-liner", "t_min": 0.1, "t_max": 1.0}}, "vp-linear"),
    "no ends": ({"schedule": {"kind": "vp-linear", "beta_min": 0.1, "beta_max": 20.0}}, "schedule.t_min"),
    "an end without noise": ({"schedule": networks.SCHEDULE | {"t_min": 0.0}}, "lambda is infinite"),
    "levels that rise": ({"schedule": {"kind": "discrete", "alpha_bar": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}}, "falling"),
    "no levels": ({"schedule": {"kind": "discrete"}}, "one of betas and alpha_bar"),
    "the wrong schedule": ({"schedule": {"kind": "flow", "t_min": 0.01, "t_max": 0.99}}, "checkpoint"),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_faulty_description_of_a_module_is_one_line(name, tmp_path):
    changes, said = MODULES[name]
    refused(networks.written(tmp_path / "net", **changes), said, code=True)


def test_a_pickle_is_refused_unless_allowed_and_then_read_as_weights_only(tmp_path):
    """Assert that nothing in a pickle runs: allowed, one that would run code is refused by torch itself."""
    folder = networks.written(tmp_path / "net", network={"module": "networks:noise", "weights": "model.pt"})
    torch.save({"size": torch.tensor(1.0)}, folder / "model.pt")
    refused(folder, "--allow-code", pickle=True)
    load(folder, Consent(code=True))
    torch.save(torch.nn.Linear(1, 1), folder / "model.pt")
    refused(folder, "weights", code=True)


def test_weights_of_eight_bits_are_read(tmp_path):
    """Assert that a float8, of which torch cannot tell whether it is finite, is taken, what is no number refused."""
    folder = networks.written(tmp_path / "net")
    for value, said in ((1.0, None), (math.nan, "finite numbers only")):
        save_file({"size": torch.tensor(value).to(torch.float8_e4m3fn)}, folder / "model.safetensors")
        load(folder, Consent(code=True)) if said is None else refused(folder, said, code=True)
    save_file({"size": torch.tensor(1j)}, folder / "model.safetensors")
    refused(folder, "real numbers only", code=True)


def test_levels_are_interpolated_smoothly():
    """Assert that between levels t(lambda) is the process's own, where a broken line is off."""
    bar = linear_betas(1e-4, 0.02, 1000)
    native, (low, high) = discrete(bar)
    for level in (0, 1, 500, 999):
        lam = 0.5 * float(torch.tensor(bar[level], dtype=F64).logit())
        assert native(lam).t == pytest.approx(level, abs=1e-8)
        assert low - 1e-12 <= lam <= high + 1e-12
    # a process whose lambda(t) is known between its levels, too
    t = (torch.arange(1000, dtype=F64) + 1) / 1000
    columns = networks.VP.columns(t)
    native, _ = discrete((columns.alpha**2).tolist())
    between = networks.VP.columns((torch.arange(20, 990, 7, dtype=F64) + 1.5) / 1000)
    lams = between.lam.tolist()
    wanted = (between.t * 1000 - 1).tolist()
    smooth = max(abs(native(lam).t - w) for lam, w in zip(lams, wanted, strict=True))
    knots = columns.lam.tolist()
    broken = max(
        abs(k + (lam - knots[k]) / (knots[k + 1] - knots[k]) - w)
        for lam, w in zip(lams, wanted, strict=True)
        for k in [int(w)]
    )
    assert smooth < 1e-7 < 1e-4 < broken


@pytest.mark.parametrize(("smooth", "order"), [(True, 3.0), (False, 2.0)])
def test_a_kink_at_every_level_takes_the_third_order(smooth, order):
    """Assert that a sampler of order 3 has it with levels by the spline, and not with linear interpolation."""
    lam = networks.VP.columns((torch.arange(1, 21, dtype=F64)) / 20).lam  # of 20 levels, falling
    spline, _ = discrete((2 * lam).sigmoid().tolist())
    level = torch.arange(20, dtype=F64).numpy()

    def native(at: float) -> Point:
        t = spline(at).t if smooth else float(numpy.interp(at, lam.flip(0).numpy(), level[::-1]))
        return unit_point(at)._replace(t=t)

    class ByLevel(torch.nn.Module):
        def forward(self, x, t):
            return networks.rings(x.dtype)(x, networks.VP.point((float(t[0]) + 1) / 20), "noise")

    checkpoint = replace(load("rings"), network=ByLevel(), prediction="noise", native=native, unit=1.0)
    denoise = checkpoint.denoiser()
    start = torch.randn(3, 2, dtype=F64, generator=torch.Generator().manual_seed(0))
    errors = []
    for steps in (120, 240):
        way = grid(networks.VP, "uniform-lambda", steps, t_min=0.11, t_max=0.6)
        given = [start, *reference_flow(denoise, start, way.point(0), [way.point(1), way.point(2)], 1e-10)]
        (end,) = reference_flow(denoise, start, way.point(0), [way.point(steps)], 1e-9)
        errors.append(float((sample(denoise, given, tabulate("exp-adams-3", way, "exact")) - end).norm()))
    assert local_exponents([120, 240], errors)[0] == pytest.approx(order, abs=0.2)


def test_a_slope_on_gaussian_data_is_that_of_its_exact_denoiser():
    """Assert no distance from the slope of x0 on the data, and from less and from more than 1 what is missing."""
    size, at = 0.7, Point(0.6, 0.8)
    x = torch.tensor([[1.0 * at.alpha], [2.0 * at.alpha]], dtype=F64)
    exact = float(GaussianMixture([1.0], [0.0], stds=[size])(x, at, "data").diff(dim=0))
    for slope, apart in ((exact, 0.0), (exact - 0.05, 0.05), (1.0, 0.0), (1.05, 0.05)):
        assert checkpoint_checks._apart(slope, 1.0, 0.0, at, size) == pytest.approx(apart, abs=1e-12)


def test_brackets_in_a_text_are_not_nested() -> None:
    """Assert it of a text with quotes and dots as well, and that lists after it still are."""
    text = "'" + 30 * "[" + '"' + 30 * "a."
    assert json_object(json.dumps({"of": text, "and": [text]}), "file", "field") == {"of": text, "and": [text]}
    with pytest.raises(InputError, match="nested at most 16 deep"):
        json_object('{"of": ' + json.dumps(text) + ', "deep": ' + 16 * "[" + 16 * "]" + "}", "file", "field")
