"""Copies of this repository as others have it, and commands that know nothing of this one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def call(*command: str | Path, cwd: Path, fails: bool = False, **variables: str) -> str:
    """The output of a command with no path of this repository in its environment."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MYPYPATH")}
    environment |= variables
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout


def checkout(folder: Path) -> Path:
    """A clone in that folder, with what is not committed yet."""
    call("git", "clone", "-q", "--no-hardlinks", ROOT, folder, cwd=folder.parent)
    for path in call("git", "ls-files", "-mo", "--exclude-standard", cwd=ROOT).splitlines():
        if (ROOT / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes((ROOT / path).read_bytes())
        else:
            (folder / path).unlink()
    return folder
