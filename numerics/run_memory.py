"""Where a run keeps its vectors and outputs, and how a row makes the next vector of them."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from .errors import InputError
from .tableau import Tableau

FEW = 1 << 15  # numbers of a vector up to which one call for a row pays, though it reads more slowly than several do


def memory_of(tableau: Tableau, like: Tensor, recorded: bool, compiled: bool) -> Memory:
    """The memory of a run whose vectors are like this one: shape, dtype and device.

    recorded: every vector and output is a tensor of its own, and no buffer, so that gradients can be recorded.
    compiled: a row is one kernel that torch.compile makes.
    """
    if compiled:
        return Kernels(tableau, like)
    exact = like.device.type == "cpu" and like.dtype in (torch.float32, torch.float64)
    one_call = exact and like.numel() <= FEW and tableau.states.shape[1] == 1
    return (Products if one_call else Chains)(tableau, like, recorded)


class Memory(ABC):
    """The last vectors and outputs of a run, as far back as a row reaches, in buffers that are allocated once.

    kept: how many outputs, up to the newest, can be read after a row was made.
    """

    kept: int

    def __init__(self, tableau: Tableau, like: Tensor, recorded: bool) -> None:
        self.shape, self.recorded, self.given = like.shape, recorded, tableau.given
        self.depth, self.lags = tableau.states.shape[1], tableau.outputs.shape[1]
        self.several = (len(tableau.channels),) if tableau.channels else ()

    @abstractmethod
    def output(self, i: int) -> Tensor:
        """The output at vector i, one of those kept."""

    @abstractmethod
    def keep(self, i: int, d: Tensor) -> None:
        """Keep d as the output at vector i."""

    @abstractmethod
    def vector(self, i: int) -> Tensor:
        """Vector i, one of the last ones."""

    @abstractmethod
    def put(self, i: int, vector: Tensor) -> None:
        """Keep this as vector i."""

    @abstractmethod
    def make(self, row: int) -> Tensor:
        """Make the vector of a row but for its noise, which is added to it in place."""

    def sum_of(self, i: int) -> float:
        """The sum of the numbers of vector i, the last that was made, perhaps without its noise."""
        return self.vector(i).sum().item()


class Products(Memory):
    """A row is one product of a matrix with its coefficients: one call, in which every number is read once.

    The rows of the matrix are a vector, the last outputs, and the next vector. Vectors take the two places in turn, so
    that what is read is always a block beside the place that is written. An output that a row does not use has the
    coefficient 0. For tables whose rows use one vector.
    """

    def __init__(self, tableau: Tableau, like: Tensor, recorded: bool) -> None:
        super().__init__(tableau, like, recorded)
        self.kept = self.lags
        inner = self.lags * (self.several or (1,))[0]
        memory = like.new_zeros((1 + inner + 1, *self.shape))
        self.matrix_shape = (len(memory), self.shape.numel())
        matrix = memory.view(self.matrix_shape)
        # From the first row to the last, and back: the block that is read, and the row that is written.
        self.ways = (matrix[:-1].t(), matrix[-1]), (matrix[1:].t(), matrix[0])
        self.ends = [memory[0], memory[-1]]
        self.slots = list(memory[1:-1].view(self.lags, *self.several, *self.shape).unbind())
        self.weights = tableau.once(like.dtype, lambda: _in_blocks(tableau, inner).to(like.dtype).unbind())

    def output(self, i: int) -> Tensor:
        return self.slots[i % self.lags]

    def keep(self, i: int, d: Tensor) -> None:
        if self.recorded:
            self.slots[i % self.lags] = d.to(self.slots[0])
        else:
            self.slots[i % self.lags].copy_(d)

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
            block, place = self.ways[i % 2]
            torch.mv(block, self.weights[row], out=place)
            new = self.ends[1 - i % 2]
        return new


def _in_blocks(tableau: Tableau, inner: int) -> Tensor:
    """The coefficients of every row in the order of the block that it reads: [rows, 1 + inner], float64."""
    rows, lags = tableau.outputs.shape
    i = np.arange(rows)[:, None] + tableau.given - 1
    columns = list(tableau.channels.values()) or [tableau.outputs]
    coefficients = np.zeros((rows, 1 + inner))
    odd = i % 2  # then the vector is the last row of the block, behind the outputs
    np.put_along_axis(coefficients, odd * inner, tableau.states[:, :1].numpy(), axis=1)
    slot = (i - np.arange(lags)) % lags
    for c, column in enumerate(columns):
        np.put_along_axis(coefficients, 1 - odd + slot * len(columns) + c, column.numpy(), axis=1)
    return torch.from_numpy(coefficients)


class Chains(Memory):
    """A row is a chain of calls, one for a coefficient, none of which is rounded to the dtype of the run.

    A new vector is made in the place of the oldest that the row can use, and a new output is kept in that of the
    oldest, once that is used: a run takes no more than its history. For large tensors, dtypes of fewer digits than
    float32, devices, and rows that use several vectors.
    """

    def __init__(self, tableau: Tableau, like: Tensor, recorded: bool) -> None:
        super().__init__(tableau, like, recorded)
        # Tensors of their own, no views: a kernel is compiled anew for another offset of a view.
        self.states = [like.new_empty(self.shape) for _ in range(self.depth)]
        self.slots = [like.new_empty((*self.several, *self.shape)) for _ in range(self.lags - 1)]
        self.own = {state.untyped_storage().data_ptr() for state in self.states}
        self.kept = max(1, self.lags - 1)
        self.carry = tableau.states.tolist()
        self.weights = [weight.tolist() for weight in tableau.channels.values()] or [tableau.outputs.tolist()]
        self.newest: Tensor | None = None  # the output at the last vector, until it is in its slot

    def output(self, i: int) -> Tensor:
        if self.slots:
            return self.slots[i % len(self.slots)]
        assert self.newest is not None
        return self.newest

    def keep(self, i: int, d: Tensor) -> None:
        if not self.recorded and d.untyped_storage().data_ptr() in self.own:
            d = d.clone()  # a model may return what it was given, which the row overwrites
        self.newest = d.to(self.vector(i))
        if i + 1 < self.given and self.slots:
            self._replace(i)

    def _replace(self, i: int) -> None:
        """Keep the newest output, that at vector i, in the place of the oldest."""
        d, self.newest = self.newest, None
        if d is not None and self.recorded:
            self.slots[i % len(self.slots)] = d
        elif d is not None:
            self.slots[i % len(self.slots)].copy_(d)

    def vector(self, i: int) -> Tensor:
        return self.states[i % self.depth]

    def put(self, i: int, vector: Tensor) -> None:
        if self.recorded:
            self.states[i % self.depth] = vector.to(self.states[0])
        else:
            self.vector(i).copy_(vector)

    def make(self, row: int) -> Tensor:
        i = row + self.given - 1
        carry, oldest = self.carry[row], self.depth - 1
        first = oldest if carry[oldest] != 0 else 0
        out = None if self.recorded else self.vector(i + 1)
        new = torch.mul(self.vector(i - first), carry[first], out=out)
        for k, c in enumerate(carry):
            if c != 0 and k != first:
                new.add_(self.vector(i - k), alpha=c)
        self.states[(i + 1) % self.depth] = new
        # The oldest output, in whose place the newest is kept, then the others.
        if self.slots:
            self._add(new, row, self.lags - 1, i)
            self._replace(i)
        for lag in range(self.kept):
            self._add(new, row, lag, i - lag)
        return new

    def _add(self, new: Tensor, row: int, lag: int, i: int) -> None:
        """Add what is kept as the output at vector i, with the coefficients of a lag."""
        for channel, weights in enumerate(self.weights):
            if weights[row][lag] != 0:
                d = self.output(i)
                new.add_(d[channel] if self.several else d, alpha=weights[row][lag])


class Kernels(Chains):
    """A row is one compiled kernel, which keeps the new output and sums the new vector on its way.

    Sums are in float32 at least.  Raises InputError where torch.compile does not work, as on a CPU without a C++
    compiler.
    """

    def __init__(self, tableau: Tableau, like: Tensor) -> None:
        super().__init__(tableau, like, recorded=False)
        for tensor in (*self.states, *self.slots):
            tensor.zero_()  # a term that a row does not use has the coefficient 0, and must be finite
        columns = list(tableau.channels.values()) or [tableau.outputs]
        place = like.device, torch.promote_types(like.dtype, torch.float32)
        self.coefficients = tableau.once(
            place, lambda: torch.cat([tableau.states, *columns], dim=1).to(*place).unbind()
        )
        self.flat_states = [tensor.view(-1) for tensor in self.states]
        self.flat_slots = [self._by_channel(tensor) for tensor in self.slots]
        self.kernel: Callable[..., tuple[Tensor]] | None = None
        self.total: Tensor

    def make(self, row: int) -> Tensor:
        i = row + self.given - 1
        states = [self.flat_states[(i - k) % self.depth] for k in range(self.depth)]
        slots = [self.flat_slots[(i - j) % len(self.slots)] for j in range(1, self.lags)]
        if self.newest is not None:
            fresh = self._by_channel(self.newest)
        else:  # a vector without an output, of which the coefficients are 0
            fresh = slots[-1] if slots else [states[0]] * len(self.weights)
        parts = [self.coefficients[row], *states, *itertools.chain(fresh, *slots)]
        try:
            if self.kernel is None:
                self.kernel = _kernel(self.depth, self.lags, parts)
            (self.total,) = self.kernel(*parts)
        except Exception as error:
            why = (str(error).strip() or repr(error)).splitlines()[0]
            raise InputError("compiled", True, f"False where torch.compile fails: {why}") from error
        if slots:
            self.newest = None
        return self.vector(i + 1)

    def sum_of(self, i: int) -> float:
        return self.total.item()

    def _by_channel(self, d: Tensor) -> list[Tensor]:
        return list(d.contiguous().view(len(self.weights), -1)) if self.several else [d.contiguous().view(-1)]


KERNELS: dict[Hashable, Callable[..., tuple[Tensor]]] = {}  # that were compiled


def _kernel(depth: int, lags: int, parts: list[Tensor]) -> Callable[..., tuple[Tensor]]:
    """A kernel for tensors like these: coefficients, states, and outputs by lag, then by channel; it returns the sum.

    Compiled for one shape, without the guards of torch.compile: to check them takes longer than a small update.
    """
    (coefficients, state, *_), threads = parts, torch.get_num_threads()
    key = depth, lags, len(parts), coefficients.dtype, state.dtype, state.device, state.shape, threads

    def row(coefficients: Tensor, *terms: Tensor) -> tuple[Tensor]:
        states, outputs = terms[:depth], terms[depth:]
        channels = len(outputs) // lags  # whose columns of coefficients follow each other
        order = [*states, *(outputs[j * channels + c] for c in range(channels) for j in range(lags))]
        total = coefficients[0] * order[0]
        for k in range(1, len(order)):
            total = total + coefficients[k] * order[k]
        if lags > 1:
            for fresh, oldest in zip(outputs[:channels], outputs[-channels:], strict=True):
                oldest.copy_(fresh)
        states[-1].copy_(total)
        return (total.sum(),)

    if key not in KERNELS:
        with FakeTensorMode():  # tensors without memory, each of its own: two of the parts may be one
            like = [torch.empty(part.shape, dtype=part.dtype, device=part.device) for part in parts]
            graph = make_fx(row)(*like)
        KERNELS[key] = torch._inductor.compile(graph, [*like])
    return KERNELS[key]
