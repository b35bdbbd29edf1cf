"""`samplerproof cite`: the papers, the appendix, and one line for a name that is not known."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from samplerproof.book.bibtex import cite
from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.generated.citations import CITATIONS

ROOT = Path(__file__).resolve().parents[2]


def keys(text: str) -> list[str]:
    return re.findall(r"^@\w+\{(\w+),$", text, flags=re.M)


def test_every_sampler_has_its_paper_each_once_and_the_appendix_comes_last() -> None:
    """Assert one entry for each paper of the catalogue, and that of the appendix at the end."""
    found = keys(cite(list(METHODS)))
    assert found[-1] == "samplerproof"
    assert len(found) == len(set(found))
    assert set(found[:-1]) == {record.cite for record in METHODS.values()}


def test_an_alias_and_a_parameter_lead_to_the_same_paper() -> None:
    """Assert that any name of a method leads to its paper, with or without a parameter."""
    assert keys(cite(["edm-euler", "ddim", "bdia-ddim?gamma=1"])) == ["song2021ddim", "zhang2024bdia", "samplerproof"]


def test_without_names_it_is_the_appendix_as_citation_cff_has_it() -> None:
    """Assert title, author and version of the entry against CITATION.cff."""
    text, cff = cite([]), (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    said = {key: value.strip('"') for key, value in re.findall(r"^(?:  - )?(\w+): (.+)$", cff, flags=re.M)}
    assert keys(text) == ["samplerproof"]
    assert f"title = {{{said['title']}}}" in text
    assert f"author = {{{{{said['name']}}}}}" in text
    assert f"version {said['version']}}}" in text


def test_what_is_printed_is_what_the_bibliography_has() -> None:
    """Assert that an entry is the one in references.bib."""
    bibliography = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    assert keys(bibliography) == list(CITATIONS)
    assert all(entry in bibliography for entry in CITATIONS.values())


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    """Assert the message for an unknown name."""
    with pytest.raises(InputError, match="nearest: ddim"):
        cite(["ddin"])


def test_the_command_prints_bibtex_and_says_what_is_wrong_in_one_line(
    samplerproof: Callable[..., CompletedProcess[str]],
) -> None:
    """Assert output and exit code of the command, for a known and for an unknown name."""
    done = samplerproof("cite", "dpm-solver++-2m")
    assert (done.returncode, done.stderr) == (0, "")
    assert keys(done.stdout) == ["lu2022dpmsolverpp", "samplerproof"]
    done = samplerproof("cite", "ddim", "nonsense?")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
