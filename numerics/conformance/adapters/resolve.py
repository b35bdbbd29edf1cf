"""Import the external sampler that a target names."""

from __future__ import annotations

from .external_sampler import ExternalSampler
from .target import split, typed


def resolve(target: str) -> ExternalSampler:
    """The sampler of `diffusers:Class?option=value&…`, `k-diffusion:function?…`, or of an object by its path:
    `FILE.py:name?…`, relative to the current folder, or `package.module:name?…`.

    Raises InputError, NoTable where there is no table; exceptions from the import of its module pass through.
    """
    library, name, options = split(target)
    if library == "diffusers":
        from .diffusers import scheduler

        return scheduler(name, options)
    if library == "k-diffusion":
        from .k_diffusion import k_diffusion

        return k_diffusion(name, options)
    from .objects import object_at, of_object

    return of_object(object_at(library, name), options, typed(library, name, {}))
