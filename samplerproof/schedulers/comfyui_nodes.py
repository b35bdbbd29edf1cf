"""Custom nodes of ComfyUI: copy this file into its folder custom_nodes, where samplerproof is installed.

The node "samplerproof sampler" (sampling / custom_sampling / samplers) takes the place of KSamplerSelect.
"""

from __future__ import annotations

from typing import Any, ClassVar

import comfy.samplers

from samplerproof.numerics.catalogue import METHODS
from samplerproof.schedulers import sampler


class SamplerproofSampler:
    """A method of samplerproof's catalogue as a SAMPLER."""

    CATEGORY: ClassVar[str] = "sampling/custom_sampling/samplers"
    RETURN_TYPES: ClassVar[tuple[str, ...]] = ("SAMPLER",)
    FUNCTION: ClassVar[str] = "get_sampler"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """The inputs of the node: the name of a method, and its parameters, such as eta=1/2."""
        return {"required": {"method": (sorted(METHODS),), "parameters": ("STRING", {"default": ""})}}

    def get_sampler(self, method: str, parameters: str) -> tuple[Any, ...]:
        """The sampler, which recognises a model of a flow."""
        return (comfy.samplers.KSAMPLER(sampler(method + (f"?{parameters}" if parameters else ""))),)


NODE_CLASS_MAPPINGS = {"SamplerproofSampler": SamplerproofSampler}
NODE_DISPLAY_NAME_MAPPINGS = {"SamplerproofSampler": "samplerproof sampler"}
