"""Folders of diffusers: what is wrong with one is one line, and what it names is read, from the hub as well."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pipelines
import pytest
import torch
from diffusers_folders import WEIGHTS, described, noises, read, written
from refused_checkpoints import refused
from safetensors.torch import load_file, save_file

from samplerproof.numerics.checkpoints import hub
from samplerproof.numerics.checkpoints.configuration import SIZES, configuration
from samplerproof.numerics.checkpoints.diffusers_checkpoint import load_diffusers
from samplerproof.numerics.checkpoints.load import load
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.points import Point
from samplerproof.numerics.support.consent import Consent


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


def test_a_size_is_from_one_to_its_largest(tmp_path):
    """Assert both ends of every size, and those beside them, alone and in a list."""
    file = tmp_path / "config.json"
    for name, largest in SIZES.items():
        for given in ({name: 1}, {name: largest}, {name: [1, [largest]]}):
            file.write_text(json.dumps(given), encoding="utf-8")
            assert configuration(file, "net") == given
        for bad in (0, largest + 1):
            for entry in (bad, [1, [bad]]):
                file.write_text(json.dumps({name: entry}), encoding="utf-8")
                with pytest.raises(InputError, match=rf"^net: {name}: got {bad}; whole, a number from 1 to "):
                    configuration(file, "net")


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


def test_a_guided_network_is_a_checkpoint(tmp_path):
    """u + scale (c - u) of the outputs with a label and without; its scale is part of its hash, and its inputs fit."""
    folder, at = written(tmp_path / "dit", "DiTTransformer2DModel"), Point(0.6, 0.8)
    x = noises(load_diffusers(*read(folder)).shape)

    def loaded(**keys):
        return load_diffusers(*read(described(folder, label=3, **keys)))

    plain, empty = loaded(), load_diffusers(*read(described(folder, label=10)))
    conditional, without = (model.denoiser()(x, at, "data") for model in (plain, empty))
    guided = loaded(guidance={"scale": 2.5, "label": 10})
    expected = without + 2.5 * (conditional - without)
    torch.testing.assert_close(guided.denoiser()(x, at, "data"), expected, rtol=1e-10, atol=1e-10)
    other = loaded(guidance={"scale": 2.500001, "label": 10})
    assert (other.denoiser()(x, at, "data") - expected).abs().max() > 1e-9
    assert len({plain.sha256, guided.sha256, other.sha256}) == 3
    refused(described(folder, label=3, guidance={"scale": 2.0}), "guidance: label: got None")
    refused(described(folder, label=3, guidance={"scale": 2.0, "label": 11}), "guidance: label: got 11")
    refused(described(folder, label=3, guidance={"label": 10}), "guidance.scale")
    latent = written(tmp_path / "latent", "UNet2DConditionModel")
    save_file({"prompt": torch.zeros(1, 2, 8)}, latent / "empty.safetensors")
    both = {"scale": 3.0, "condition": "empty.safetensors"}
    texts = [
        load_diffusers(*read(described(latent, condition=name))) for name in ("text.safetensors", both["condition"])
    ]
    c, u = (model.denoiser()(noises(model.shape), at, "noise") for model in texts)
    model = load_diffusers(*read(described(latent, condition="text.safetensors", guidance=both)))
    torch.testing.assert_close(
        model.denoiser()(noises(model.shape), at, "noise"), u + 3 * (c - u), rtol=1e-9, atol=1e-9
    )
