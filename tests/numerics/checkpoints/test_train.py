"""Training: killed at any moment and taken up again it ends in the same bits; what it writes is whole or not there."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from samplerproof.numerics.checkpoints.own_networks import ARCHITECTURES, Perceptron, UNet
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.training import denoiser_task, training_loop
from samplerproof.numerics.training.data import DATA
from samplerproof.numerics.training.recipes import RECIPES

SMALL = replace(RECIPES["rings"], widths=(8, 8), embedding=8, steps=10, batch=16)


class Killed(Exception):
    pass


def killed_at(step):
    def progress(done, total, label):
        if done == step:
            raise Killed

    return progress


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(training_loop, "SAVE_EVERY", 4)
    monkeypatch.setattr(training_loop, "CURVE_EVERY", 2)


def test_a_killed_run_is_taken_up_and_ends_in_the_same_bits(tmp_path):
    """Assert it for a kill before the first state, between states, and twice; and that another seed differs."""
    training_loop.train(SMALL, tmp_path / "whole")
    whole = (tmp_path / "whole" / "model.safetensors").read_bytes()
    for name, kills in (("early", [2]), ("late", [9]), ("twice", [5, 7])):
        for step in kills:
            with pytest.raises(Killed):
                training_loop.train(SMALL, tmp_path / name, progress=killed_at(step))
            assert not (tmp_path / name / "checkpoint.toml").exists()
        record = training_loop.train(SMALL, tmp_path / name)
        assert (tmp_path / name / "model.safetensors").read_bytes() == whole
        assert [step for step, _ in record["curve"]] == [2, 4, 6, 8, 10]
        assert sorted(p.name for p in (tmp_path / name).iterdir()) == [
            "checkpoint.toml",
            "model.safetensors",
            "training.json",
        ]
    training_loop.train(replace(SMALL, seed=1), tmp_path / "other")
    assert (tmp_path / "other" / "model.safetensors").read_bytes() != whole


def test_a_resumed_run_takes_no_step_twice(tmp_path):
    """Assert that what was done before the last state is not done again."""
    with pytest.raises(Killed):
        training_loop.train(SMALL, tmp_path, progress=killed_at(9))
    seen = []
    training_loop.train(SMALL, tmp_path, progress=lambda done, total, label: seen.append(done))
    assert seen == [8, 9, 10]


def test_a_folder_in_use_is_refused(tmp_path):
    """Assert that no checkpoint is overwritten, and no state of another recipe or of no recipe taken up."""
    training_loop.train(SMALL, tmp_path / "done")
    with pytest.raises(InputError, match="without a checkpoint"):
        training_loop.train(SMALL, tmp_path / "done")
    with pytest.raises(Killed):
        training_loop.train(SMALL, tmp_path / "begun", progress=killed_at(5))
    with pytest.raises(InputError, match="another recipe"):
        training_loop.train(replace(SMALL, rate=1.0), tmp_path / "begun")
    (tmp_path / "begun" / training_loop.STATE).write_bytes(b"cut short")
    with pytest.raises(InputError, match="can be read"):
        training_loop.train(SMALL, tmp_path / "begun")


def test_it_learns(tmp_path):
    """Assert that some steps beat the trivial predictor, and one does not."""
    recipe = replace(RECIPES["digits"], widths=(8, 8), embedding=8, batch=32)
    few = training_loop.train(replace(recipe, steps=1), tmp_path / "few")["validation"]
    many = training_loop.train(replace(recipe, steps=60), tmp_path / "many")["validation"]
    assert many["loss"] < 0.95 * many["trivial"]
    assert few["loss"] > 0.99 * few["trivial"]


def test_a_device_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="--device: got 'gpu'"):
        training_loop.train(SMALL, tmp_path, device="gpu")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_in_half_precision(tmp_path):
    record = training_loop.train(replace(SMALL, half=True), tmp_path, device="cuda")
    assert "cuda" not in record["device"]  # the name of the card


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_fits_its_data(name):
    """Assert shape, and that sigma_data is the root mean square to three digits."""
    recipe = RECIPES[name]
    data = DATA[recipe.data]()
    for part in (data.train, data.held_out):
        assert tuple(part.shape[1:]) == recipe.shape
    assert data.train.square().mean().sqrt().item() == pytest.approx(recipe.sigma_data, rel=3e-3)


def test_held_out_photographs_are_not_trained_on():
    """Assert that no held-out crop is anywhere near a training crop, while a training crop is near itself."""
    data = DATA["photos"]()
    for crop in data.held_out[:1]:
        assert (data.train - crop).square().mean((1, 2, 3)).min() > 1e-3
    assert (data.train - data.train[7]).square().mean((1, 2, 3)).min() == 0


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_network_is_exact_in_double_and_alone_as_in_a_batch(name):
    """Assert that a sample's answer is its own, and that float64 is finer than float32."""
    shape = (2,) if name == "perceptron" else (3, 16, 16)
    torch.manual_seed(0)
    network = Perceptron(shape, [16, 16], 8) if name == "perceptron" else UNet(shape, [16, 16], 8, 2)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    network.double()
    x, lam = torch.randn(3, *shape).double(), torch.randn(3).double()
    together = network(x, lam)
    alone = torch.cat([network(x[i : i + 1], lam[i : i + 1]) for i in range(3)])
    assert torch.allclose(together, alone, rtol=1e-13, atol=1e-13)
    single = network.float()(x.float(), lam.float()).double()
    assert 1e-9 < (single - together).abs().max() < 1e-3


def test_the_encoder_and_the_decoder_apart_are_the_network():
    network = UNet((1, 8, 8), [16, 24, 32], 8)
    torch.nn.init.normal_(network.leave.weight, std=0.2)
    x, lam = torch.randn(2, 1, 8, 8), torch.randn(2)
    features = network.encode(x, lam)
    assert [tuple(f.shape[1:]) for f in features] == [(16, 8, 8), (24, 4, 4), (32, 2, 2), (32, 2, 2)]
    assert torch.equal(network.decode(features, lam), network(x, lam))
    other = network.encode(x + 1, lam)
    for level in range(4):
        mixed = [*features[:level], other[level], *features[level + 1 :]]
        assert not torch.equal(network.decode(mixed, lam), network(x, lam))


def test_the_record_is_json_without_nan(tmp_path):
    training_loop.train(SMALL, tmp_path)
    record = json.loads((tmp_path / "training.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert record["parameters"] > 0
    assert len(record["validation"]["levels"]) == denoiser_task.LEVELS
