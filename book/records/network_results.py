"""The standard study on networks: kept by network and sampler, and renewed here."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ...numerics.errors import InputError
from ...numerics.support.progress_bar import progress_bar
from ..studies.low_precision import METHOD
from ..studies.network_study import SHORTER, TIMED_BY, Setting, measure_common, measure_network, settings
from ..studies.sample_pictures import FINE
from .kept_records import RECORDS, Clock, Entry, Kept
from .record_keys import network_key

FOLDER = RECORDS / "networks"
COMMON = "common"  # what set samplers do on set networks: pictures, floors of low precision, Frechet distances
CPU = torch.device("cpu")


def of_network(setting: Setting) -> Kept:
    """The kept rates and costs of every sampler on a network."""
    return Kept(
        "networks", FOLDER / setting.name, setting.methods, lambda method, _: network_key([setting.name], [method])
    )


def of_all(every: Iterable[Setting]) -> Kept:
    """The kept description of every network, and COMMON."""
    names = [setting.name for setting in every]

    def key(name: str, _: Entry) -> str:
        if name != COMMON:
            return network_key([name], [TIMED_BY])
        return network_key(names, [*SHORTER, METHOD, FINE[0]])

    return Kept("networks", FOLDER, [*names, COMMON], key)


def answer() -> dict[str, Any]:
    """All that is kept of networks, as `reproduce --with-checkpoints` has it; the manifest is that of COMMON.

    Raises InputError where some of it is missing or stale.
    """
    every = settings(False)
    whole = of_all(every).load()
    points = [entry for setting in every for entry in of_network(setting).load().values()]
    common = whole[COMMON]
    return {
        "rates": [entry["rate"] for entry in points],
        "costs": [entry["cost"] for entry in points],
        "floors": common["floors"],
        "frechet": common["frechet"],
        "manifest": {
            **common["manifest"],
            "device": str(CPU),
            "networks": {setting.name: whole[setting.name]["network"] for setting in every},
        },
    }


def renew_networks(only: Iterable[str] = ()) -> None:
    """Renew what the samplers named do on the networks that they are run on, or else all that is stale."""
    every, clock = settings(False), Clock()
    chosen = list(only)
    for name in chosen:
        if not any(name in setting.methods for setting in every):
            raise InputError("--only", name, "a sampler that the study runs on a network")
    whole = of_all(every)
    left = [] if chosen else whole.stale()
    with tempfile.TemporaryDirectory() as folder, progress_bar("networks") as progress:
        out = Path(folder)
        for setting in every:
            kept = of_network(setting)
            methods = [name for name in chosen if name in setting.methods] if chosen else kept.stale()
            if not methods and setting.name not in left:
                continue
            some = replace(setting, methods=tuple(methods) or setting.methods[:1])
            measured = measure_network(some, out, CPU, progress)
            made = clock.manifest()
            if setting.name in left:
                whole.write(setting.name, {"network": _without_methods(measured["network"])}, made)
            made["seconds"] = round(made["seconds"] / len(some.methods), 1)
            for rate, cost in zip(measured["rates"], measured["costs"], strict=True):
                kept.write(rate["method"], {"rate": rate, "cost": cost}, made)
            kept.remove_others()
        if COMMON in left:
            common = measure_common(every, out, CPU, False, progress)
            for picture in out.glob("*.png"):
                shutil.copy(picture, FOLDER / picture.name)
            whole.write(COMMON, common, clock.manifest())
    whole.remove_others()


def _without_methods(network: Entry) -> Entry:
    return {**network, "run": {key: value for key, value in network["run"].items() if key != "methods"}}
