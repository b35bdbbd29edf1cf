"""A checkpoint of diffusers behind the contract is the network that the library itself would call."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace

import diffusers
import numpy as np
import pipelines
import pytest
import torch
from safetensors.torch import load_file, save_file

from samplerproof.numerics.checkpoints import hub
from samplerproof.numerics.checkpoints.checkpoint_checks import check
from samplerproof.numerics.checkpoints.description import toml
from samplerproof.numerics.checkpoints.diffusers_checkpoint import load_diffusers
from samplerproof.numerics.checkpoints.double_precision_embedding import Waves
from samplerproof.numerics.checkpoints.load import load
from samplerproof.numerics.checkpoints.scheduler_levels import alpha_bar, read_scheduler
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.grids import Columns, Grid, grid
from samplerproof.numerics.points import Point
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.support.consent import Consent
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.reference import reference_flow

F32, F64 = torch.float32, torch.float64
WEIGHTS = "diffusion_pytorch_model.safetensors"
# the class of a network -> its description beside the weights
TOLD = {
    "UNet2DModel": {},
    "UNet2DConditionModel": {"condition": "text.safetensors"},
    "DiTTransformer2DModel": {"label": 3},
}
OTHERS = {
    "epsilon": pipelines.scheduler(),
    "sample": pipelines.scheduler("DDIMScheduler", prediction_type="sample", beta_schedule="squaredcos_cap_v2"),
    "v_prediction": pipelines.scheduler("DDIMScheduler", prediction_type="v_prediction", beta_schedule="scaled_linear"),
}


def described(folder, **keys):
    text = toml({"format": 1, "kind": "diffusers", **keys})
    (folder / "checkpoint.toml").write_text(text, encoding="utf-8")
    return folder


def written(folder, name, made=None, **changes):
    """A folder with an untrained network of that class and all its inputs."""
    pipelines.saved(folder, pipelines.network(name, **changes), made)
    if TOLD[name]:
        described(folder, **TOLD[name])
    if "condition" in TOLD[name]:
        save_file(
            {"prompt": torch.randn(5, 8, generator=torch.Generator().manual_seed(1))}, folder / "text.safetensors"
        )
    return folder


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


def noises(shape, count=2):
    return torch.randn((count, *shape), dtype=F64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", TOLD)
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


def read(folder):
    """What `load` hands to load_diffusers: no check of what an untrained network answers."""
    path = folder / "checkpoint.toml"
    return folder, tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else None


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


def refused(folder, *said, **allowed):
    with pytest.raises(InputError) as fault:
        load(folder, Consent(**allowed))
    message = str(fault.value)
    assert "\n" not in message
    for words in said:
        assert words in message, message


@pytest.fixture
def fitted(tmp_path):
    """A copy of the fitted pipeline, with weights of the ordinary name."""
    folder = shutil.copytree(pipelines.FITTED, tmp_path / "net")
    (folder / "unet" / WEIGHTS.replace(".saf", ".fp16.saf")).rename(folder / "unet" / WEIGHTS)
    return folder


def configured(path, **changes):
    data = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({key: value for key, value in data.items() if value is not ...}), encoding="utf-8")


def weighed(folder, change):
    path = folder / "unet" / WEIGHTS
    tensors = {name: value.clone() for name, value in load_file(path).items()}
    change(tensors)
    save_file(tensors, path)


def unet(folder):
    return folder / "unet" / "config.json"


def levels(folder):
    return folder / "scheduler" / "scheduler_config.json"


# fault -> (change of the folder, words of the message)
FAULTS = {
    "no network": (lambda f: shutil.rmtree(f / "unet"), ["checkpoint.toml, or a pipeline or network of diffusers"]),
    "no scheduler": (lambda f: shutil.rmtree(f / "scheduler"), ["scheduler: got", "scheduler_config.json"]),
    "a scheduler without betas": (
        lambda f: pipelines.scheduler("EDMEulerScheduler").save_pretrained(f / "scheduler"),
        ["scheduler: got 'EDMEulerScheduler'", "with betas"],
    ),
    "no scheduler's name": (
        lambda f: configured(levels(f), _class_name="DDPM"),
        ["scheduler: _class_name: got 'DDPM'"],
    ),
    "unknown betas": (lambda f: configured(levels(f), beta_schedule="linea"), ["scheduler", "linea"]),
    "an unknown prediction": (lambda f: configured(levels(f), prediction_type="eps"), ["'eps'", "epsilon, sample"]),
    "a lie about the prediction": (
        lambda f: configured(levels(f), prediction_type="sample"),
        ["prediction: got 'data'", "predicts 'noise'"],
    ),
    "a lie about the levels": (lambda f: configured(levels(f), beta_end=0.002), ["checkpoint"]),
    "another class": (
        lambda f: configured(unet(f), _class_name="UNet1DModel"),
        ["'UNet1DModel'", "UNet2DConditionModel"],
    ),
    "a transformer of another kind": (
        lambda f: configured(unet(f), _class_name="Transformer2DModel", norm_type="layer_norm"),
        ["'Transformer2DModel'", "DiTTransformer2DModel"],
    ),
    "waves of log sigma": (lambda f: configured(unet(f), time_embedding_type="fourier"), ["time_embedding_type"]),
    "an unsupported input": (lambda f: configured(unet(f), class_embed_type="timestep"), ["class_embed_type"]),
    "no JSON": (lambda f: unet(f).write_text("{", encoding="utf-8"), ["config.json", "JSON"]),
    "an open size": (lambda f: configured(unet(f), sample_size=None), ["size", "[height, width]"]),
    "another number of channels": (lambda f: configured(unet(f), out_channels=3), ["channels: got [1, 3]"]),
    "another width": (lambda f: configured(unet(f), block_out_channels=[8]), ["weights", "size mismatch"]),
    "no weights": (lambda f: (f / "unet" / WEIGHTS).unlink(), ["weights", WEIGHTS]),
    "cut short": (
        lambda f: (f / "unet" / WEIGHTS).write_bytes((f / "unet" / WEIGHTS).read_bytes()[:-100]),
        ["weights", "whole weights"],
    ),
    "a weight missing": (lambda f: weighed(f, lambda t: t.pop("conv_in.bias")), ["conv_in.bias is missing"]),
    "a weight too many": (lambda f: weighed(f, lambda t: t.update(more=torch.ones(1))), ["more is not its"]),
    "not a number": (lambda f: weighed(f, lambda t: t["conv_in.bias"].fill_(torch.nan)), ["finite", "conv_in.bias"]),
    "untrained": (
        lambda f: pipelines.saved(f, pipelines.network("UNet2DModel")),
        ["like none of the known predictions"],
    ),
    "a label for nothing": (lambda f: described(f, label=1), ["label: got 1", "no classes"]),
    "a condition for nothing": (lambda f: described(f, condition="x.safetensors"), ["condition", "takes no condition"]),
    "no such model": (lambda f: described(f, model="nowhere"), ["model: got 'nowhere'"]),
    "an unknown key": (lambda f: described(f, lable=1), ["lable"]),
    # values of another kind or size than a network has
    **{
        f"{key} of {value!r:.20}": (lambda f, key=key, value=value: configured(unet(f), **{key: value}), [key])
        for key, values in {
            "sample_size": ("x", 0, -1, 10**9, [8], [8, 8, 8], True),
            "_class_name": ([], ["UNet2DModel"], 3),
            "num_class_embeds": ("x", -1),
            "layers_per_block": (10**6, 1.5),
            "block_out_channels": ([8] * 100, [10**9], "x"),
            "act_fn": ("x" * 100_000,),
            "norm_eps": (1e300,),
        }.items()
        for value in values
    },
    **{
        f"prediction_type of {value!r:.20}": (
            lambda f, value=value: configured(levels(f), prediction_type=value),
            ["prediction_type"],
        )
        for value in ([], ["epsilon"], "x" * 100_000)
    },
    "levels without end": (lambda f: configured(levels(f), num_train_timesteps=10**9), ["num_train_timesteps"]),
    "a network larger than its weights": (
        lambda f: configured(unet(f), layers_per_block=32),
        ["sizes of the weights beside it"],
    ),
    "nested without end": (lambda f: unet(f).write_text("[" * 3000, encoding="utf-8"), ["nested at most"]),
    "a device": (lambda f: (unet(f).unlink(), unet(f).symlink_to("/dev/zero")), ["config.json"]),
    "a size without end": (lambda f: described(f, size=[100_000, 100_000]), ["size.0: got 100000"]),
}


def test_the_folder_that_is_made_wrong_was_whole(fitted):
    load(fitted)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_line(name, fitted):
    make_wrong, said = FAULTS[name]
    make_wrong(fitted)
    refused(fitted, *said)


def test_the_inputs_of_a_network_are_checked(tmp_path):
    """Assert that a label and a condition are there, and fit."""
    dit = written(tmp_path / "dit", "DiTTransformer2DModel")
    load_diffusers(*read(described(dit, label=10)))  # the class of none
    refused(described(dit, label=11), "label: got 11", "from 0 to 9")
    (dit / "checkpoint.toml").unlink()
    refused(dit, "label: got None")
    classes = pipelines.saved(tmp_path / "classes", pipelines.network("UNet2DModel", num_class_embeds=10))
    refused(described(classes, label=10), "label: got 10", "from 0 to 9")
    x, at = noises((1, 8, 8)), Point(0.6, 0.8)
    two = [load_diffusers(*read(described(classes, label=label))).denoiser()(x, at, "noise") for label in (8, 9)]
    assert (two[0] - two[1]).abs().max() > 1e-6
    latent = written(tmp_path / "latent", "UNet2DConditionModel")
    refused(described(latent), "condition: got None", "[tokens, width]")
    save_file({"prompt": torch.ones(5, 7)}, latent / "text.safetensors")
    refused(described(latent, condition="text.safetensors"), "[[5, 7]]", "[tokens, 8]")
    refused(described(latent, condition="none.safetensors"), "weights", "none.safetensors")


def test_the_condition_reaches_the_network(tmp_path):
    """Assert that another text and another label give another answer."""
    for name, other in (
        ("UNet2DConditionModel", {"condition": "other.safetensors"}),
        ("DiTTransformer2DModel", {"label": 4}),
    ):
        folder = written(tmp_path / name, name)
        save_file({"prompt": torch.ones(1, 5, 8)}, folder / "other.safetensors")
        one, two = load_diffusers(*read(folder)), load_diffusers(*read(described(folder, **other)))
        x, at = noises(one.shape), Point(0.6, 0.8)
        assert (one.denoiser()(x, at, "noise") - two.denoiser()(x, at, "noise")).abs().max() > 1e-3
        assert one.sha256 != two.sha256


def test_a_description_may_name_another_folder(fitted, tmp_path):
    (tmp_path / "mine").mkdir()
    load(described(tmp_path / "mine", model="../net", name="mine"))
    refused(described(tmp_path / "mine", model="../nets"), "model")


def test_a_folder_without_places_and_an_old_name(fitted, tmp_path):
    """Assert that network and scheduler may lie in one folder, and that a DiT of old is one."""
    flat = shutil.copytree(fitted / "unet", tmp_path / "flat")
    refused(flat, "scheduler")
    shutil.copy(levels(fitted), flat)
    x, at = noises((1, 8, 8)), Point(0.6, 0.8)
    assert torch.equal(load(flat).denoiser()(x, at, "data"), load(fitted).denoiser()(x, at, "data"))
    dit = written(tmp_path / "dit", "DiTTransformer2DModel")
    new = load_diffusers(*read(dit)).denoiser()(noises((2, 8, 8)), at, "data")
    configured(dit / "transformer" / "config.json", _class_name="Transformer2DModel")
    assert torch.equal(load_diffusers(*read(dit)).denoiser()(noises((2, 8, 8)), at, "data"), new)


def test_weights_in_pieces_and_an_open_size(tmp_path, capfd):
    """Assert that a network in several files, for any size, is the one it was, and that nothing is printed."""
    model = pipelines.network("UNet2DModel", sample_size=None)
    pipelines.saved(tmp_path, model)
    model.save_pretrained(tmp_path / "pieces" / "unet", max_shard_size="60KB")
    shutil.copytree(tmp_path / "scheduler", tmp_path / "pieces" / "scheduler")
    assert len(list((tmp_path / "pieces" / "unet").glob("*.safetensors"))) > 1
    capfd.readouterr()
    one, two = (load_diffusers(*read(described(f, size=[8, 16]))) for f in (tmp_path, tmp_path / "pieces"))
    assert capfd.readouterr() == ("", "")
    assert one.shape == (1, 8, 16)
    x, at = noises(one.shape), Point(0.6, 0.8)
    assert torch.equal(one.denoiser()(x, at, "noise"), two.denoiser()(x, at, "noise"))


def test_a_pickle_is_refused_unless_allowed(fitted):
    """Assert that safetensors go first, and that nothing in an allowed pickle runs."""
    tensors = load_file(fitted / "unet" / WEIGHTS)
    pickle = fitted / "unet" / "diffusion_pytorch_model.bin"
    torch.save(torch.nn.Linear(1, 1), pickle)
    load(fitted)
    (fitted / "unet" / WEIGHTS).unlink()
    refused(fitted, "--allow-pickle")
    refused(fitted, "weights", pickle=True)
    torch.save(tensors, pickle)
    load(fitted, Consent(pickle=True))


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    refused(pipelines.FITTED, "not installed", "pip install -e '.[peers]'")
    load("rings")


def test_the_hub_without_a_network_is_one_line():
    program = "from samplerproof.numerics.checkpoints.load import Consent, load\nload('owner/name', Consent(hub=True))"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120)
    last = done.stderr.strip().splitlines()[-1]
    assert "InputError: checkpoint: got 'owner/name'; a folder here, or a repository" in last
    assert "that the hub can send" in last


def test_of_a_repository_only_what_is_needed_is_fetched(fitted, tmp_path, monkeypatch):
    """Assert that full precision goes before half and half before nothing, and that a pickle is never asked for."""
    asked = []

    def snapshot_download(name, allow_patterns):
        asked.append(allow_patterns)
        folder = tmp_path / "cache"
        for pattern in allow_patterns:
            for path in fitted.glob(pattern):
                (folder / path.relative_to(fitted)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, folder / path.relative_to(fitted))
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    (fitted / "vae").mkdir()
    (fitted / "vae" / WEIGHTS).write_bytes(b"large")
    x, at = noises((1, 8, 8)), Point(0.6, 0.8)
    assert torch.equal(
        load("owner/name", Consent(hub=True)).denoiser()(x, at, "data"), load(fitted).denoiser()(x, at, "data")
    )
    assert len(asked) == 1
    assert not (tmp_path / "cache" / "vae").exists()
    shutil.rmtree(tmp_path / "cache")
    (fitted / "unet" / WEIGHTS).rename(fitted / "unet" / WEIGHTS.replace(".saf", ".fp16.saf"))
    load("owner/name", Consent(hub=True))
    assert len(asked) == 3
    shutil.rmtree(tmp_path / "cache")
    (fitted / "unet" / WEIGHTS.replace(".saf", ".fp16.saf")).rename(fitted / "unet" / "diffusion_pytorch_model.bin")
    refused("owner/name", "--hub")
    refused("owner/name", "--allow-pickle", hub=True)
    assert not any(pattern.endswith(".bin") for patterns in asked for pattern in patterns)
    assert not hub.is_name("../net") | hub.is_name("name") | hub.is_name("a/b/c")


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
