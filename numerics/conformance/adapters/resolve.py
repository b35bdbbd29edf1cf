"""From what a user types to a sampler that can be run."""

from __future__ import annotations

from .target import Target, split


def resolve(target: str) -> Target:
    """`diffusers:Class?option=value&…`, `k-diffusion:function?…` or `package.module:callable?…`, imported now.

    Raises InputError, NoTable where there is no table; what the import of a stranger's module raises passes through.
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
