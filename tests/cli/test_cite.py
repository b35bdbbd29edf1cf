"""`samplerproof cite`: the papers, the appendix, and one line for a name that is not known."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from email.message import Message
from importlib.metadata import version
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from faults import altered_weights
from shapes import one_per_shape

from samplerproof.book.bibtex import cite, cite_theorem
from samplerproof.book.theorem_certificates import theorem
from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.generated.citations import CITATIONS
from samplerproof.theory.claims import CLAIMS
from samplerproof.theory.methods import find
from samplerproof.theory.notation import h

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
    said = {key: value.strip('"') for key, value in re.findall(r"^(?:  - |date-)?(\w+): (.+)$", cff, flags=re.M)}
    assert keys(text) == ["samplerproof"]
    assert f"title = {{{said['title']}}}" in text
    assert f"author = {{{{{said['name']}}}}}" in text
    assert f"version {said['version']}}}" in text
    assert f"year = {{{said['released'][:4]}}}" in text


def test_the_address_is_that_of_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert an empty field without an address, the DOI before others, and else what there is."""
    assert "  url = {},\n" in cite([])
    for lines, expected in (
        (["Repository, https://example.org/a"], "https://example.org/a"),
        (["Repository, https://example.org/a", "DOI, https://doi.org/10.1/b"], "https://doi.org/10.1/b"),
    ):
        said = Message()
        said["Version"] = "9.9"
        for line in lines:
            said["Project-URL"] = line
        monkeypatch.setattr("samplerproof.book.bibtex.metadata", {"samplerproof": said}.__getitem__)
        assert f"  url = {{{expected}}},\n" in cite([])


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("order-dpm-solver++-2m", "order-dpm-solver++-2m"),
        ("k-diffusion:sample_heun", "order-edm-heun"),
        ("order-bdia-ddim?gamma=1", "order-bdia-ddim?gamma=1"),
        ("2m-collapsed", "claim-2m-collapsed"),
        ("claim-res-2s", "claim-res-2s"),
        ("order-res-2s", "order-dpm-solver++-2s-taylor"),
        ("ddpm", "order-ddpm"),
    ],
)
def test_a_theorem_has_a_label_and_is_proved(name: str, label: str) -> None:
    """Assert the label by any name, the statement, and a hash of 64 digits that is that of the certificate."""
    found = theorem(name)
    assert found.label == label
    text = json.dumps(found.certificate, sort_keys=True, separators=(",", ":"))
    assert found.sha256 == hashlib.sha256(text.encode("ascii")).hexdigest()
    entry = cite_theorem(name)
    assert keys(entry.replace(f"samplerproof-{label}", "theorem")) == ["theorem"]
    assert f"version {version('samplerproof')}, SHA-256 of the certificate {found.sha256}}}" in entry
    assert f"annote = {{{found.statement}}}" in entry


def test_the_certificate_of_an_order_is_that_of_prove(in_process: Callable[..., tuple[int, str, str]]) -> None:
    """Assert the hash of the field that `prove --json` prints, as the book computes it."""
    code, out, _ = in_process("prove", "dpm-solver++-2m", "--json")
    text = json.dumps(json.loads(out)[0]["certificate"], sort_keys=True, separators=(",", ":"))
    assert code == 0
    assert hashlib.sha256(text.encode()).hexdigest() in cite_theorem("order-dpm-solver++-2m")


def test_another_weight_has_another_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that a weight off by a millionth, in a term that keeps the order, changes the certificate."""
    right, method = theorem("order-dpm-solver++-2m"), find("dpm-solver++-2m")
    older, *newer = method.weights[-1]
    altered = altered_weights(method, len(method.rows) - 1, (older + h**3 / 10**6, *newer))
    monkeypatch.setattr("samplerproof.theory.methods.find", {method.name: altered}.__getitem__)
    wrong = theorem("order-dpm-solver++-2m")
    assert (wrong.statement, wrong.certificate["order"]) == (right.statement, 2)
    assert wrong.sha256 != right.sha256


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("res-2s", "claim-res-2s, the identity, or order-res-2s, the order of the sampler"),
        ("order-ddin", "nearest: order-ddim"),
        ("claim-wieght-sum", "nearest: claim-weight-sum"),
        ("order-bdia-ddim?gamma=7", "0 <= gamma <= 1"),
        ("", "a theorem of the book"),
    ],
)
def test_a_theorem_that_is_not_known_is_refused(
    in_process: Callable[..., tuple[int, str, str]], name: str, line: str
) -> None:
    """Assert exit code 2 and one line with what is meant or allowed."""
    code, out, err = in_process("cite", "--theorem", name)
    assert (code, out) == (2, "")
    assert line in err
    assert len(err.splitlines()) == 1


def test_a_theorem_is_cited_alone(in_process: Callable[..., tuple[int, str, str]]) -> None:
    assert in_process("cite", "ddim", "--theorem", "order-ddim")[0] == 2


@pytest.mark.slow
def test_certificates_do_not_depend_on_the_process() -> None:
    """Assert the same hashes, of all claims and of an order a shape, in processes with other orders of sets.

    Whether what should vanish does is asserted where claims are tested; here only the expressions count.
    """
    program = (
        "import sys\n"
        "from samplerproof.theory.claims import Proof\n"
        "Proof.holds = True\n"
        "from samplerproof.book.theorem_certificates import theorem\n"
        "for name in sys.argv[1:]:\n"
        "    found = theorem(name)\n"
        "    assert found.statement.count('{') == found.statement.count('}'), name\n"
        "    print(name, found.sha256)\n"
    )
    names = [*(f"claim-{claim.name}" for claim in CLAIMS), *(f"order-{name}" for name in one_per_shape(METHODS))]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, *names],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("0", "1")
    ]
    once, again = (process.communicate()[0] for process in running)
    assert [line.split()[0] for line in once.splitlines()] == names
    assert once == again


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
