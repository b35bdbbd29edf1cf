"""Import the external sampler that a target names."""

from __future__ import annotations

from .external_sampler import ExternalSampler
from .target import split


def resolve(target: str) -> ExternalSampler:
    """The sampler of `diffusers:Class?option=value&…`, `k-diffusion:function?…` or `package.module:callable?…`.

    Raises InputError, NoTable where there is no table; exceptions from the import of its module pass through.
    """
    library, name, options = split(target)
    if library == "diffusers":
        from .diffusers import scheduler

        return scheduler(name, options)
    if library == "k-diffusion":
        from .k_diffusion import k_diffusion

        return k_diffusion(name, options)
    from .callables import plain

    return plain(library, name, options)
