"""`python -m samplerproof.theory.formal [--check | --prove]`: order proofs as Coq files, in formal/methods.

`--prove` has Coq check all of them, and writes formal/accepted.json: the digest of each file that its kernel accepted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from ..methods import ODE_METHODS
from . import kernel
from .order_file import COMMAND, NOT_WRITTEN, module_name, order_file

ROOT = Path(__file__).resolve().parents[2]
FORMAL = ROOT / "formal"
ACCEPTED = FORMAL / "accepted.json"


def files() -> dict[str, str]:
    """All files by name."""
    return {f"{module_name(m.name)}.v": order_file(m) for m in ODE_METHODS if m.name not in NOT_WRITTEN}


def write(folder: Path) -> None:
    fresh = files()
    for path in folder.glob("*.v"):
        if path.name not in fresh:
            path.unlink()
    for name, text in fresh.items():
        (folder / name).write_text(text, encoding="utf-8")


def stale(folder: Path) -> list[str]:
    """The files that differ from a fresh emission, are missing, or are too many."""
    fresh = files()
    old = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.v")}
    return sorted(name for name in {*fresh, *old} if fresh.get(name) != old.get(name))


def prove() -> int:
    """Have Coq check all files: 0 where it accepts them, which is recorded, 1 where it refuses one, 2 where Coq is
    missing."""
    started = time.perf_counter()
    accepted: dict[str, str] = {}
    try:
        for name, seconds in kernel.check(FORMAL, ROOT / "_build" / "formal", os.cpu_count() or 1):
            accepted[name] = kernel.digest(FORMAL, name)
            print(f"  {len(accepted):2} {name}  {seconds:.0f} s", flush=True)
    except FileNotFoundError as missing:
        print(missing, file=sys.stderr)
        return 2
    except kernel.Refused as refused:
        print(refused, file=sys.stderr)
        return 1
    record = {"coq": kernel.release(), "sha256": dict(sorted(accepted.items()))}
    ACCEPTED.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    seconds = time.perf_counter() - started
    print(f"{len(accepted)} files accepted, each closed under the global context, in {seconds:.0f} s")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--check", action="store_true", help="compare the files with fresh ones; exit 1 if any differs")
    only.add_argument("--prove", action="store_true", help="have Coq check them; exit 1 if it refuses one")
    chosen = parser.parse_args()
    if chosen.prove:
        return prove()
    if not chosen.check:
        write(FORMAL / "methods")
        return 0
    found = stale(FORMAL / "methods")
    if found:
        print(f"not current: {', '.join(found)}; run `{COMMAND}`", file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    raise SystemExit(main())
