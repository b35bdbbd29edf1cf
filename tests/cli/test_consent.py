"""What a file may make the command do is asked for first: to run code, to read pickles, to fetch from the hub."""

from __future__ import annotations

import os
import zipfile
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import contained
import malformed
import networks
import pytest
import torch
from markdown_it import MarkdownIt

from samplerproof.book import verdict_page
from samplerproof.book.markup import code, fenced, plain, table
from samplerproof.book.pages.method_page import _verified
from samplerproof.book.records import verification_results
from samplerproof.book.tables import verification_tables
from samplerproof.numerics.catalogue import resolve
from samplerproof.numerics.checkpoints import plain_module as modules
from samplerproof.numerics.conformance.report import Finding, Setting, Step, Trouble, Verdict

MARKDOWN = MarkdownIt("commonmark").enable("table")

EVIL = "open('ran', 'w').close()\n\ndef net():\n    import torch\n    return torch.nn.Identity()\n"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder to start in, with code that shows whether it ran; a study of the network beside it."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "evil.py").write_text(EVIL, encoding="utf-8")
    study = malformed.toml({**malformed.NETWORK, "target": {"checkpoint": "../net"}})
    (tmp_path / "study.toml").write_text(study, encoding="utf-8")
    return folder


def typed(here: Path, module: str, *flags: str, weights: str = "model.safetensors") -> contained.Answer:
    """The study of a network that this callable makes."""
    networks.written(here.parent / "net", network={"module": module, "weights": weights})
    return contained.typed(here, "study", "../study.toml", "--json", *flags)


@pytest.mark.tried("code that a file names")
@pytest.mark.parametrize("flags", [[], ["--allow-pickle"], ["--hub", "--large"]])
def test_no_code_runs_without_consent(flags: list[str], here: Path) -> None:
    """Assert that the flag is named, and that the module was not even imported."""
    answer = typed(here, "evil:net", *flags)
    assert answer.code == 2
    assert "--allow-code" in answer.err
    assert [path.name for path in here.iterdir()] == ["evil.py"]


@pytest.mark.tried("code that a file names")
@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("sys:exit", "SystemExit"),
        ("builtins:exit", "SystemExit"),
        ("builtins:breakpoint", "code 1 and no answer"),
        ("os:abort", "signal 6"),
        ("os:getpid", "it returns int"),
        ("nowhere:net", "ModuleNotFoundError"),
        ("forever:net", "not finished in 0.5 seconds"),
        ("quits:net", "code 0 and no answer"),
    ],
)
def test_what_ends_a_process_is_a_line(module: str, said: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that with consent, too, a callable that makes no network is refused, and this process goes on."""
    monkeypatch.setattr(modules, "probe", partial(modules.probe, seconds=0.5 if "forever" in module else 30))
    (here / "forever.py").write_text("def net():\n    while True:\n        pass\n", encoding="utf-8")
    (here / "quits.py").write_text("def net():\n    import os\n    os._exit(0)\n", encoding="utf-8")
    answer = typed(here, module, "--allow-code")
    assert answer.code == 2
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert not (here / "results").exists()


@pytest.mark.slow
def test_code_runs_with_consent(here: Path) -> None:
    """Assert that the module is looked over in a process of its own, made here, and refused for what it is."""
    answer = typed(here, "evil:net", "--allow-code")
    assert (here / "ran").exists()
    assert answer.code == 2
    assert "it has no size" in answer.err


@pytest.mark.tried("files of weights")
def test_an_archive_that_grows_is_not_unpacked(here: Path) -> None:
    """Assert that sizes in its directory are looked at first, and that --allow-code allows pickles."""
    net = networks.written(here.parent / "net")
    torch.save({"size": torch.ones(())}, net / "model.pt")
    with zipfile.ZipFile(net / "model.pt") as archive:
        assert sum(entry.file_size for entry in archive.infolist()) <= (net / "model.pt").stat().st_size
    with zipfile.ZipFile(net / "model.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(2**24))
    refused = typed(here, "evil:net", weights="model.pt")
    assert "--allow-code" in refused.err
    answer = typed(here, "evil:net", "--allow-code", weights="model.pt")
    assert answer.code == 2
    assert "unpacked these would be 16.8 MB" in answer.err


@pytest.mark.tried("files of weights")
@pytest.mark.parametrize("name", ["model.safetensors", "checkpoint.toml"])
@pytest.mark.parametrize("made", ["pipe", "device"])
def test_a_file_without_an_end_is_not_opened(name: str, made: str, here: Path) -> None:
    """Assert that a pipe and a device in place of a file of a checkpoint are refused at once."""
    net = networks.written(here.parent / "net")
    (net / name).unlink()
    os.mkfifo(net / name) if made == "pipe" else (net / name).symlink_to("/dev/zero")
    answer = contained.typed(here, "study", "../study.toml", "--allow-code")
    assert answer.code == 2
    assert "a device, a pipe or a socket" in answer.err or "a file in the same folder" in answer.err


def test_a_fault_of_ours_is_said_to_be_one(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert exit code 3, one line, and a report that only this user reads; a lack of memory is none."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    def broken(_name: str) -> None:
        raise IndexError("a\nb" * 1000)

    monkeypatch.setattr("samplerproof.book.bibtex.cite", broken)
    answer = contained.typed(here, "cite", "ddim")
    (report,) = tmp_path.glob("samplerproof-fault-*.txt")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err.count("\n") == 1
    assert "this is a fault of samplerproof" in answer.err
    assert str(report) in answer.err
    text = report.read_text(encoding="utf-8")
    assert "IndexError" in text
    assert "command: 'samplerproof' 'cite' 'ddim'" in text
    assert report.stat().st_mode & 0o077 == 0

    def full(_name: str) -> None:
        raise MemoryError

    monkeypatch.setattr("samplerproof.book.bibtex.cite", full)
    answer = contained.typed(here, "cite", "ddim")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "memory" in answer.err


HOSTILE = "ValueError: <script>alert(1)</script> | `x` [a](b) **c** $d$ &lt; {e}\n## f"


@pytest.mark.tried("text of others in pages")
def test_text_of_others_is_text_in_every_page() -> None:
    """Assert that Markdown renders what was written, in a cell and outside, as words and as code."""
    render = MARKDOWN.render
    shown = HOSTILE.replace("\n", " ").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert render(plain(HOSTILE)) == f"<p>{shown}</p>\n"
    assert render(code(HOSTILE)) == f"<p><code>{shown}</code></p>\n"
    cells = render(table(("a", "b"), [(plain(HOSTILE), code(HOSTILE))]))
    assert f"<td>{shown}</td>\n<td><code>{shown}</code></td>" in cells
    assert cells.count("<td>") == 2
    assert "&lt;script&gt;\n```\n" in render(fenced("<script>\n```\n", "diff"))
    assert all(f"<code>{text}</code>" in render(code(text)) for text in ("a``b", "a"))


def foreign(value: Any) -> Any:
    """An answer whose every text is another's, but for words of ours that pages look up."""
    if isinstance(value, dict):
        return {key: value[key] if key in ("step", "commit") else foreign(value[key]) for key in value}
    if isinstance(value, list):
        return [foreign(entry) for entry in value]
    return HOSTILE if isinstance(value, str) else value


def marks(text: str) -> set[str]:
    """What a page has that is more than words, headings, lists and tables."""
    tokens = [token for block in MARKDOWN.parse(text) for token in (block, *(block.children or ()))]
    return {token.type for token in tokens} & {"html_inline", "html_block", "link_open", "image"}


@pytest.mark.tried("text of others in pages")
def test_text_of_others_is_text_in_the_pages_of_verification() -> None:
    """Assert it of every text in the answer, and that a page without escapes would be seen to have marks."""
    assert marks(HOSTILE) == {"html_inline", "link_open"}
    whole = verification_results.answer()
    records = [foreign({**entry, "matches": ["x"], "reference": "y"}) for entry in whole["records"][:2]]
    alone = [foreign({**entry, "matches": [], "reference": None}) for entry in whole["records"][:2]]
    versions = {HOSTILE: HOSTILE}
    found = [foreign(entry) | {"versions": versions} for entry in whole["discrepancies"]]
    answer = {
        "records": [record | {"versions": versions} for record in (*records, *alone)],
        "discrepancies": [entry for entry in found if entry["repair"]][:1] + found[:1],
        "manifest": whole["manifest"],
    }
    ours = marks(verification_tables.discrepancies({**answer, "discrepancies": []}))  # of the corrections alone
    for text, own in ((verification_tables.overview(answer), set()), (verification_tables.discrepancies(answer), ours)):
        assert marks(text) <= own
        shown = MARKDOWN.render(text)
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
        assert "<h2>f" not in shown
    shown = table(("",) * 6, [_verified(resolve("ddim"), {**record, "matches": ["ddim"]}) for record in records])
    assert marks(shown) == set()
    assert "&lt;script&gt;" in MARKDOWN.render(shown)


class _Tags(HTMLParser):
    """The tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)


@pytest.mark.tried("text of others in pages")
def test_text_of_others_is_text_in_the_page_of_a_verdict() -> None:
    """Assert it of every text that a target can have put there."""
    step = Step(1, 0.5, 0.5, HOSTILE, 1.0, 2.0, 1e-14, 1e-14, (HOSTILE,))
    settings = [Setting(HOSTILE, HOSTILE, ()), Setting(HOSTILE, None, (Trouble(HOSTILE, (5,), HOSTILE),))]
    verdict = Verdict(
        **{"target": HOSTILE, "verdict": "error", "matches": [HOSTILE], "reference": HOSTILE},
        **{"findings": [Finding("exception", None, HOSTILE)], "steps": [step], "sweep": settings},
        **{"versions": {HOSTILE: HOSTILE}, "coverage": [HOSTILE]},
    )
    tags = _Tags()
    text = verdict_page.page(verdict)
    tags.feed(text)
    assert "script" not in tags.found
    assert text.count("&lt;script&gt;") >= 12
