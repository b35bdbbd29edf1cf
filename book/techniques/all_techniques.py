"""All techniques, in the order of the book: each module of this folder has a tuple TECHNIQUES."""

from __future__ import annotations

from . import inversion
from .technique import Technique

TECHNIQUES: tuple[Technique, ...] = (*inversion.TECHNIQUES,)
BY_NAME = {technique.name: technique for technique in TECHNIQUES}
