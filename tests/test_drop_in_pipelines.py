"""TableScheduler in pipelines of diffusers with small random weights, beside their own schedulers."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array:DeprecationWarning"),  # diffusers under numpy 2
]
pytest.importorskip("diffusers")

import diffusers  # noqa: E402

from samplerproof.schedulers import TableScheduler  # noqa: E402


def drop_in(own: Any, method: str, **options: Any) -> Any:
    return TableScheduler.from_config(own.config, method=method, **options)


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


def test_a_pipeline_is_called_as_people_call_it() -> None:
    """Assert the images of the own scheduler to 1e-5 from a callback that changes the latents, on other numbers of
    steps and with a compiled network, and to the rounding of bfloat16 there.
    """
    pipe, method, call = stable_diffusion_3()
    pipe.set_progress_bar_config(disable=True)
    own, network, decoder = pipe.scheduler, pipe.transformer, pipe.vae

    def images(steps: int = 3, **options: Any) -> Tensor:
        made = pipe(num_inference_steps=steps, generator=torch.Generator().manual_seed(1), output_type="np", **options)
        return torch.as_tensor(made.images)

    def change(_: Any, i: int, t: Tensor, given: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"latents": 0.9 * given["latents"] + 0.1 * i}

    half = {name: value.bfloat16() if isinstance(value, Tensor) else value for name, value in call.items()}
    made = []
    for scheduler in (own, drop_in(own, method)):
        pipe.scheduler, pipe.transformer, pipe.vae = scheduler, network, decoder
        made.append([images(**call), images(**call, callback_on_step_end=change), images(2, **call)])
        pipe.transformer = torch.compile(network, backend="eager")
        made[-1].append(images(**call))
        pipe.transformer, pipe.vae = copy.deepcopy(network).bfloat16(), copy.deepcopy(decoder).bfloat16()
        made[-1].append(images(**half))
    for theirs, ours in zip(*[each[:4] for each in made], strict=True):
        assert float((ours - theirs).abs().max()) <= 1e-5
    assert float((made[1][1] - made[1][0]).abs().max()) > 1e-3
    assert float((made[1][4] - made[1][0]).abs().max()) > 1e-5
    assert float((made[1][4] - made[0][4]).abs().max()) <= 2**-7


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
