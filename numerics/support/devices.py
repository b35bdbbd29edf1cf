"""Devices of networks."""

from __future__ import annotations

import torch

from ..errors import InputError


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
