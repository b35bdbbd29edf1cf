"""TableScheduler in pipelines of diffusers, beside their own schedulers."""

from __future__ import annotations

import dataclasses
import inspect
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import samplerproof as sp
from samplerproof.numerics.table_file import write_table

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array:DeprecationWarning"),  # diffusers under numpy 2
]
pytest.importorskip("diffusers")

import diffusers  # noqa: E402

from samplerproof.schedulers import TableScheduler  # noqa: E402

SAME = [  # class, settings, the method that it is
    ("DDIMScheduler", {"clip_sample": False}, "ddim"),
    ("DDIMScheduler", {"clip_sample": False, "prediction_type": "v_prediction"}, "ddim"),
    ("EulerDiscreteScheduler", {}, "ddim"),
    ("EulerDiscreteScheduler", {"use_karras_sigmas": True, "timestep_spacing": "trailing"}, "ddim"),
    ("DPMSolverMultistepScheduler", {}, "dpm-solver++-2m"),
    ("DPMSolverMultistepScheduler", {"prediction_type": "sample"}, "dpm-solver++-2m"),
    ("UniPCMultistepScheduler", {}, "unipc-2"),
    ("HeunDiscreteScheduler", {}, "edm-heun"),
    ("KDPM2DiscreteScheduler", {}, "dpm-solver-2s"),
    ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}, "flow-euler"),
]


def network(x: Tensor, t: Any) -> Tensor:
    """A smooth function of the sample and the timestep."""
    return torch.tanh(0.7 * x + 0.3 * x.roll(1, -1)) + 1e-3 * float(t) * torch.cos(x) / 3


def run(
    scheduler: Any, steps: int = 9, begin: int = 0, sigmas: list[float] | None = None, scale: float = 1.0
) -> Tensor:
    """A loop as pipelines have it, from a start times `scale`."""
    scheduler.set_timesteps(**({"num_inference_steps": steps} if sigmas is None else {"sigmas": sigmas}))
    if begin:
        scheduler.set_begin_index(begin * scheduler.order)
    times = scheduler.timesteps[begin * scheduler.order :]
    x, generator = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)), torch.Generator().manual_seed(1)
    if begin:
        x = scheduler.add_noise(x, torch.ones_like(x), times[:1].repeat(2))
    else:
        x = x * getattr(scheduler, "init_noise_sigma", 1.0) * scale
    options = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
    for t in times:
        seen = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        x = scheduler.step(network(seen, t), t, x, **options)[0]
    return x


def drop_in(own: Any, method: str, **options: Any) -> Any:
    return TableScheduler.from_config(own.config, method=method, **options)


@pytest.mark.parametrize(("name", "settings", "method"), SAME)
def test_the_same_record_is_the_same_loop(name: str, settings: dict[str, Any], method: str) -> None:
    """Assert that a loop with our scheduler gives the sample of the class's own, from the noisiest level and from a
    later one, and that another method does not.
    """
    own = getattr(diffusers, name)(**settings)
    for begin in (0, 4) if hasattr(own, "set_begin_index") and hasattr(own, "add_noise") else (0,):
        expected = run(own, begin=begin)
        bound = 1e-5 * float(expected.abs().max())
        assert float((run(drop_in(own, method), begin=begin) - expected).abs().max()) < bound
        other = "unipc-3" if method != "unipc-3" else "ddim"
        assert float((run(drop_in(own, other), begin=begin) - expected).abs().max()) > bound


def test_levels_of_one_s_own() -> None:
    """Assert that timesteps, sigmas and kinds of grid of one's own are the levels of the run, on classes that take
    them and on those that do not; and that unknown ones are refused in one line.
    """
    ddim, flow = diffusers.DDIMScheduler(), diffusers.FlowMatchEulerDiscreteScheduler()
    made = drop_in(ddim, "unipc-2")
    made.set_timesteps(timesteps=[900, 500, 100])
    assert made.timesteps.tolist() == [900, 500, 100]
    assert made.sigmas[:3].tolist() == pytest.approx((1 - ddim.alphas_cumprod[[900, 500, 100]]).sqrt().tolist())
    made.set_timesteps(sigmas=[10.0, 1.0, 0.1])
    ratio = [p.sigma / p.alpha for p in made.levels.grid.points]
    assert ratio == pytest.approx([10.0, 1.0, 0.1, 0.0])
    made = drop_in(flow, "flow-euler", grid="flow?shift=3")
    made.set_timesteps(4)
    assert made.timesteps.tolist() == pytest.approx([1000, 900, 750, 500], rel=1e-3)
    made = drop_in(diffusers.EulerDiscreteScheduler(), "ddim", grid="karras")
    made.set_timesteps(5)
    own = diffusers.EulerDiscreteScheduler(use_karras_sigmas=True)
    own.set_timesteps(5)
    assert made.sigmas.tolist() == pytest.approx(own.sigmas.tolist(), rel=1e-5)
    assert made.timesteps.tolist() == pytest.approx(own.timesteps.tolist(), rel=1e-3, abs=1e-2)
    with pytest.raises(sp.InputError, match="method"):
        TableScheduler(method="dpm-2m")
    with pytest.raises(sp.InputError, match="grid"):
        drop_in(ddim, "ddim", grid="karas").set_timesteps(4)
    with pytest.raises(sp.InputError, match="levels_of: got 'EDMEulerScheduler'"):
        TableScheduler(levels_of="EDMEulerScheduler")
    with pytest.raises(sp.InputError, match="num_inference_steps: got 0"):
        made.set_timesteps(0)
    with pytest.raises(sp.InputError, match=r"must move strictly from noise to data"):
        drop_in(ddim, "ddim").set_timesteps(timesteps=[100, 500])
    with pytest.raises(sp.InputError, match="config"):
        TableScheduler.from_config({"colour": 1})


@pytest.mark.parametrize("name", ["DDIMScheduler", "EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"])
def test_a_table_file_runs_on_every_process(name: str, tmp_path: Path) -> None:
    """Assert that a table file at alpha = 1 gives the loop of its method on these levels, on vp, ve and the flow; that
    one with a weight off by 1e-4 does not; and that it is refused on other steps, levels and begins.
    """
    ratios = [10.0, 4.0, 1.5, 0.5, 0.1, 0.0]
    table = sp.tabulate("dpm-solver++-2m", sp.Grid.from_sigmas(ratios))
    write_table(table, tmp_path / "two_m.json")
    outputs = table.outputs.clone()
    outputs[2, 0] += 1e-4
    write_table(dataclasses.replace(table, outputs=outputs), tmp_path / "off.json")
    own = getattr(diffusers, name)(**({"clip_sample": False} if name == "DDIMScheduler" else {}))
    levels = [s / (1 + s) for s in ratios] if name.startswith("Flow") else ratios
    same = drop_in(own, "dpm-solver++-2m")
    expected = run(same, sigmas=levels if name == "EulerDiscreteScheduler" else levels[:-1])  # its list has the 0
    made = drop_in(own, str(tmp_path / "two_m.json"))
    size = float(expected.abs().max())
    start = 1.0 if name != "EulerDiscreteScheduler" else float(same.init_noise_sigma) / ratios[0]
    assert float((run(made, 5, scale=start) - expected).abs().max()) < 1e-5 * size
    assert float((run(drop_in(own, str(tmp_path / "off.json")), 5, scale=start) - expected).abs().max()) > 1e-5 * size
    with pytest.raises(sp.InputError, match="num_inference_steps: got 6; 5, the steps of the table"):
        made.set_timesteps(6)
    with pytest.raises(sp.InputError, match="grid: got 'karras'"):
        drop_in(own, str(tmp_path / "two_m.json"), grid="karras")
    if not name.startswith("Flow"):
        write_table(sp.tabulate("ddim", sp.Grid.from_sigmas([5000.0, 1.0, 0.1])), tmp_path / "far.json")
        with pytest.raises(sp.InputError, match="where the model was trained"):
            drop_in(own, str(tmp_path / "far.json")).set_timesteps(2)


def test_configurations_go_both_ways(tmp_path: Path) -> None:
    """Assert that a saved scheduler is loaded as it was, and that its configuration makes other classes."""
    made = drop_in(diffusers.DDIMScheduler(beta_start=2e-4), "unipc-3", grid="karras?rho=5")
    made.save_pretrained(tmp_path)
    again = TableScheduler.from_pretrained(tmp_path)
    assert torch.equal(run(again), run(made))
    assert again.own.config.beta_start == 2e-4
    assert diffusers.EulerDiscreteScheduler.from_config(again.config).config.beta_start == 2e-4
    assert json.loads((tmp_path / "scheduler_config.json").read_text())["method"] == "unipc-3"


def test_noise_is_from_the_generator() -> None:
    """Assert that a stochastic method repeats with the seed of its generator, and with the class's own."""
    own = diffusers.EulerAncestralDiscreteScheduler()
    made = drop_in(own, "ddim-eta?eta=1")
    assert torch.equal(run(made), run(made))
    assert float((run(made) - run(own)).abs().max()) < 1e-5 * float(run(own).abs().max())


def test_verify_finds_the_record() -> None:
    """Assert that our class, with a method, is that record."""
    found = sp.verify("samplerproof.schedulers:TableScheduler?method=unipc-3&levels_of=EulerDiscreteScheduler", steps=8)
    assert (found.verdict, list(found.matches)) == ("roundoff", ["unipc-3"])
    assert not [finding for finding in found.findings if finding.severity == "error"]


# Pipelines, each with random weights of small widths.


def seeded(make: Callable[..., nn.Module], **settings: Any) -> nn.Module:
    torch.manual_seed(0)
    return make(**settings).eval()


def vae(channels: int = 4) -> nn.Module:
    return seeded(
        diffusers.AutoencoderKL,
        block_out_channels=(4,),
        down_block_types=("DownEncoderBlock2D",),
        up_block_types=("UpDecoderBlock2D",),
        latent_channels=channels,
        norm_num_groups=2,
        sample_size=8,
        shift_factor=0.0,
    )


def conditional_unet(**settings: Any) -> nn.Module:
    return seeded(
        diffusers.UNet2DConditionModel,
        block_out_channels=(4, 8),
        layers_per_block=1,
        sample_size=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=8,
        attention_head_dim=2,
        norm_num_groups=2,
        **settings,
    )


def drawn(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(2))


TEXT = {"prompt_embeds": drawn(1, 7, 8), "negative_prompt_embeds": drawn(1, 7, 8) / 2}
POOLED = {"pooled_prompt_embeds": drawn(1, 5), "negative_pooled_prompt_embeds": drawn(1, 5) / 2}
SIZE = {"height": 8, "width": 8}
NO_TEXT = {"text_encoder": None, "tokenizer": None}
NO_CHECK = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
TWO = {"text_encoder_2": None, "tokenizer_2": None}


def ddpm() -> tuple[Any, str, dict[str, Any]]:
    blocks = {"down_block_types": ("DownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "UpBlock2D")}
    sizes = {"sample_size": 8, "layers_per_block": 1, "block_out_channels": (8, 8), "norm_num_groups": 4}
    unet = seeded(diffusers.UNet2DModel, **blocks, **sizes)
    own = diffusers.DDPMScheduler(clip_sample=False, variance_type="fixed_small")
    return diffusers.DDPMPipeline(unet=unet, scheduler=own), "ddpm", {}


def dit() -> tuple[Any, str, dict[str, Any]]:
    sizes = {"sample_size": 8, "num_layers": 1, "patch_size": 2, "attention_head_dim": 4, "num_attention_heads": 2}
    transformer = seeded(diffusers.DiTTransformer2DModel, in_channels=4, out_channels=8, **sizes)
    own = diffusers.DDIMScheduler(clip_sample=False)
    pipe = diffusers.DiTPipeline(transformer=transformer, vae=vae(), scheduler=own)
    return pipe, "ddim", {"class_labels": [1, 2]}


def stable_diffusion() -> tuple[Any, str, dict[str, Any]]:
    own = diffusers.DPMSolverMultistepScheduler(use_karras_sigmas=True)
    pipe = diffusers.StableDiffusionPipeline(vae=vae(), unet=conditional_unet(), scheduler=own, **NO_TEXT, **NO_CHECK)
    return pipe, "dpm-solver++-2m", {**TEXT, **SIZE, "guidance_scale": 5.0, "num_images_per_prompt": 2}


def image_to_image() -> tuple[Any, str, dict[str, Any]]:
    own = diffusers.EulerDiscreteScheduler()
    pipe = diffusers.StableDiffusionImg2ImgPipeline(
        vae=vae(), unet=conditional_unet(), scheduler=own, **NO_TEXT, **NO_CHECK
    )
    return pipe, "ddim", {**TEXT, "image": drawn(1, 3, 8, 8), "strength": 0.5}


def inpainting() -> tuple[Any, str, dict[str, Any]]:
    own = diffusers.DPMSolverMultistepScheduler()
    pipe = diffusers.StableDiffusionInpaintPipeline(
        vae=vae(), unet=conditional_unet(), scheduler=own, **NO_TEXT, **NO_CHECK
    )
    mask = (drawn(1, 1, 8, 8) > 0.5).float()
    call = {**TEXT, **SIZE, "image": drawn(1, 3, 8, 8), "mask_image": mask, "strength": 0.7}
    return pipe, "dpm-solver++-2m", call


def stable_diffusion_xl() -> tuple[Any, str, dict[str, Any]]:
    sizes = {"addition_time_embed_dim": 2, "projection_class_embeddings_input_dim": 6 * 2 + 5}
    unet = conditional_unet(addition_embed_type="text_time", **sizes)
    own = diffusers.UniPCMultistepScheduler()
    pipe = diffusers.StableDiffusionXLPipeline(vae=vae(), unet=unet, scheduler=own, **NO_TEXT, **TWO)
    return pipe, "unipc-2", {**TEXT, **POOLED, **SIZE}


def stable_diffusion_3() -> tuple[Any, str, dict[str, Any]]:
    sizes = {"num_layers": 1, "attention_head_dim": 4, "num_attention_heads": 2, "caption_projection_dim": 8}
    transformer = seeded(
        diffusers.SD3Transformer2DModel,
        sample_size=8,
        patch_size=1,
        in_channels=4,
        out_channels=4,
        joint_attention_dim=8,
        pooled_projection_dim=5,
        **sizes,
    )
    own = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    three = {"text_encoder_3": None, "tokenizer_3": None}
    pipe = diffusers.StableDiffusion3Pipeline(
        transformer=transformer, scheduler=own, vae=vae(), **NO_TEXT, **TWO, **three
    )
    return pipe, "flow-euler", {**TEXT, **POOLED, **SIZE}


def flux() -> tuple[Any, str, dict[str, Any]]:
    sizes = {"num_layers": 1, "num_single_layers": 1, "attention_head_dim": 16, "num_attention_heads": 2}
    transformer = seeded(
        diffusers.FluxTransformer2DModel,
        patch_size=1,
        in_channels=4,
        joint_attention_dim=8,
        pooled_projection_dim=5,
        axes_dims_rope=[4, 4, 8],
        **sizes,
    )
    own = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    pipe = diffusers.FluxPipeline(transformer=transformer, scheduler=own, vae=vae(1), **NO_TEXT, **TWO)
    one = {name: value for name, value in (TEXT | POOLED).items() if not name.startswith("negative")}
    return pipe, "flow-euler", {**one, **SIZE}


PIPELINES = [
    ddpm,
    dit,
    stable_diffusion,
    image_to_image,
    inpainting,
    stable_diffusion_xl,
    stable_diffusion_3,
    flux,
]


@pytest.mark.parametrize("make", PIPELINES, ids=lambda make: make.__name__)
def test_a_pipeline_gives_its_own_images(make: Callable[[], tuple[Any, str, dict[str, Any]]]) -> None:
    """Assert that a pipeline's images with the record of its own scheduler are those of that scheduler to 1e-5, and
    that another record changes them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe, method, call = make()
        pipe.set_progress_bar_config(disable=True)
        own, images = pipe.scheduler, []
        for scheduler in (own, drop_in(own, method), drop_in(own, "unipc-3", grid="karras")):
            pipe.scheduler = scheduler
            generator = torch.Generator().manual_seed(1)
            made = pipe(num_inference_steps=6, generator=generator, output_type="np", **call)
            images.append(torch.as_tensor(made.images))
    assert float(images[0].std()) > 0.05
    assert float((images[1] - images[0]).abs().max()) <= 1e-5
    assert float((images[2] - images[0]).abs().max()) > 1e-5


def test_a_pipeline_is_saved_with_its_scheduler(tmp_path: Path) -> None:
    """Assert that a saved pipeline is loaded with our scheduler."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe, _, _ = ddpm()
        pipe.scheduler = drop_in(pipe.scheduler, "unipc-3", grid="karras")
        pipe.save_pretrained(tmp_path)
        again = diffusers.DDPMPipeline.from_pretrained(tmp_path, low_cpu_mem_usage=False)
    assert isinstance(again.scheduler, TableScheduler)
    assert again.scheduler.config.method == "unipc-3"
