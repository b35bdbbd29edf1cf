"""Pipelines in the format of diffusers, written by the library, with its real architectures at small widths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import DDPMPipeline
from torch import Tensor, nn

from samplerproof.numerics.checkpoints.scheduler_levels import alpha_bar

FITTED = Path(__file__).parent / "fitted"  # a trained pipeline, written by `python tests/support/pipelines.py`
NARROW = {
    "UNet2DModel": {
        "sample_size": 8,
        "in_channels": 1,
        "out_channels": 1,
        "layers_per_block": 1,
        "block_out_channels": (16,),
        "norm_num_groups": 4,
        "down_block_types": ("DownBlock2D",),
        "up_block_types": ("UpBlock2D",),
        "add_attention": False,
    },
    "UNet2DConditionModel": {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "layers_per_block": 1,
        "block_out_channels": (8, 16),
        "norm_num_groups": 4,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 8,
        "attention_head_dim": 4,
    },
    "DiTTransformer2DModel": {
        "num_attention_heads": 2,
        "attention_head_dim": 8,
        "in_channels": 2,
        "out_channels": 4,
        "num_layers": 2,
        "sample_size": 8,
        "patch_size": 2,
        "num_embeds_ada_norm": 10,
    },
}


def network(name: str, **changes: Any) -> nn.Module:
    """An untrained network of that class, with outputs that are not small."""
    torch.manual_seed(0)
    return getattr(diffusers, name)(**{**NARROW[name], **changes}).eval()


def scheduler(name: str = "DDPMScheduler", **options: Any) -> Any:
    return getattr(diffusers, name)(**options)


def saved(folder: Path, model: Any, made: Any = None, variant: str | None = None, safe: bool = True) -> Path:
    """The folder of a pipeline, as save_pretrained writes it.  made: its scheduler."""
    place = "transformer" if "Transformer" in type(model).__name__ else "unet"
    model.save_pretrained(folder / place, variant=variant, safe_serialization=safe)
    if made is not False:
        (made or scheduler()).save_pretrained(folder / "scheduler")
    return folder


def pictures(count: int, generator: torch.Generator) -> Tensor:
    """Blobs [count, 1, 8, 8] with a mean square of about one, dark on the left or on the right."""
    side = torch.randint(0, 2, (count, 1, 1, 1), generator=generator) * 2.0 - 1
    slope = torch.linspace(-1.5, 1.5, 8)[None, None, None, :]
    return side * slope + 0.3 * torch.randn((count, 1, 8, 8), generator=generator)


def fit(folder: Path, steps: int = 3000) -> None:
    """Write the pipeline FITTED: the small U-Net, trained on `pictures` for a minute, stored in half precision."""
    model, made = network("UNet2DModel"), scheduler()
    bar = torch.tensor(alpha_bar(dict(made.config)), dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(model.train().parameters(), lr=5e-3)
    decay = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, steps)
    for _ in range(steps):
        x0 = pictures(32, generator)
        eps = torch.randn(x0.shape, generator=generator)
        level = torch.randint(0, len(bar), (32,), generator=generator)
        alpha, sigma = (value[:, None, None, None] for value in (bar[level].sqrt(), (1 - bar[level]).sqrt()))
        loss = (model(alpha * x0 + sigma * eps, level).sample - eps).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        decay.step()
    DDPMPipeline(model.half(), made).save_pretrained(folder, variant="fp16")


if __name__ == "__main__":
    fit(FITTED)
