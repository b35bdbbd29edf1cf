"""What students are trained by: each objective is zero, in expectation, only for a student that is its teacher.

All is in units of the data and in angles th = atan(sigma/alpha), where a jump is turned(y, v, th - th').  An objective
is a function (network, average, generator) -> loss, of the network that is trained and the average of its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..errors import InputError
from .angles import angle
from .student import jumped, turned

Loss = Callable[[nn.Module, nn.Module, torch.Generator], Tensor]
BOOTSTRAPPED = 4  # one row in so many is a jump that two shorter ones make; the others learn the shortest jump


def progressive(teacher: nn.Module, levels: Sequence[float], samples: Tensor, batch: int) -> Loss:
    """A jump over two steps of the teacher is to be one of the student.

    levels: of the teacher, an odd number; the student has every second.  The v that lands where the teacher lands is
    (cos(by) y - y'')/sin(by), by the angle of both steps.  Salimans and Ho 2022 (arXiv 2202.00512), algorithm 2.
    Raises InputError on an even number of levels.
    """
    if len(levels) % 2 == 0:
        raise InputError("levels", len(levels), "an odd number: two steps of the teacher for each of the student")
    lam = torch.tensor(levels, dtype=torch.float64)

    def loss(network: nn.Module, average: nn.Module, generator: torch.Generator) -> Tensor:
        n = 2 * torch.randint(len(levels) // 2, (batch,), generator=generator)
        y = _diffused(samples, lam[n], generator)
        with torch.no_grad():
            after = jumped(teacher, jumped(teacher, y, lam[n], lam[n + 1]), lam[n + 1], lam[n + 2])
            wanted = _landing(y, after, angle(lam[n]) - angle(lam[n + 2]))
        return _mean_square(network(y, lam[n].to(y)), wanted)

    return loss


def consistency(teacher: nn.Module, levels: Sequence[float], samples: Tensor, batch: int) -> Loss:
    """The jump to the last level from a point is to be that from where the teacher's step takes it.

    The later jump is made by the average of the weights; at the last level it is the identity.
    Song et al. 2023 (arXiv 2303.01469), algorithm 2, with the square as distance.
    """
    lam = torch.tensor(levels, dtype=torch.float64)

    def loss(network: nn.Module, average: nn.Module, generator: torch.Generator) -> Tensor:
        n = torch.randint(len(levels) - 1, (batch,), generator=generator)
        y = _diffused(samples, lam[n], generator)
        with torch.no_grad():
            later = jumped(teacher, y, lam[n], lam[n + 1])
            wanted = jumped(average, later, lam[n + 1], lam[-1])
        return _mean_square(jumped(network, y, lam[n], lam[-1]), wanted)

    return loss


def shortcut(levels: Sequence[float], samples: Tensor, batch: int) -> Loss:
    """The shortest jumps learn from data, and a jump over 2 d steps is to be the two over d of the average.

    levels: 2^K + 1.  Jumps over 2^k steps begin at multiples of 2^k.  Frans et al. 2024 (arXiv 2410.12557), algorithm
    1; there on the linear path, here in angles, which is the same step.  Raises InputError on another number of levels.
    """
    steps = len(levels) - 1
    sizes = steps.bit_length() - 1
    if steps < 2 or steps != 2**sizes:
        raise InputError("levels", len(levels), "a power of two, and one")
    lam = torch.tensor(levels, dtype=torch.float64)
    made = batch // BOOTSTRAPPED

    def loss(network: nn.Module, average: nn.Module, generator: torch.Generator) -> Tensor:
        # The longer jumps: over 2^(k+1) steps, by two over 2^k.
        half = 2 ** torch.randint(sizes, (made,), generator=generator)
        n = 2 * half * (torch.rand(made, generator=generator) * (steps // (2 * half))).long()
        y = _diffused(samples, lam[n], generator)
        start, middle, end = lam[n], lam[n + half], lam[n + 2 * half]
        with torch.no_grad():
            after = jumped(average, jumped(average, y, start, middle), middle, end)
            wanted = _landing(y, after, angle(start) - angle(end))
        longer = _square(network(y, start.to(y), end.to(y)), wanted)
        # The shortest ones, from data and noise.
        n = torch.randint(steps, (batch - made,), generator=generator)
        x, noise = _with_noise(samples, len(n), generator)
        th = angle(lam[n])
        y = _turned_to(x, noise, th)
        shortest = _square(network(y, lam[n].to(y), lam[n + 1].to(y)), _v(x, noise, th))
        return torch.cat([longer, shortest]).mean()

    return loss


def reflow(
    pairs: tuple[Tensor, Tensor],
    levels: Sequence[float],
    batch: int,
    place: Callable[[Tensor], Tensor] = lambda uniform: uniform,
    distance: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Loss:
    """The velocity of the straight paths between the two ends of the teacher's trajectories.

    pairs: samples [n, ...] at the first level and where the teacher takes them at the last one, in units of the data.
    A straight path is an arc in angles, y = cos(th) x + sin(th) z, with x and z such that it meets both ends; its
    level is drawn in t = sin/(sin + cos): `place` takes uniform numbers in [0, 1] to shares of the range of t.
    distance: of velocities and goals, by row; mean squares unless given.  Liu et al. 2022 (arXiv 2209.03003); other
    draws and distances in Lee et al. 2024 (arXiv 2405.20320).
    """
    apart = distance or _square
    first, last = angle(levels[0]), angle(levels[-1])
    ends = torch.stack([torch.stack([th.cos(), th.sin()]) for th in (first, last)])
    x, z = (torch.linalg.inv(ends).to(pairs[0]) @ torch.stack(pairs).flatten(1)).reshape(2, *pairs[0].shape)
    low, high = (float(th.sin() / (th.sin() + th.cos())) for th in (last, first))

    def loss(network: nn.Module, average: nn.Module, generator: torch.Generator) -> Tensor:
        chosen = torch.randint(len(x), (batch,), generator=generator)
        t = low + (high - low) * place(torch.rand(batch, generator=generator, dtype=torch.float64))
        th = (t / (1 - t)).atan()
        y = _turned_to(x[chosen], z[chosen], th)
        return apart(network(y, -th.tan().log().to(y)), _v(x[chosen], z[chosen], th)).mean()

    return loss


def drawn(samples: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """So many of the samples, drawn at random."""
    return samples[torch.randint(len(samples), (count,), generator=generator)]


def _with_noise(samples: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    x = drawn(samples, count, generator)
    return x, torch.randn(x.shape, generator=generator).to(samples)


def at_level(samples: Tensor, lam: float, generator: torch.Generator) -> Tensor:
    """These samples [n, ...] of the data at a level of the forward process."""
    noise = torch.randn(samples.shape, generator=generator).to(samples)
    return _turned_to(samples, noise, angle(lam).expand(len(samples)))


def _diffused(samples: Tensor, lam: Tensor, generator: torch.Generator) -> Tensor:
    """Random samples of the forward process at the levels lam [n]."""
    return _turned_to(*_with_noise(samples, len(lam), generator), angle(lam))


def _turned_to(x: Tensor, noise: Tensor, th: Tensor) -> Tensor:
    """cos(th) x + sin(th) noise."""
    return turned(x, -noise, th)


def _v(x: Tensor, noise: Tensor, th: Tensor) -> Tensor:
    """v = cos(th) noise - sin(th) x, the derivative in th."""
    return turned(noise, x, th)


def _landing(y: Tensor, after: Tensor, by: Tensor) -> Tensor:
    """The v by which a jump of y over an angle [n] lands at `after`."""
    by = by.reshape(-1, *[1] * (y.ndim - 1))
    return (by.cos().to(y) * y - after) / by.sin().to(y)


def _square(value: Tensor, wanted: Tensor) -> Tensor:
    """Mean squares by row."""
    return (value - wanted).square().flatten(1).mean(1)


def _mean_square(value: Tensor, wanted: Tensor) -> Tensor:
    return _square(value, wanted).mean()
