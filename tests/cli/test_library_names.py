"""The names of libraries: every one that an installed library exports, and every one answers."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

from samplerproof.book.tables.library_table import library_page
from samplerproof.names.input_error import InputError
from samplerproof.names.library_names import PAPER, LibraryName, library_names
from samplerproof.numerics.catalogue import METHODS, resolve

Run = Callable[..., tuple[int, str, str]]

NAMES = library_names()


def exported(library: str) -> set[str]:
    """The names of the table without their options."""
    return {entry.name.partition("?")[0] for entry in NAMES.values() if entry.library == library}


def test_every_scheduler_of_diffusers_is_there() -> None:
    """Assert that the table has the schedulers of the installed version, and no others."""
    schedulers = pytest.importorskip("diffusers.schedulers")
    found = {name for name in dir(schedulers) if name.endswith(("Scheduler", "Schedulers"))}
    assert exported("diffusers") == found
    assert NAMES["diffusers:DDIMScheduler"].version == version("diffusers")


def test_every_sampler_of_k_diffusion_is_there() -> None:
    """Assert the same of its functions; its file is read, since the package imports what is not installed."""
    spec = find_spec("k_diffusion")
    if spec is None or spec.origin is None:
        pytest.skip("k-diffusion is not installed")
    tree = ast.parse(Path(spec.origin).with_name("sampling.py").read_text(encoding="utf-8"))
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("sample_")}
    assert exported("k-diffusion") == found
    assert NAMES["k-diffusion:sample_euler"].version == version("k-diffusion")


def test_every_alias_of_a_library_is_there_with_its_record() -> None:
    """Assert that records and table agree on each name, for the libraries whose names are all in the table."""
    aliases = {alias: record.name for record in METHODS.values() for alias in record.aliases if ":" in alias}
    known = {
        alias: name for alias, name in aliases.items() if alias.partition(":")[0] in {e.library for e in NAMES.values()}
    }
    assert {alias: NAMES[alias].record for alias in known} == known


@pytest.mark.parametrize("entry", NAMES.values(), ids=lambda entry: entry.typed)
def test_a_name_has_a_record_that_resolves_or_a_reason(entry: LibraryName) -> None:
    """Assert one of the two; that the record is the one that commands take, and that the reason is what they say."""
    assert (entry.record is None) == bool(entry.why)
    if entry.record is not None:
        assert resolve(entry.typed) == resolve(entry.record)
        assert entry.near is None
        return
    with pytest.raises(InputError, match="without a record: ") as refused:
        resolve(entry.typed)
    assert entry.why[:40] in str(refused.value)
    if entry.near is not None:
        assert resolve(entry.near)


def test_a_name_is_shown_with_its_record_or_its_reason(in_process: Run) -> None:
    """Assert both for a person, and for JSON; an unknown name of a library has near ones of that library."""
    code, out, err = in_process("methods", "comfyui:exp_heun_2_x0")
    assert (code, err) == (0, "")
    assert "dpm-solver++-2s-taylor?r=1: " in out
    assert "asked for" in out
    code, out, err = in_process("methods", "comfyui:heunpp2")
    assert (code, err) == (0, "")
    assert NAMES["comfyui:heunpp2"].why in out
    (found,) = json.loads(in_process("methods", "restart", "--json")[1])
    assert (found["name"], found["near"], NAMES["restart"].library) == ("restart", "edm-heun", PAPER)
    code, out, err = in_process("methods", "comfyui:heunpp3")
    assert (code, out) == (2, "")
    assert "nearest: comfyui:heunpp2" in err


def test_the_page_has_every_name() -> None:
    """Assert a row for each."""
    page = library_page()
    assert all(f"| `{entry.name}` |" in page for entry in NAMES.values())
