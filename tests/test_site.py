"""The built book: every link leads somewhere, nothing comes from a network, and a browser shows it without complaint.

Built by `make book`; without a build these tests are skipped, and without Chromium those that need it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

SITE = Path(__file__).resolve().parents[1] / "_build" / "html"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPENED = [
    *("index.html", "methods.html", "methods/dpm-solver-pp-2m.html", "glossary.html"),
    *("chapters/what_a_sampler_is.html", "chapters/exponential_integrators.html"),
]
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND"),
    *("--virtual-time-budget=20000", "--window-size=1280,1000", "--enable-logging=stderr", "--dump-dom"),
]

# What the theme tells the console itself: its font of icons, preloaded, is not allowed from a file, nor needed there.
OF_THE_THEME = ("fontawesome", "[togglebutton]", "[PST]", "theme mode")

pytestmark = pytest.mark.skipif(not (SITE / "index.html").exists(), reason="no built book: `make book` builds it")


class Page(HTMLParser):
    """The links, the anchors, and what a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and "href" in given and given.get("rel") not in ("search", "index", "next", "prev"):
            self.loads.append(given["href"])
        elif "src" in given:
            self.loads.append(given["src"])


@cache
def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def is_remote(target: str) -> bool:
    return re.match(r"(\w+:)?//|\w+:", target) is not None


def test_every_internal_link_leads_somewhere_and_nothing_is_fetched() -> None:
    broken, fetched = [], []
    pages = sorted(path for path in SITE.rglob("*.html") if "_static" not in path.parts)
    for path in pages:
        page = read(path)
        fetched += [(path.name, target) for target in page.loads if is_remote(target) and target[:5] != "data:"]
        for target in {*page.links, *page.loads}:
            file, anchor = urldefrag(target)
            if is_remote(target):
                continue
            where = (path.parent / unquote(file.partition("?")[0])).resolve() if file else path
            known = where.exists() and (not anchor or where.suffix != ".html" or anchor in read(where).anchors)
            if not known:
                broken.append((path.name, target))
    assert (broken, fetched) == ([], [])


def opened(address: str, profile: Path) -> subprocess.CompletedProcess[str]:
    """The page as a browser has it once its scripts have run, and what it said."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
@pytest.mark.parametrize("name", OPENED)
def test_a_browser_renders_the_mathematics_and_does_not_complain(name: str, tmp_path: Path) -> None:
    done = opened((SITE / name).as_uri(), tmp_path)
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert [line for line in said if not any(word in line for word in OF_THE_THEME)] == []
    formulas = len(re.findall(r'class="math notranslate', done.stdout))
    rendered = len(re.findall(r"<mjx-container", done.stdout))
    assert formulas > 0 or name == "methods.html"
    assert rendered >= formulas
    assert "data-mjx-error" not in done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
@pytest.mark.parametrize(
    ("words", "page"), [("unipc-2", "methods/unipc-2.html"), ("dpm-solver%2B%2B-2m", "methods/dpm-solver-pp-2m.html")]
)
def test_the_search_finds_a_sampler(words: str, page: str, tmp_path: Path) -> None:
    found = opened(f"{(SITE / 'search.html').as_uri()}?q={words}", tmp_path).stdout
    (results,) = re.findall(r'<ul class="search".*?</ul>', found, flags=re.S)
    first = re.search(r'href="([^"?#]*)', results)
    assert first is not None
    assert first[1] == page


def test_every_image_is_said_in_words() -> None:
    """Assert that no image is left with the name of its file, or with nothing, as its description."""
    unsaid = []
    for path in sorted(p for p in SITE.rglob("*.html") if "_static" not in p.parts):
        for image in re.findall(r"<img [^>]*>", path.read_text(encoding="utf-8")):
            said = re.search(r'alt="([^"]*)"', image)
            if said is None or len(said[1].split()) < 3:
                unsaid.append((path.name, image))
    assert unsaid == []
