"""A checkpoint of diffusers behind the contract is the network that the library itself would call."""

from __future__ import annotations

import json
from dataclasses import replace

import diffusers
import numpy as np
import pipelines
import pytest
import torch
from diffusers_folders import DESCRIPTIONS, noises, read, written
from safetensors.torch import load_file

from samplerproof.numerics.checkpoints.checkpoint_checks import check
from samplerproof.numerics.checkpoints.diffusers_checkpoint import load_diffusers
from samplerproof.numerics.checkpoints.double_precision_embedding import Waves
from samplerproof.numerics.checkpoints.load import load
from samplerproof.numerics.checkpoints.scheduler_levels import alpha_bar, read_scheduler
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.grids import Columns, Grid, grid
from samplerproof.numerics.points import Point
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.reference import reference_flow

F32, F64 = torch.float32, torch.float64
OTHERS = {
    "epsilon": pipelines.scheduler(),
    "sample": pipelines.scheduler("DDIMScheduler", prediction_type="sample", beta_schedule="squaredcos_cap_v2"),
    "v_prediction": pipelines.scheduler("DDIMScheduler", prediction_type="v_prediction", beta_schedule="scaled_linear"),
}


def by_hand(folder, name, dtype, x, level, fine=False):
    """What the library's own call answers, which tells whole levels as integers; fine: with waves in float64."""
    place = folder / ("transformer" if "Transformer" in name else "unet")
    model = getattr(diffusers, name).from_pretrained(place, low_cpu_mem_usage=False).to(dtype)
    more = {}
    if name == "UNet2DConditionModel":
        prompt = load_file(folder / "text.safetensors")["prompt"].to(dtype)
        more = {"encoder_hidden_states": prompt[None].repeat(len(x), 1, 1)}
    if name == "DiTTransformer2DModel":
        more = {"class_labels": torch.full((len(x),), 3)}
    t = torch.full((len(x),), level, dtype=torch.long if isinstance(level, int) else dtype)
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        if fine:
            patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        return model(x.to(dtype), t, **more).sample[:, : x.shape[1]].to(x.dtype)


def off(ours, theirs):
    """Root mean square of the difference, relative."""
    return float((ours - theirs).square().mean().sqrt() / theirs.square().mean().sqrt())


def at_level(made, level):
    bar = alpha_bar(dict(made.config))[level]
    return Point(float(np.sqrt(bar)), float(np.sqrt(1 - bar)))


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_the_noise_prediction_is_the_librarys_own(name, tmp_path):
    """Assert it in float32, and in float64 where the library is made to hold the waves of a level in float64, too."""
    checkpoint = load_diffusers(*read(written(tmp_path, name)))
    x = noises(checkpoint.shape)
    single, double = checkpoint.denoiser(F32), checkpoint.denoiser(F64)
    for level in (0, 7, 500, 999):
        at = at_level(pipelines.scheduler(), level)
        answer = by_hand(tmp_path, name, F32, x, level)
        assert answer.abs().max() > 0.05
        assert off(single(x, at, "noise"), answer) < 1e-6
        rough = off(double(x, at, "noise"), by_hand(tmp_path, name, F64, x, level))
        assert rough < 1e-4  # the waves of the library are of float32
        assert level == 0 or rough > 1e-12
        assert off(double(x, at, "noise"), by_hand(tmp_path, name, F64, x, level, fine=True)) < 1e-12


@pytest.mark.parametrize("prediction", OTHERS)
def test_every_kind_of_prediction_is_converted(prediction, tmp_path):
    """Assert that p x0hat + q epshat of our answers is the network's, with the (p, q) of its kind."""
    made = OTHERS[prediction]
    checkpoint = load_diffusers(written(tmp_path, "UNet2DModel", made))
    denoise, x = checkpoint.denoiser(F32), noises(checkpoint.shape)
    for level in (3, 400, 950):
        at = at_level(made, level)
        data, noise = denoise(x, at, "data"), denoise(x, at, "noise")
        assert torch.allclose(at.alpha * data + at.sigma * noise, x, rtol=1e-9, atol=1e-9)
        p, q = {"epsilon": (0, 1), "sample": (1, 0), "v_prediction": (-at.sigma, at.alpha)}[prediction]
        assert (p * data + q * noise - by_hand(tmp_path, "UNet2DModel", F32, x, level)).abs().max() < 2e-6


def test_flow_matching(tmp_path):
    """Assert that a scheduler of flow matching means (1 - s) x0 + s eps, with time 1000 s and prediction eps - x0."""
    made = pipelines.scheduler("FlowMatchEulerDiscreteScheduler", shift=3.0)
    checkpoint = load_diffusers(written(tmp_path, "UNet2DModel", made))
    denoise, x = checkpoint.denoiser(F32), noises(checkpoint.shape)
    for s in (0.25, 0.5):
        at = Point(1 - s, s)
        value = denoise(x, at, "noise") - denoise(x, at, "data")
        assert (value - by_hand(tmp_path, "UNet2DModel", F32, x, 1000 * s)).abs().max() < 2e-6


def test_levels_in_between_are_not_rounded(tmp_path):
    """Assert that at half a level the network receives half a level, which is neither of its neighbours."""
    checkpoint = load_diffusers(written(tmp_path, "UNet2DModel"))
    x = noises(checkpoint.shape)
    lams = [np.log(at.alpha / at.sigma) for at in (at_level(pipelines.scheduler(), level) for level in (300, 301))]
    at = pipelines_point(float(sum(lams)) / 2)
    level = checkpoint.native(float(np.log(at.alpha / at.sigma))).t
    assert 300.4 < level < 300.6
    ours = checkpoint.denoiser(F32)(x, at, "noise")
    off = [(ours - by_hand(tmp_path, "UNet2DModel", F32, x, t)).abs().max() for t in (level, 300.0, 301.0)]
    assert off[0] < 2e-6 < 1e-5 < min(off[1:])


def pipelines_point(lam):
    alpha = 1 / np.sqrt(1 + np.exp(-2 * lam))
    return Point(float(alpha), float(alpha * np.exp(-lam)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_receives_exact_levels(dtype):
    """Assert that a level that bfloat16 and float16 do not hold reaches the network as it is."""
    checkpoint = load_diffusers(pipelines.FITTED)
    received = []
    checkpoint.network.register_forward_pre_hook(lambda module, inputs: received.append((inputs[0].dtype, inputs[1])))
    x, at = noises(checkpoint.shape), at_level(pipelines.scheduler(), 999)
    half = checkpoint.denoiser(dtype)(x, at, "noise")
    assert received[0][0] == dtype
    assert received[0][1].tolist() == [pytest.approx(999, abs=1e-4)] * 2
    assert 0 < (half - checkpoint.denoiser()(x, at, "noise")).abs().max() < 0.2


@pytest.mark.parametrize(("dtype", "near"), [(F32, 1e-5), (F64, 1e-10)])
def test_a_whole_run_is_the_librarys_own(dtype, near, monkeypatch):
    """Assert that DDIM through our loop ends where DDIMScheduler's loop does, with the same network, on its own levels.

    In float64 the library is made to hold its levels and their waves in float64, too.
    """
    folder, steps = pipelines.FITTED, 10
    checkpoint = load(folder)
    made = diffusers.DDIMScheduler.from_pretrained(folder, subfolder="scheduler", clip_sample=False)
    made.set_timesteps(steps)
    bar = torch.tensor(alpha_bar(dict(made.config)))
    model = diffusers.UNet2DModel.from_pretrained(folder / "unet", variant="fp16", low_cpu_mem_usage=False).to(dtype)
    if dtype == F64:
        made.alphas_cumprod, made.final_alpha_cumprod = bar, torch.tensor(1.0, dtype=F64)
        monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    x = start = noises(checkpoint.shape).to(dtype)
    with torch.no_grad():
        for t in made.timesteps:
            x = made.step(model(x, t).sample, t, x).prev_sample
    monkeypatch.undo()
    ours = sample(checkpoint.denoiser(dtype), start, tabulate("ddim", on_levels(bar, made.timesteps)), dtype=dtype)
    assert (ours - x).abs().max() < near
    assert (ours - start).abs().max() > 0.5


def on_levels(bar, levels):
    """The grid of these levels, and of no noise at the end."""
    kept = torch.cat([bar[levels], torch.ones(1, dtype=F64)])
    alpha, sigma, nan = kept.sqrt(), (1 - kept).sqrt(), torch.full_like(kept, torch.nan)
    rho = sigma / alpha
    return Grid(Columns(torch.cat([levels.double(), -torch.ones(1)]), alpha, sigma, -rho.log(), rho, rho**2, nan, nan))


def test_a_fitted_network_is_checked():
    """Assert that the fitted network passes as what its scheduler says, and as nothing else."""
    checkpoint = load(pipelines.FITTED)
    assert (checkpoint.prediction, checkpoint.shape, checkpoint.name) == ("noise", (1, 8, 8), "fitted")
    for lie in ("data", "v", "flow"):
        with pytest.raises(InputError, match=f"prediction: got '{lie}'.*predicts 'noise'"):
            check(replace(checkpoint, prediction=lie))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
        {"beta_schedule": "sigmoid"},
        {"beta_schedule": "squaredcos_cap_v2"},
        {"rescale_betas_zero_snr": True},
        {"trained_betas": [0.01 * k for k in range(1, 51)], "num_train_timesteps": 50},
    ],
)
def test_levels_are_the_librarys_own(options):
    """Assert that our float64 levels are the library's float32 ones, and that the clock inverts them."""
    made = pipelines.scheduler(**options)
    gives, native, (low, high) = read_scheduler(made)
    assert gives == "noise"
    bar = made.alphas_cumprod.double()
    for level in (0, 1, 20, len(bar) - 30):
        lam = float(bar[level].logit()) / 2
        assert low < lam < high + 1e-3
        assert native(lam).t == pytest.approx(level, abs=0.1)
        assert native(lam).alpha ** 2 == pytest.approx(float(bar[level]), rel=1e-9)
    made.alphas_cumprod = made.alphas_cumprod * 1.001
    with pytest.raises(InputError, match="follow from its betas"):
        read_scheduler(made)


@pytest.mark.parametrize("scale", [1, 1000])
@pytest.mark.parametrize(("width", "flip", "shift"), [(16, True, 0), (16, False, 1), (9, True, 0.5)])
def test_waves_are_the_librarys_own(width, flip, shift, scale, monkeypatch):
    """Assert it in float32 to the bit, and in float64 of the library made to compute in it; which is another number."""
    theirs = diffusers.models.embeddings.Timesteps(width, flip, shift, scale)
    t = torch.tensor([0.0, 0.25, 7.0, 300.7, 999.0], dtype=F64)
    assert torch.equal(Waves(theirs)(t.float()), theirs(t.float()))
    ours, rough = Waves(theirs)(t), theirs(t)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    assert torch.allclose(ours, theirs(t), rtol=0, atol=1e-15 * 1000 * scale)
    assert (ours - rough).abs().max() > 1e-8


def test_orders_show_below_the_fastest_wave_of_the_levels():
    """Assert that steps of 12 and of 6 levels, about a wave of 2 pi, are as far off, and short ones of their orders."""
    denoise, start = load_diffusers(pipelines.FITTED).denoiser(), noises((1, 8, 8), 1)
    vp = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
    (end,) = reference_flow(denoise, start, vp.point(0.5), [vp.point(0.44)], 1e-8)
    error = {}
    for name, steps in (("ddim", 40), ("ddim", 80), *(("dpm-solver++-2m", steps) for steps in (5, 10, 40, 80))):
        way = grid(vp, "uniform-lambda", steps, t_min=0.44, t_max=0.5)
        error[name, steps] = float((sample(denoise, start, tabulate(name, way)) - end).norm())
    assert 1.9 < error["ddim", 40] / error["ddim", 80] < 2.2
    assert error["dpm-solver++-2m", 40] > 3.5 * error["dpm-solver++-2m", 80]
    assert error["dpm-solver++-2m", 5] < 1.5 * error["dpm-solver++-2m", 10]


def test_a_study_of_a_pipeline(in_process, tmp_path):
    """Assert that a study runs on the folder, that 2M is nearer than DDIM, and that the clean reference is fine."""
    study = f"""
[target]
checkpoint = "{pipelines.FITTED}"

[schedule]
kind = "vp-linear"
beta_min = 0.1
beta_max = 20.0

[grid]
kind = "uniform-lambda"
t_min = 0.50
t_max = 0.51

[run]
methods = ["ddim", "dpm-solver++-2m"]
steps = [4, 8, 16]
metrics = ["trajectory"]
samples = 1
"""
    path = tmp_path / "pipeline.toml"
    path.write_text(study, encoding="utf-8")
    code, out, err = in_process("study", path, "--json")
    assert code == 0, err
    answer = json.loads(out)
    value = {(record["method"], record["steps"]): record["value"] for record in answer["records"]}
    assert value["dpm-solver++-2m", 16] < 0.5 * value["ddim", 16] < 0.3 * value["ddim", 4]
    assert answer["manifest"]["reference"]["distance"] < 1e-6
