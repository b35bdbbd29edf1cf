"""Devices of networks."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from ..errors import InputError

PROCESSOR = Path("/proc/cpuinfo")  # of Linux


def device_of(name: str) -> torch.device:
    """The device of that name; InputError if this machine does not have it."""
    try:
        device = torch.device(name)
        if device.type == "cpu" and device.index:
            raise RuntimeError("the processor has no number")
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as fault:
        here = "cpu, cuda" if torch.cuda.is_available() else "cpu"
        raise InputError("--device", name, f"a device of this machine: {here} ({str(fault).splitlines()[0]})") from None
    return device


def kind_of_cpu() -> str:
    """Name, family and model of the processor and the instructions that torch uses: equal kinds compute equal bits."""
    keys = ("model name", "cpu family", "model")
    try:
        lines = [line.partition(":") for line in PROCESSOR.read_text(encoding="utf-8").split("\n\n")[0].splitlines()]
        known = {key.strip(): value.strip() for key, _, value in lines}
    except OSError:
        known = {}
    return ", ".join(
        [platform.machine(), *(known[key] for key in keys if key in known), torch.backends.cpu.get_cpu_capability()]
    )
