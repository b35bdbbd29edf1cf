"""Rooted trees with time legs: the elementary differentials of dz/du = G(z, u).

A vertex stands for G; q legs stand for derivatives in u, children for derivatives in z. Order |t| counts vertices
and legs. On the exact path z(u + c h) = z + sum_t h^|t| c^|t| / gamma(t) * D(t) / sigma(t)  (Hairer, Norsett and
Wanner, Solving Ordinary Differential Equations I, section II.2; the legs are theirs for u as one more unknown).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from math import factorial


@dataclass(frozen=True, order=True)
class Tree:
    """A root with q time legs and subtrees, kept sorted.  The empty tree, of order 0, is z itself."""

    legs: int = 0
    children: tuple[Tree, ...] = ()

    @cached_property
    def order(self) -> int:
        """Vertices and legs."""
        return 1 + self.legs + sum(child.order for child in self.children)

    @cached_property
    def gamma(self) -> int:
        """Density: |t| times the densities of the subtrees; a leg has density 1."""
        product = self.order or 1
        for child in self.children:
            product *= child.gamma
        return product

    @cached_property
    def sigma(self) -> int:
        """Symmetry: legs and equal subtrees can be exchanged."""
        product = factorial(max(self.legs, 0))
        for child, count in Counter(self.children).items():
            product *= factorial(count) * child.sigma**count
        return product

    @property
    def latex(self) -> str:
        """The elementary differential: G_u'', G_z, G_zz(…, …) applied to those of the subtrees."""
        if self == EMPTY:
            return "z"
        index = "z" * len(self.children) + "u" * self.legs
        name = rf"G_{{{index}}}" if index else "G"
        if not self.children:
            return name
        inner = ", ".join(child.latex for child in self.children)
        return rf"{name}\left({inner}\right)"

    def __str__(self) -> str:
        """Legs as a digit, children in brackets: G_zu(G) is [1 []]; the empty tree is 0."""
        if self == EMPTY:
            return "0"
        parts = [str(self.legs)] * bool(self.legs) + [str(child) for child in self.children]
        return f"[{' '.join(parts)}]"


EMPTY = Tree(-1)


@cache
def trees(order: int, legs: bool = True) -> tuple[Tree, ...]:
    """All trees of that order: 1, 1, 2, 5, 13, 37, … of order 0, 1, 2, 3, …; without legs 1, 1, 1, 2, 4, 9, …"""
    if order == 0:
        return (EMPTY,)
    most = order if legs else 1
    return tuple(sorted(Tree(q, forest) for q in range(most) for forest in _forests(order - 1 - q, order - 1, legs)))


def _forests(weight: int, largest: int, legs: bool) -> Iterator[tuple[Tree, ...]]:
    """Multisets of trees whose orders sum to weight, each of order at most `largest`, as sorted tuples."""
    if weight == 0:
        yield ()
        return

    def extend(rest: int, pool: tuple[Tree, ...]) -> Iterator[tuple[Tree, ...]]:
        if rest == 0:
            yield ()
        for i, tree in enumerate(pool):
            if tree.order <= rest:
                for tail in extend(rest - tree.order, pool[i:]):
                    yield (tree, *tail)

    everything = tuple(sorted(t for n in range(1, min(weight, largest) + 1) for t in trees(n, legs)))
    yield from extend(weight, everything)
