"""What the book is built from: a page for every sampler, tables that miss nothing, links that lead somewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from samplerproof.cli.book.__main__ import ROOT, lay_out
from samplerproof.cli.book.pages import all_pages, kept
from samplerproof.cli.book.text import plain, slug, year
from samplerproof.cli.markup import table
from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.generated.citations import CITATIONS
from samplerproof.numerics.generated.defects import DEFECTS
from samplerproof.theory.frames import FRAMES
from samplerproof.theory.notation import NOTATION

VERIFIED = {
    "target": "library:Sampler?order=3|4",
    "reference": "dpm-solver++-3m-published",
    "matches": ["dpm-solver++-2m"],
    "verdict": "different-formula",
    "max_relative_error": 0.25,
    "max_relative_error_float64": None,
    "observed_order": 2.004,
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """All pages, with one verified implementation."""
    records = tmp_path_factory.mktemp("records")
    (records / "records.json").write_text(json.dumps({"records": [VERIFIED]}), encoding="utf-8")
    kept = "# Verification\n\n| a | b |\n| --- | --- |\n| `ddim` | x |\n| `-` | y |\n"
    (records / "verification.md").write_text(kept, encoding="utf-8")
    return all_pages(records)


def test_every_sampler_has_a_page_with_all_that_is_known(pages: dict[str, str]) -> None:
    for record in METHODS.values():
        page = pages[f"methods/{slug(record.name)}.md"]
        titles = re.findall(r"^## (.+)$", page, flags=re.M)
        assert titles == [
            *("Formula", "Order", "Start-up and last step", "Stability", "Code", "Implementations", "Cite"),
        ]
        for text in (record.summary, *record.aliases, CITATIONS[record.cite], f"`{record.frame}`", "\\begin{aligned}"):
            assert text in page, (record.name, text)
        assert len(re.findall(r"^def \w+\(", page, flags=re.M)) >= len(record.rows)
        assert ("error of a step" in page) == (record.name in DEFECTS)


def test_the_error_of_ddim_is_the_one_derived_by_hand(pages: dict[str, str]) -> None:
    (formula,) = re.findall(r"error of a step.*", pages["methods/ddim.md"])
    terms = r"\frac{1}{2}\, G - \frac{1}{2}\, G_{z}\left(G\right) \\ & - \frac{1}{2}\, G_{u}"
    assert formula == rf"error of a step}} = h^{{2}} & \Big({terms}\Big) + O(h^{{3}}) \end{{aligned}}"


def test_an_implementation_is_on_the_page_of_what_it_should_be_and_of_what_it_is(pages: dict[str, str]) -> None:
    should, is_ = pages["methods/dpm-solver-pp-3m-published.md"], pages["methods/dpm-solver-pp-2m.md"]
    cells = r"| `library:Sampler?order=3\|4` | different-formula | 2.5e-01 | - | 2.00 |"
    assert f"{cells} [`dpm-solver++-2m`](dpm-solver-pp-2m.md) |" in should
    assert f"{cells} this |" in is_
    assert "library:Sampler" not in pages["methods/ddim.md"]


def test_the_table_has_every_sampler_with_its_numbers(pages: dict[str, str]) -> None:
    rows = re.findall(r"^\| \[`(.+)`\]\(methods/(.+)\.md\) \| (.+) \|$", pages["methods.md"], flags=re.M)
    assert [name for name, _, _ in rows] == list(METHODS)
    by_name = {name: cells for name, _, cells in rows}
    assert by_name["dpm-solver++-2m"] == "dpm-solver++ | data | 2 | 2 | 1 | no | 2022 | 1"
    assert by_name["ddpm"] == "ddim | data | 1 | 1 | 1 | yes | 2020 | -"


def test_notation_has_every_symbol_and_every_frame(pages: dict[str, str]) -> None:
    for name, entry in NOTATION.items():
        row = table((f"${entry.latex}$", f"`{name}`", plain(entry.meaning)), []).splitlines()[0]
        assert row in pages["notation.md"], name
    assert all(f"| `{name}` |" in pages["notation.md"] for name in FRAMES)


def test_every_link_leads_to_a_page(pages: dict[str, str], tmp_path: Path) -> None:
    files = {path.relative_to(tmp_path).as_posix() for path in lay_out(tmp_path, pages)}
    for file in sorted(files):
        text = pages.get(file) or ((tmp_path / file).read_text(encoding="utf-8") if file.endswith(".md") else "")
        for target in re.findall(r"\]\(([^)#:]+\.md)\)", text):
            where = (tmp_path / file).parent / target
            assert where.resolve().relative_to(tmp_path.resolve()).as_posix() in files, (file, target)


def test_the_contents_list_what_is_laid_out(pages: dict[str, str], tmp_path: Path) -> None:
    """Assert that the table of contents names files that exist, and every chapter."""
    files = {path.relative_to(tmp_path).as_posix() for path in lay_out(tmp_path, pages)}
    contents = (ROOT / "book" / "_toc.yml").read_text(encoding="utf-8")
    listed = {f"{name}.md" for name in re.findall(r"(?:file|root): (\S+)", contents)}
    assert listed <= files
    assert {name for name in files if name.startswith("chapters/")} <= listed


def test_a_second_lay_out_touches_nothing_and_removes_what_is_gone(pages: dict[str, str], tmp_path: Path) -> None:
    first = {path: path.stat().st_mtime_ns for path in lay_out(tmp_path, pages)}
    (tmp_path / "methods" / "gone.md").write_text("# gone\n", encoding="utf-8")
    assert {path: path.stat().st_mtime_ns for path in lay_out(tmp_path, pages)} == first
    assert not (tmp_path / "methods" / "gone.md").exists()


def test_pages_of_verifications_are_there_with_and_without_a_run(pages: dict[str, str], tmp_path: Path) -> None:
    assert "| [`ddim`](methods/ddim.md) | x |\n| `-` | y |" in pages["verification.md"]
    assert "samplerproof study book/verification.toml" in kept(tmp_path / "verification.md", "Verification")


def test_the_year_of_a_paper_is_in_its_entry() -> None:
    assert year("hochbruck2010exponential") == "2010"
    assert all(year(key).startswith("20") for key in CITATIONS)


def test_signs_that_mean_something_are_escaped() -> None:
    assert plain("E[x_0 | x_t], e^{-h} < 1") == r"E\[x\_0 | x\_t\], e\^\{-h\} \< 1"
