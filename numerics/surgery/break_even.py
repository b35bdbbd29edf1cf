"""Whether a cheaper evaluation with a larger error is worth it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import positive


@dataclass(frozen=True)
class BreakEven:
    """A changed model against the plain one, both with a sampler of order p.

    error: c, its error over that of the plain model at the same steps.  cost: K, the cost of its run over that of the
    plain one.  order: p. At equal cost its error is c K^p times the plain one: it is worth it iff that is below 1.
    Raises InputError on numbers that are not positive and finite.

    >>> import samplerproof as sp
    >>> found = sp.techniques.BreakEven(error=1.5, cost=0.8, order=1)
    >>> round(found.ratio, 3), found.worth
    (1.2, False)
    """

    error: float
    cost: float
    order: float

    def __post_init__(self) -> None:
        for name in ("error", "cost", "order"):
            positive(name, getattr(self, name))

    @property
    def ratio(self) -> float:
        """c K^p."""
        return self.error * math.pow(self.cost, self.order)

    @property
    def worth(self) -> bool:
        return self.ratio < 1
