"""Forests: the elementary differentials of E f(z) for a test function f, dz = G(z, u) du + dM with Gaussian noise M.

They are rooted trees with time legs (trees.py) under a root that stands for f, and lianas: z stands at the vertices,
so noise may enter each derivative in z, and noises count in pairs. A liana is such a pair; its ends are the root or
nodes, and may be equal. The order counts nodes, legs and lianas, each worth one power of h. (Laurent and Vilmart 2020
call trees with lianas exotic.)

Without its root a forest falls into pieces, and weights are products over the pieces: only forests of one piece are
conditions. There are 2, 4, 16, 68 of order 1, 2, 3, 4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations_with_replacement, permutations, product
from math import factorial, prod

ROOT = 0


@dataclass(frozen=True, order=True)
class Forest:
    """Nodes 1, 2, …, each with its parent (0 is the root, a parent's number is the smaller) and its time legs.

    lianas: pairs of numbers, sorted.
    """

    parents: tuple[int, ...] = ()
    legs: tuple[int, ...] = ()
    lianas: tuple[tuple[int, int], ...] = ()

    @property
    def nodes(self) -> range:
        return range(1, len(self.parents) + 1)

    def parent(self, node: int) -> int:
        return self.parents[node - 1]

    @cached_property
    def symmetry(self) -> int:
        """What the term in E f is divided by: exchanges of nodes, of legs, of lianas, and of a liana's equal ends."""
        nodes = sum(other == self for other in _relabelled(self))
        legs, lianas = prod(map(factorial, self.legs)), prod(map(factorial, Counter(self.lianas).values()))
        return nodes * legs * lianas * prod(2 for a, b in self.lianas if a == b)

    @property
    def in_one_piece(self) -> bool:
        """Whether the nodes are connected without the root; a liana from root to root is a piece of its own."""
        if not self.parents or (ROOT, ROOT) in self.lianas:
            return self == Forest(lianas=((ROOT, ROOT),))
        links = [*((v, self.parent(v)) for v in self.nodes), *self.lianas]
        links += [(b, a) for a, b in links]
        reached: set[int] = set()
        found = {1}
        while found:
            reached |= found
            found = {b for a, b in links if a in reached and b != ROOT} - reached
        return len(reached) == len(self.parents)

    def children(self, vertex: int) -> list[int]:
        return [v for v in self.nodes if self.parent(v) == vertex]

    def ends(self, vertex: int) -> list[str]:
        """The letters of the lianas that end at a vertex; equal letters are the two ends of one."""
        return [chr(ord("a") + i) for i, pair in enumerate(self.lianas) for end in pair if end == vertex]

    @property
    def latex(self) -> str:
        """The elementary differential, f_{zz}(G_z(e_a), e_a); a letter that stands twice is summed over."""
        return self._latex(ROOT)

    def _latex(self, vertex: int) -> str:
        inner = [*map(self._latex, self.children(vertex)), *(f"e_{{{letter}}}" for letter in self.ends(vertex))]
        index = "z" * len(inner) + "u" * (self.legs[vertex - 1] if vertex else 0)
        name = ("G" if vertex else "f") + (f"_{{{index}}}" if index else "")
        return rf"{name}\left({', '.join(inner)}\right)" if inner else name

    def __str__(self) -> str:
        """As a tree's, with letters for the ends of lianas: f_zz(G_z(e_a), e_a) is [[a] a]."""
        return self._plain(ROOT)

    def _plain(self, vertex: int) -> str:
        legs = self.legs[vertex - 1] if vertex else 0
        return (
            f"[{' '.join([str(legs)] * bool(legs) + [*map(self._plain, self.children(vertex)), *self.ends(vertex)])}]"
        )


def _relabelled(forest: Forest) -> Iterator[Forest]:
    """The forest with its nodes numbered in every other way that has parents before children."""
    for images in permutations(forest.nodes):
        number = {ROOT: ROOT, **dict(zip(forest.nodes, images, strict=True))}
        if all(number[forest.parent(v)] < number[v] for v in forest.nodes):
            olds = sorted(forest.nodes, key=number.__getitem__)
            lianas = sorted((min(p), max(p)) for p in ((number[a], number[b]) for a, b in forest.lianas))
            yield Forest(
                tuple(number[forest.parent(v)] for v in olds), tuple(forest.legs[v - 1] for v in olds), tuple(lianas)
            )


@cache
def every_forest(order: int) -> tuple[Forest, ...]:
    """All forests of that order, of any number of pieces."""
    found = {Forest(lianas=((ROOT, ROOT),) * order)}
    for size in range(1, order + 1):
        pairs = list(combinations_with_replacement(range(size + 1), 2))
        for parents in product(*map(range, range(1, size + 1))):
            for legs in product(range(order - size + 1), repeat=size):
                if (lianas := order - size - sum(legs)) >= 0:
                    every = (Forest(parents, legs, chosen) for chosen in combinations_with_replacement(pairs, lianas))
                    found |= {min(_relabelled(forest)) for forest in every}
    return tuple(sorted(found))


@cache
def forests(order: int) -> tuple[Forest, ...]:
    """All forests of that order in one piece."""
    return tuple(forest for forest in every_forest(order) if forest.in_one_piece)
