"""Coq's compiler on the order proofs: its kernel accepts a file or does not, and states what the proofs rest on."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LIBRARY = ("Orders", "Rationals")
CLOSED = "Closed under the global context"
MISSING = "coqc: not found; Coq 8.16 or newer, by `apt-get install coq`, `brew install coq` or `opam install coq`"


class Refused(Exception):
    """Coq does not accept a file, or its proofs rest on an axiom; with Coq's words."""


def digest(source: Path, name: str) -> str:
    """The SHA-256 of what Coq reads for a file of `methods`: the library and the file."""
    paths = [*(source / f"{part}.v" for part in LIBRARY), source / "methods" / f"{name}.v"]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()


def release() -> str:
    """Coq's version, such as 8.16.1."""
    done = subprocess.run(["coqc", "--print-version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[0]


def compile_file(folder: Path, name: str) -> None:
    """Compile one file of a folder that holds the library, `name` without `.v`.  Raises Refused."""
    command = ["coqc", "-q", "-Q", ".", "samplerproof", f"{name}.v"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise Refused(f"{name}: {done.stderr.strip()}")
    source = (folder / f"{name}.v").read_text(encoding="utf-8")
    asked = sum(line.startswith("Print Assumptions ") for line in source.splitlines())
    if not asked or done.stdout.split("\n").count(CLOSED) != asked:
        raise Refused(f"{name}: not closed: {done.stdout.strip()}")


def library(source: Path, folder: Path) -> None:
    """Compile the library into a folder.  Raises FileNotFoundError where Coq is missing, and Refused."""
    if shutil.which("coqc") is None:
        raise FileNotFoundError(MISSING)
    folder.mkdir(parents=True, exist_ok=True)
    for name in LIBRARY:
        shutil.copy(source / f"{name}.v", folder)
        compile_file(folder, name)


def check(source: Path, folder: Path, processes: int) -> Iterator[tuple[str, float]]:
    """Compile everything into a folder, so many files at once: names and seconds, as they are accepted.

    Raises FileNotFoundError where Coq is missing, and Refused on the first file that is not accepted.
    """
    library(source, folder)
    shutil.rmtree(folder / "methods", ignore_errors=True)
    shutil.copytree(source / "methods", folder / "methods")

    def timed(name: str) -> tuple[str, float]:
        started = time.perf_counter()
        compile_file(folder, f"methods/{name}")
        return name, time.perf_counter() - started

    with ThreadPoolExecutor(processes) as pool:
        # The longest first, so that none is left alone at the end.
        paths = sorted((folder / "methods").glob("*.v"), key=lambda path: -path.stat().st_size)
        futures = [pool.submit(timed, path.stem) for path in paths]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()
