"""The page on networks: the tables and pictures of the standard study, from its kept results."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from ...numerics.catalogue import METHODS
from ...numerics.studies.convergence_figure import draw
from ..records.network_results import FOLDER
from ..tables.network_tables import markdown, panels
from .myst import ONE_SIDEBAR, link, origin

PLACE = "networks"  # folder of the pictures in the book
FIGURE = "checkpoints"


def networks(answer: dict[str, Any]) -> dict[str, str | bytes]:
    """File -> content: the page and its pictures.  answer: the kept results of networks."""
    title, tables = markdown(answer).split("\n", 1)
    drawn = sorted(FOLDER.glob("pictures-*.png"))
    names = list(answer["manifest"]["networks"])
    parts = [
        title,
        _figure(
            f"{FIGURE}.svg",
            f"Trajectory error against steps on the networks {', '.join(names)}, and the floors of low precision",
            "Rates on networks. `samplerproof reproduce --with-checkpoints` draws it anew, beside "
            "[the mixtures'](index.md).",
        ),
        _linked(tables.strip()),
        *(_samples(path) for path in drawn),
        f"Made on {answer['manifest']['device']}, {origin(answer['manifest'])}.",
    ]
    pictures = {f"{PLACE}/{path.name}": path.read_bytes() for path in drawn}
    return {f"{PLACE}.md": ONE_SIDEBAR + "\n\n".join(parts) + "\n", f"{PLACE}/{FIGURE}.svg": _rates(answer), **pictures}


def _rates(answer: dict[str, Any]) -> bytes:
    """The figure of rates and floors, as SVG."""
    with tempfile.TemporaryDirectory() as folder:
        draw(panels(answer), Path(folder) / FIGURE, suffixes=[".svg"])
        return (Path(folder) / f"{FIGURE}.svg").read_bytes()


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
