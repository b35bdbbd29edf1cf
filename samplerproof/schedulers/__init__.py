"""Methods of the catalogue inside other libraries' pipelines.

    from samplerproof.schedulers import TableScheduler   # a scheduler of diffusers
    from samplerproof.schedulers import sampler          # a function of k-diffusion and ComfyUI

`samplerproof/schedulers/comfyui_nodes.py` is a file of custom nodes for ComfyUI. diffusers is imported with
TableScheduler only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .sampler_function import sampler
    from .table_scheduler import TableScheduler

__all__ = ["TableScheduler", "sampler"]


def __getattr__(name: str) -> Any:
    if name == "TableScheduler":
        from .table_scheduler import TableScheduler

        return TableScheduler
    if name == "sampler":
        from .sampler_function import sampler

        return sampler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
