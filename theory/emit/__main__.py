"""`python -m samplerproof.theory.emit [--check]`: write numerics/generated, or show how it differs."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

from .render import render_all
from .source_text import COMMAND

GENERATED = Path(__file__).resolve().parents[2] / "numerics" / "generated"
KEEP = {"__init__.py"}


def differences(folder: Path) -> list[str]:
    """Unified diffs between the folder and a fresh emission; a file too many counts."""
    fresh = render_all()
    found = []
    for name in sorted({*fresh, *(p.name for p in folder.glob("*.py"))} - KEEP):
        path = folder / name
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        diff = difflib.unified_diff(
            old.splitlines(True), fresh.get(name, "").splitlines(True), f"committed/{name}", f"fresh/{name}"
        )
        found += ["".join(diff)]
    return [d for d in found if d]


def write(folder: Path) -> None:
    fresh = render_all()
    for path in folder.glob("*.py"):
        if path.name not in fresh and path.name not in KEEP:
            path.unlink()
    for name, text in fresh.items():
        (folder / name).write_text(text, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 with a diff if anything differs")
    if not parser.parse_args().check:
        write(GENERATED)
        return 0
    found = differences(GENERATED)
    for diff in found:
        print(diff)
    if found:
        print(f"generated code is not current: run `{COMMAND}`", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
