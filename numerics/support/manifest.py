"""Where numbers come from: versions, machine, source code, time."""

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

from ..catalogue import METHODS
from .sampler_code import GENERATED, code, sampler_code

SOURCES = Path(__file__).resolve().parents[1]
CONFORMANCE, TRAINING = SOURCES / "conformance", SOURCES / "training"
NOT_RUN = "citations.py"  # of the generated files the one from which no number comes
# No value of a study depends on these; the code generated for a sampler counts where that sampler is used.
NO_VALUES = (
    *(CONFORMANCE, TRAINING, SOURCES / "rates.py", SOURCES / "support", SOURCES / "checkpoints" / "hub.py"),
    *(
        SOURCES / "level_checks.py",
        SOURCES / "kind_checks.py",
        SOURCES / "studies" / "grid_findings.py",
    ),
    *(SOURCES / "studies" / f"{name}.py" for name in ("convergence_figure", "figure_panel", "inline_svg", "fits")),
    *(SOURCES / "studies" / f"{name}.py" for name in ("study_figure", "study_table", "style", "checkouts")),
    SOURCES / "few_step",
    SOURCES / "advice",
    SOURCES / "design",
    *(GENERATED / name for name in (NOT_RUN, "catalogue_records.py", "weight_functions.py", "defects.py")),
)
KEPT_RESULTS = ("book/records/*.json", "book/records/*.png")  # in all folders below
PACKAGES = ("torch", "numpy", "scipy", "samplerproof")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that compute."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


@cache
def fingerprint(methods: tuple[str, ...] | None = None, others: tuple[Path, ...] = ()) -> str:
    """SHA-256 over the code that values come from, and the versions it runs on; comments and docstrings do not count.

    That code is numerics without NO_VALUES, what is generated for the methods named (for the whole catalogue if None),
    and the given other files and folders of the package.
    """
    parts = [repr(sorted(versions().items())), _code(SOURCES), *map(_code, others)]
    parts += map(sampler_code, METHODS if methods is None else methods)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@cache
def _code(path: Path) -> str:
    """The code of a file, or of all files in a folder from which values come, each after its name."""
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    without = [other for other in NO_VALUES if not path.is_relative_to(other)]
    left = [file for file in files if not any(map(file.is_relative_to, without))]
    return "\n".join(f"{f.relative_to(SOURCES.parent).as_posix()}\n{code(f.read_text('utf-8'))}" for f in left)


@cache
def generated() -> str:
    """SHA-256 over the generated code that numbers come from."""
    digest = hashlib.sha256()
    for path in sorted((SOURCES / "generated").glob("*.py")):
        if path.name != NOT_RUN:
            digest.update(f"{path.name}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def source() -> dict[str, Any]:
    """The versions of what computes, and the commit; dirty: whether files other than kept results differ from it."""
    commit = _git("rev-parse", "HEAD")
    dirty = (
        None
        if commit is None
        else bool(_git("status", "--porcelain", "--", ":/", *(f":(top,exclude){kept}" for kept in KEPT_RESULTS)))
    )
    return {"versions": versions(), "commit": commit, "dirty": dirty}


def manifest(seed: int, started: datetime) -> dict[str, Any]:
    """The part of a manifest that every run shares; started: an aware time, from which seconds are counted."""
    return {
        **source(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "fingerprint": fingerprint(()),
        "generated": generated(),
        "seed": seed,
        "started": started.astimezone(UTC).isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - started).total_seconds(), 3),
    }


def of_benchmark() -> dict[str, Any]:
    """Machine, its load now, date and source of a benchmark's figures."""
    return {
        "load": [round(load, 1) for load in os.getloadavg()],
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "date": datetime.now(UTC).date().isoformat(),
        **source(),
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
