"""Import the external sampler that a target names."""

from __future__ import annotations

from importlib import import_module

from .external_sampler import ExternalSampler
from .target import split, typed

# Of a library: the module in `libraries` and the function in it.
LIBRARIES = {
    "azula": ("azula", "azula"),
    "comfyui": ("comfyui", "comfyui"),
    "dpm-solver": ("official_files", "dpm_solver"),
    "edm": ("official_files", "edm"),
    "res4lyf": ("res4lyf", "res4lyf"),
    "skrample": ("skrample", "skrample"),
    "unipc": ("official_files", "unipc"),
    "wan": ("wan", "wan"),
}


def resolve(target: str, path: str | None = None) -> ExternalSampler:
    """The sampler of `diffusers:Class?option=value&…`, `k-diffusion:function?…`, LIBRARY:NAME?… of LIBRARIES, or of an
    object by its path: `FILE.py:name?…`, relative to the current folder, or `package.module:name?…`.

    path: the folder with the library, or with one that the object's file imports, where Python does not look for
    modules.
    Raises InputError, NoTable where there is no table; exceptions from the import of its module pass through.
    """
    library, name, options = split(target)
    if library == "diffusers":
        from .diffusers import scheduler

        return scheduler(name, options)
    if library == "k-diffusion":
        from .k_diffusion import k_diffusion

        return k_diffusion(name, options)
    if library in LIBRARIES:
        module, function = LIBRARIES[library]
        adapter = getattr(import_module(f".libraries.{module}", __package__), function)
        found: ExternalSampler = adapter(name, options, path)
        return found
    from .libraries.comfyui import importable
    from .objects import object_at, of_object

    with importable(path):
        own = object_at(library, name)
    return of_object(own, options, typed(library, name, {}))
