"""The page on networks: the tables of the set study as they are kept, with its pictures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ...numerics.catalogue import METHODS
from .myst import link

PLACE = "networks"  # of the pictures, in the book
FIGURE = "checkpoints.svg"


def networks(answer: dict[str, Any], folder: Path) -> dict[str, str | bytes]:
    """File -> content: the page and its pictures.  answer: the kept record, which lies in the folder."""
    title, tables = (folder / "checkpoints.md").read_text(encoding="utf-8").split("\n", 1)
    drawn = sorted(folder.glob("pictures-*.png"))
    names = list(answer["manifest"]["networks"])
    parts = [
        "---\nhtml_theme.sidebar_secondary.remove: true\n---",
        title,
        _figure(
            FIGURE,
            f"Trajectory error against steps on the networks {', '.join(names)}, and the floors of low precision",
            "Rates on networks. `samplerproof reproduce --with-checkpoints` draws it anew, beside "
            "[the mixtures'](index.md).",
        ),
        _linked(tables.strip()),
        *(_samples(path) for path in drawn),
        _made(answer["manifest"]),
    ]
    files: dict[str, str | bytes] = {f"{PLACE}.md": "\n\n".join(parts) + "\n"}
    return files | {f"{PLACE}/{path.name}": path.read_bytes() for path in (folder / FIGURE, *drawn)}


def _linked(tables: str) -> str:
    """The tables, with links from samplers to their pages."""
    return re.sub(
        r"^\| (\w+) \| (\S+) \|",
        lambda line: f"| {line[1]} | {link(line[2], 'methods/')} |" if line[2] in METHODS else line[0],
        tables,
        flags=re.M,
    )


def _samples(path: Path) -> str:
    name = path.stem.removeprefix("pictures-")
    text = f"Samples of the network {name}: a line for each sampler, more evaluations further right"
    return f"## Samples: {name}\n\n" + _figure(path.name, text, f"{text}. Every one starts from the same noise.")


def _figure(file: str, text: str, caption: str) -> str:
    return f"```{{figure}} {PLACE}/{file}\n:alt: {text}\n\n{caption}\n```"


def _made(manifest: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    made = f"Made on {manifest['device']} in {manifest['seconds']:.0f} seconds"
    return f"{made}, at commit {manifest['commit'][:12]}, with {versions}."
