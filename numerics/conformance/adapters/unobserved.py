"""Call a sampler as any other code would: in a thread of its own, with nothing of this package around it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ...external_run import Remark
from ...noise_draws import noise_basis
from ...readback import Trace
from ..report import Departure

PACKAGE = "samplerproof"
MARKS = ("SAMPLERPROOF_", "PYTEST_")  # of environment variables
UNGIVEN = object()
WIDER = Remark("roundoff", "it returns float64 where its start is float32: its sample is rounded to that")
ROUNDED = 64.0  # eps: the same operations in another thread
CALLED = "called by other code, in another thread, where no module is this package"
DIRECTLY = "called by other code, in another thread and without this package among the modules, "
# Compiled under another name, so that neither the model nor a frame of the stack belongs to this package.
_SOURCE = """
def calling(sampler, x, sigmas, outputs, noises, takes_noise, options, found):
    left, drawn = iter(outputs), iter(noises)

    def model(x, sigma):
        return next(left).clone()

    def noise(x, sigma_from=None, sigma_to=None):
        return next(drawn).clone()

    def call():
        try:
            found.append(sampler(model, x, sigmas, **options, **({takes_noise: noise} if takes_noise else {})))
        except Exception as fault:
            found.append(fault)

    return call
"""
_code: dict[str, Any] = {"__name__": "__main__"}
exec(compile(_SOURCE, "<string>", "exec"), _code)

DirectCall = Callable[[Tensor, Sequence[Tensor], Sequence[Tensor], bool], Any]  # start, outputs, noises, in a thread
OnLevels = Callable[[Sequence[float]], DirectCall]


def direct(
    sampler: Callable[..., Any], levels: Sequence[float], takes_noise: str | None, options: Mapping[str, Any]
) -> DirectCall:
    """The function itself on these levels, with what its model and its noise return in order.

    Its call returns the sample or an exception; UNGIVEN where it draws noise that it is not given.
    """

    def called(start: Tensor, outputs: Sequence[Tensor], noises: Sequence[Tensor], in_thread: bool) -> Any:
        if len(noises) and not takes_noise:
            return UNGIVEN
        found: list[Any] = []
        sigmas = torch.tensor(levels, dtype=torch.float64).to(start)
        work = _code["calling"](sampler, start.clone(), sigmas, outputs, noises, takes_noise, dict(options), found)
        with _hidden(_uses_this_package(sampler)):
            thread = threading.Thread(target=work)
            (thread.start if in_thread else work)()
            if in_thread:
                thread.join()
        return found[0]

    return called


def may_be_called(found: Trace) -> bool:
    """Whether the function can be called directly in a run: as shipped, with one output at a time, on its levels."""
    return found.dtype is torch.float32 and not {*found.remarks} - {WIDER} and not any(found.channel)


def departure_called_directly(call: DirectCall, found: Trace, inputs: Tensor, expected: Tensor) -> Departure | None:
    """The departure of the function by itself from `expected`, its sample on `inputs` in a run; None where it has none.

    inputs [1 + nfe + draws, *shape].  An exception counts unless the function needs the main thread.
    """
    given, nfe = inputs.to(found.dtype), found.nfe
    noises = torch.tensordot(noise_basis(found.spans)[0].to(given), given[1 + nfe :], dims=1)
    for in_thread in (True, False):
        sample = call(given[0], list(given[1 : 1 + nfe]), list(noises), in_thread)
        if not isinstance(sample, Exception):
            break
    else:
        raised = f"{type(sample).__name__}: {' '.join(str(sample).split())}"[:200]
        return Departure("error", "exception", f"{DIRECTLY}it raises {raised}")
    if sample is UNGIVEN:
        return None
    if isinstance(sample, Tensor) and sample.shape == expected.shape:
        most = ROUNDED * torch.finfo(found.precision).eps * float(expected.abs().max())
        if float((sample.detach().double() - expected).abs().max()) <= most:
            return None
    return Departure("different-formula", "formula", f"{DIRECTLY}it computes something else")


def _uses_this_package(sampler: Callable[..., Any]) -> bool:
    """Whether a sampler is made with this package: then it needs its modules."""
    names = getattr(sampler, "__globals__", {})
    owners = (str(getattr(v, "__module__", None) or getattr(v, "__name__", "")) for v in list(names.values()))
    code = getattr(sampler, "__code__", None)
    return any(owner.partition(".")[0] == PACKAGE for owner in (*owners, *(code.co_names if code else ())))


@contextmanager
def _hidden(used: bool) -> Iterator[None]:
    """Context without this package in sys.modules, unless it is used or another thread may import it, and without the
    environment variables by which its child process and a test can be recognised.
    """
    hide = not used and threading.active_count() == 1
    modules = {name: m for name, m in sys.modules.items() if hide and name.partition(".")[0] == PACKAGE}
    variables = {name: value for name, value in os.environ.items() if name.startswith(MARKS)}
    try:
        for name in modules:
            del sys.modules[name]
        for name in variables:
            del os.environ[name]
        yield
    finally:
        sys.modules.update(modules)
        os.environ.update(variables)
