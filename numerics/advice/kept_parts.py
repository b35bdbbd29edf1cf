"""What a query has computed, kept in a folder under names made of all that determines it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from ..studies.store import key
from ..support.files import check_writable, read_sealed, write_sealed
from ..support.manifest import SOURCES, fingerprint

Parts = dict[str, Tensor]


class KeptParts:
    """Tensors by what determines them, in sealed files; a changed file is computed again.

    folder: None keeps nothing.  rows: how many rows of the model what was found had taken.
    """

    def __init__(self, folder: Path | None, identity: Mapping[str, Any] | None) -> None:
        self._folder = folder if identity is not None else None
        self._identity = dict(identity or {})
        self.rows = 0
        if self._folder is not None:
            check_writable(self._folder)

    def get(self, spec: Mapping[str, Any], compute: Callable[[], Parts]) -> Parts:
        """The tensors of a specification, found or computed now; its entry "rows" is what the model was asked."""
        if self._folder is None:
            return compute()
        code = fingerprint((), (SOURCES / "advice",))
        path = self._folder / f"{key({**spec, 'model': self._identity, 'code': code})[:32]}.advice"
        stored = read_sealed(path)
        if stored is not None:
            found = load(stored)
            self.rows += int(found["rows"])
            return found
        made = compute()
        write_sealed(path, save({name: part.contiguous() for name, part in made.items()}))
        return made


def number(value: int) -> Tensor:
    """A count as a tensor."""
    return torch.tensor(value, dtype=torch.int64)
