"""What a reader needs to know where numbers come from: versions, machine, source, time."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).resolve().parents[1]
NOT_RUN = "citations.py"  # of the generated files the one from which no number comes
PACKAGES = ("torch", "numpy", "scipy", "samplerproof")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that compute."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


@cache
def fingerprint() -> str:
    """SHA-256 over the source files of numerics, generated ones included, and the versions they run on."""
    digest = hashlib.sha256(repr(sorted(versions().items())).encode())
    for path in sorted(SOURCES.rglob("*.py")):
        digest.update(f"{path.relative_to(SOURCES).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def generated() -> str:
    """SHA-256 over the generated code that numbers come from: what a record that is kept must have been made with."""
    digest = hashlib.sha256()
    for path in sorted((SOURCES / "generated").glob("*.py")):
        if path.name != NOT_RUN:
            digest.update(f"{path.name}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def source() -> dict[str, Any]:
    """The versions of what computes, and the commit; dirty: whether the sources differ from it."""
    commit = _git("rev-parse", "HEAD")
    dirty = None if commit is None else bool(_git("status", "--porcelain"))
    return {"versions": versions(), "commit": commit, "dirty": dirty}


def manifest(seed: int, started: datetime) -> dict[str, Any]:
    """The part of a manifest that every run shares; started: an aware time, from which seconds are counted."""
    return {
        **source(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "fingerprint": fingerprint(),
        "generated": generated(),
        "seed": seed,
        "started": started.astimezone(UTC).isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - started).total_seconds(), 3),
    }


def _git(*arguments: str) -> str | None:
    """git's answer about the repository these sources are tracked in; None where they are in none."""
    try:
        for command in (("ls-files", "--error-unmatch", "__init__.py"), arguments):
            done = subprocess.run(
                ["git", "-C", str(SOURCES), *command], capture_output=True, text=True, check=True, timeout=10
            )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
