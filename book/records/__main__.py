"""`python -m samplerproof.book.records methods|networks`: make the kept records of samplers or of networks anew."""

from __future__ import annotations

import sys

from ...numerics.catalogue import METHODS
from .kept_records import KEPT, keep, make, make_networks

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["methods"]:
            keep(KEPT, make(list(METHODS.values())))
        case ["networks"]:
            make_networks()
        case other:
            sys.exit(f"{' '.join(other) or 'nothing'}: methods or networks")
