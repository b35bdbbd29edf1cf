"""Draws from generators that code seeds: a generator in a state that it had before gives the same noise again."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ...external_run import Draw


class Source(Protocol):
    """What a draw comes from.  state(): equal where the same numbers follow.  advance(): to another state."""

    def state(self) -> object: ...

    def advance(self) -> None: ...


class OfTorch:
    """A generator of torch, or its default one."""

    def __init__(self, generator: torch.Generator | None = None) -> None:
        self.generator = generator or torch.default_generator

    def state(self) -> object:
        return self.generator.device.type, self.generator.get_state().numpy().tobytes()

    def advance(self) -> None:
        torch.rand(1, generator=self.generator, device=self.generator.device)


class OfNumpy:
    """A generator of numpy, or the module numpy.random."""

    def __init__(self, generator: Any = None) -> None:
        self.generator = generator

    def state(self) -> object:
        if self.generator is not None:
            return repr(self.generator.bit_generator.state)
        _, keys, place, *_ = np.random.get_state()  # noqa: NPY002 (the one that samplers use)
        return np.asarray(keys).tobytes(), place

    def advance(self) -> None:
        (np.random if self.generator is None else self.generator).random()


class RepeatedDraws:
    """The draws of one run: `draw`, or the noise that came from the same state before.

    Sources are advanced by one number a draw; at the end the default ones are as before, unless the code moved them.
    """

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.noises: dict[object, Tensor] = {}
        self.begun = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
        self.left = OfTorch().state(), OfNumpy().state()
        self.moved = [False, False]

    def drawn(self, like: Tensor, source: Source) -> Tensor:
        """Noise shaped like a state."""
        self._look()
        state = source.state()
        if state not in self.noises:
            self.noises[state] = self.draw(like)
        source.advance()
        self.left = OfTorch().state(), OfNumpy().state()
        return self.noises[state].to(like.dtype).clone()

    def restore(self) -> None:
        """The default sources as they were, where only these draws moved them."""
        self._look()
        if not self.moved[0]:
            torch.set_rng_state(self.begun[0])
        if not self.moved[1]:
            np.random.set_state(self.begun[1])  # noqa: NPY002

    def _look(self) -> None:
        now = OfTorch().state(), OfNumpy().state()
        self.moved = [moved or a != b for moved, a, b in zip(self.moved, now, self.left, strict=True)]
