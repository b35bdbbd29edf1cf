"""One self-contained HTML page: no script, nothing from a network, all text escaped, light and dark, for a keyboard."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from ..numerics.errors import InputError
from ..numerics.support.files import check_writable, write_text
from ..numerics.support.limits import NAME, PATH

CSS = """
:root { color-scheme: light dark; --line: #8886; --off: #e5393522; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin-top: 2rem; }
div.wide { overflow-x: auto; } div.wide:focus-visible { outline: 2px solid Highlight; outline-offset: 2px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
caption { text-align: left; padding-bottom: 0.3rem; }
th, td { border-bottom: 1px solid var(--line); padding: 0.25rem 0.7rem; text-align: left; vertical-align: top; }
table.numbers th, table.numbers td { white-space: nowrap; }
tr.off { background: var(--off); } .verdict { font-weight: 600; }
figure { margin: 0; flex: 1 1 24rem; max-width: 30rem; } figcaption { font-size: 0.9rem; }
div.panels { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; margin-bottom: 1.5rem; }
svg { max-width: 100%; height: auto; }
"""


def check(file: Path) -> None:
    """Raise InputError where the page cannot be written; leaves nothing behind, since the input may still be refused.

    An existing file of this name is replaced later; a device is refused.
    """
    if len(str(file)) > PATH or len(file.name) > NAME:
        raise InputError("--html", str(file), f"a file name of at most {NAME} characters, a path of at most {PATH}")
    check_writable(file.parent, "--html", keep=False)
    if file.exists() and not file.is_file():
        what = "a folder" if file.is_dir() else "a device, a pipe or a socket"
        raise InputError("--html", str(file), f"the name of a file; this is {what}")


def write(page: str, file: Path) -> None:
    """Write a page, whole or not at all.  Raises OSError where it cannot be written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, page)


def document(title: str, parts: Sequence[str]) -> str:
    """The page.  title: text; parts: HTML."""
    body = "\n".join(parts)
    return (
        "<!doctype html>\n<html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>\n"
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n<main>\n{body}\n</main>\n</html>\n"
    )


def table(head: Sequence[object], rows: Sequence[Sequence[object]], name: str, numbers: bool = False) -> str:
    """A table that scrolls sideways, by the keyboard too.

    Cells are text.  name: what a screen reader calls it.  numbers: no cell is broken into lines.
    """
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    top = f"<tr>{cells('th scope=col', head)}</tr>" if any(head) else ""
    return scrolling(f"<table{' class=numbers' if numbers else ''}>{top}{body}</table>", name)


def scrolling(content: str, name: str) -> str:
    """HTML in a box that scrolls sideways and can have the focus of the keyboard."""
    return f"<div class=wide tabindex=0 role=region aria-label='{escape(name)}'>{content}</div>"


def cells(tag: str, values: Sequence[object]) -> str:
    """A row's cells; None is a dash.  tag: td or th, with attributes."""
    end = tag.partition(" ")[0]
    return "".join(f"<{tag}>{'-' if value is None else escape(str(value))}</{end}>" for value in values)
