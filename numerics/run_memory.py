"""Where a run keeps its vectors and outputs, and how a row makes the next vector of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from .errors import InputError
from .tableau import Tableau


def memory_of(tableau: Tableau, like: Tensor, recorded: bool, compiled: bool) -> Memory:
    """The memory of a run whose vectors are like this one: shape, dtype and device.

    recorded: every vector and output is a tensor of its own, and no buffer, so that gradients can be recorded.
    compiled: a row is one kernel that torch.compile makes.
    """
    if compiled:
        return Kernels(tableau, like)
    exact = like.device.type == "cpu" and like.dtype in (torch.float32, torch.float64)
    return (Products if exact and tableau.states.shape[1] == 1 else Chains)(tableau, like, recorded)


class Memory(ABC):
    """The last vectors and outputs of a run, as far back as a row reaches, in buffers that are allocated once."""

    def __init__(self, tableau: Tableau, like: Tensor, recorded: bool) -> None:
        self.shape, self.recorded, self.given = like.shape, recorded, tableau.given
        self.depth, self.lags = tableau.states.shape[1], tableau.outputs.shape[1]
        self.several = (len(tableau.channels),) if tableau.channels else ()
        self.slots: list[Tensor]

    def output(self, i: int) -> Tensor:
        """The output at vector i, one of the last ones."""
        return self.slots[i % self.lags]

    def keep(self, i: int, d: Tensor) -> None:
        """Keep d as the output at vector i."""
        if self.recorded:
            self.slots[i % self.lags] = d.to(self.slots[0])
        else:
            self.slots[i % self.lags].copy_(d)

    @abstractmethod
    def vector(self, i: int) -> Tensor:
        """Vector i, one of the last ones."""

    @abstractmethod
    def put(self, i: int, vector: Tensor) -> None:
        """Keep this as vector i."""

    @abstractmethod
    def make(self, row: int) -> Tensor:
        """Make the vector of a row but for its noise, which is added to it in place."""


class Products(Memory):
    """A row is one product of a matrix with its coefficients: one call, in which every number is read once.

    The rows of the matrix are a vector, the last outputs, and the next vector. Vectors take the two places in turn, so
    that what is read is always a block beside the place that is written. An output that a row does not use has the
    coefficient 0. For tables whose rows use one vector.
    """

    def __init__(self, tableau: Tableau, like: Tensor, recorded: bool) -> None:
        super().__init__(tableau, like, recorded)
        inner = self.lags * (self.several or (1,))[0]
        memory = like.new_zeros((1 + inner + 1, *self.shape))
        self.matrix_shape = (len(memory), self.shape.numel())
        matrix = memory.view(self.matrix_shape)
        self.blocks, self.places = (matrix[:-1].t(), matrix[1:].t()), (matrix[0], matrix[-1])
        self.ends = [memory[0], memory[-1]]
        self.slots = list(memory[1:-1].view(self.lags, *self.several, *self.shape).unbind())
        self.weights = _in_blocks(tableau, inner).to(memory).unbind()

    def vector(self, i: int) -> Tensor:
        return self.ends[i % 2]

    def put(self, i: int, vector: Tensor) -> None:
        if self.recorded:
            self.ends[i % 2] = vector.to(self.ends[0])
        else:
            self.ends[i % 2].copy_(vector)

    def make(self, row: int) -> Tensor:
        i = row + self.given - 1
        if self.recorded:
            # The same product on the same places of a matrix of its own.
            places = [self.ends[0], *self.slots, self.ends[1]]
            matrix = torch.cat([place.flatten() for place in places]).view(self.matrix_shape)
            new = torch.mv((matrix[1:] if i % 2 else matrix[:-1]).t(), self.weights[row]).view(self.shape)
            self.ends[1 - i % 2] = new
        else:
            new = self.ends[1 - i % 2]
            torch.mv(self.blocks[i % 2], self.weights[row], out=self.places[1 - i % 2])
        return new


def _in_blocks(tableau: Tableau, inner: int) -> Tensor:
    """The coefficients of every row in the order of the block that it reads: [rows, 1 + inner], float64."""
    rows, lags = tableau.outputs.shape
    i = torch.arange(rows) + tableau.given - 1
    columns = list(tableau.channels.values()) or [tableau.outputs]
    coefficients = tableau.outputs.new_zeros((rows, 1 + inner))
    odd = i % 2  # then the vector is the last row of the block, behind the outputs
    coefficients.scatter_(1, (odd * inner)[:, None], tableau.states[:, :1])
    slot = (i[:, None] - torch.arange(lags)) % lags
    for c, column in enumerate(columns):
        coefficients.scatter_(1, (1 - odd)[:, None] + slot * len(columns) + c, column)
    return coefficients


class Chains(Memory):
    """A row is a chain of calls, one for a coefficient, none of which is rounded to the dtype of the run.

    For dtypes of fewer digits than float32, for devices, and for rows that use several vectors.
    """

    def __init__(self, tableau: Tableau, like: Tensor, recorded: bool) -> None:
        super().__init__(tableau, like, recorded)
        # One place more than a row can see: a new vector never overwrites one that it is made from. Tensors of their
        # own, no views: a kernel is compiled anew for another offset of a view.
        self.states = [like.new_empty(self.shape) for _ in range(self.depth + 1)]
        self.slots = [like.new_empty((*self.several, *self.shape)) for _ in range(self.lags)]
        self.carry = tableau.states.tolist()
        self.weights = [weight.tolist() for weight in tableau.channels.values()] or [tableau.outputs.tolist()]

    def vector(self, i: int) -> Tensor:
        return self.states[i % len(self.states)]

    def put(self, i: int, vector: Tensor) -> None:
        if self.recorded:
            self.states[i % len(self.states)] = vector.to(self.states[0])
        else:
            self.vector(i).copy_(vector)

    def make(self, row: int) -> Tensor:
        i = row + self.given - 1
        out = None if self.recorded else self.vector(i + 1)
        new = self.states[(i + 1) % len(self.states)] = torch.mul(self.vector(i), self.carry[row][0], out=out)
        for k, c in enumerate(self.carry[row][1:], start=1):
            if c != 0:
                new.add_(self.vector(i - k), alpha=c)
        for channel, weights in enumerate(self.weights):
            for j, w in enumerate(weights[row]):
                if w != 0:
                    d = self.output(i - j)
                    new.add_(d[channel] if self.several else d, alpha=w)
        return new


class Kernels(Chains):
    """A row is one compiled kernel, which keeps the new output on its way; sums are in float32 at least.

    Raises InputError where torch.compile does not work, as on a CPU without a C++ compiler.
    """

    def __init__(self, tableau: Tableau, like: Tensor) -> None:
        super().__init__(tableau, like, recorded=False)
        for tensor in (*self.states, *self.slots):
            tensor.zero_()  # a term that a row does not use has the coefficient 0, and must be finite
        columns = list(tableau.channels.values()) or [tableau.outputs]
        summed_in = torch.promote_types(like.dtype, torch.float32)
        self.coefficients = torch.cat([tableau.states, *columns], dim=1).to(like.device, summed_in).unbind()
        self.kernel = _kernel()
        self.fresh: Tensor | None = None

    def keep(self, i: int, d: Tensor) -> None:
        if i + 1 < self.given:
            super().keep(i, d)
        else:
            self.fresh = d

    def make(self, row: int) -> Tensor:
        i, new = row + self.given - 1, self.vector(row + self.given)
        seen = [self.output(i - j) for j in range(self.lags)]
        slot, fresh = seen[0], seen[0] if self.fresh is None else self.fresh
        outputs = [fresh, *seen[1:]]
        if self.several:
            outputs = [d[c] for c in range(*self.several) for d in outputs]
        terms = [*(self.vector(i - k) for k in range(self.depth)), *outputs]
        flat = [tensor.reshape(-1) for tensor in (new, slot, fresh, *terms)]
        try:
            self.kernel(*flat[:3], self.coefficients[row], flat[3:])
        except Exception as error:
            why = (str(error).strip() or repr(error)).splitlines()[0]
            raise InputError("compiled", True, f"False where torch.compile fails: {why}") from error
        self.fresh = None
        return new


@cache
def _kernel() -> Callable[..., None]:
    def row(new: Tensor, slot: Tensor, fresh: Tensor, coefficients: Tensor, terms: list[Tensor]) -> None:
        total = coefficients[0] * terms[0]
        for k in range(1, len(terms)):
            total = total + coefficients[k] * terms[k]
        slot.copy_(fresh)
        new.copy_(total)

    return torch.compile(row, dynamic=True)
