"""How often a sampler will evaluate and draw, from runs of it that were read before."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...external_run import Calls
from ...readback import Trace

Key = tuple[int, int | None]  # steps, and another grid


@dataclass
class ExpectedCalls:
    """The calls of runs that were read, by their grids.

    An expectation saves the run that counts the calls; a run that makes others is counted after all.
    """

    known: dict[Key, Calls] = field(default_factory=dict)

    def note(self, steps: int, grid: int | None, found: Trace) -> None:
        """Note the calls of a run."""
        self.known[steps, grid] = Calls(found.nfe, found.spans)

    def on(self, steps: int, grid: int | None) -> Calls | None:
        """What a run is expected to make: as in the other dtype, or on the line through two numbers of steps."""
        if (steps, grid) in self.known or grid is not None:
            return self.known.get((steps, grid))
        own = [(n, calls) for (n, k), calls in self.known.items() if k is None]
        if len(own) < 2 or any(span is not None for _, calls in own for span in calls.spans):
            return None  # the spans of increments are those of another grid
        (n, first), (m, second) = own[:2]
        nfe = _line(n, first.nfe, m, second.nfe, steps)
        draws = _line(n, len(first.spans), m, len(second.spans), steps)
        return None if nfe is None or draws is None else Calls(nfe, (None,) * draws)


def _line(n: int, a: int, m: int, b: int, steps: int) -> int | None:
    """The value at `steps` of the line through (n, a) and (m, b), where it is a whole number."""
    rise = (b - a) * (steps - n)
    return a + rise // (m - n) if rise % (m - n) == 0 and a + rise // (m - n) >= 0 else None
