"""The page that compares samplers: every kept error is on it, its answers are minima, and a browser draws it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from samplerproof.book.pages.comparison_page import BUDGETS, comparison
from samplerproof.book.records import method_results, network_results, study_results
from samplerproof.numerics.catalogue import METHODS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def entry(method: str, nfe: int, value: float | None, kind: str = "exact", predicted: float | None = None) -> Any:
    return {"kind": kind, "method": method, "nfe": nfe, "value": value, "predicted": predicted}


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    """The page from the kept records."""
    kept = method_results.answers()["convergence"]
    return comparison(kept, study_results.signed_results(), network_results.answer())


def data(html: str) -> Any:
    (text,) = re.findall(r'id="compare-data">(.*)</script>', html)
    return json.loads(text)


def test_every_kept_error_is_on_the_page(made: dict[str, str]) -> None:
    """Assert the number of points of each kind, to four digits, and a page for every sampler."""
    settings = {(s["target"], s["grid"]): s for s in data(made["comparison.html"])["settings"]}
    kept = [e for e in method_results.answers()["convergence"] if e["value"]]
    exact = settings["the mixture on the line, from exact start values", "uniform-lambda"]["series"]
    assert sum(map(len, exact.values())) == sum(e["kind"] == "exact" for e in kept)
    for e in kept:
        if e["kind"] == "exact":
            point = next(p for p in exact[e["method"]] if p[0] == e["nfe"])
            assert point[1] == pytest.approx(e["value"], rel=1e-3)
    assert {s["grid"] for s in settings.values()} >= {"uniform-lambda", "karras rho=3", "karras rho=7"}
    assert {name for s in settings.values() for name in s["series"]} <= {*METHODS}
    assert {t for t, _ in settings} >= {"the network rings", "the network digits", "the network photos"}


def test_the_answer_is_the_least_error_within_the_budget() -> None:
    """Assert it on three samplers, of which one is best at 10, another at 20, and a third only beyond."""
    entries = [entry("ddim", 10, 0.1), entry("ddim", 20, 0.05), entry("dpm-solver++-2m", 10, 0.2)]
    entries += [
        entry("dpm-solver++-2m", 20, 0.01),
        entry("ddim", 40, 0.02),
        entry("edm-heun", 64, 1e-9),
        entry("edm-heun", 8, None),
    ]
    page = comparison(entries, {"rows": []}, {"costs": []})["comparison.md"]
    (row,) = [line for line in page.splitlines() if line.startswith("| the mixture on the line, from exact")]
    won = re.findall(r"\[`([^`]+)`\]\(methods/[^)]+\) ([\d.e-]+)", row)
    assert won == [("ddim", "0.1"), ("dpm-solver++-2m", "0.01"), ("dpm-solver++-2m", "0.01")]
    assert len(won) == len(BUDGETS)
    (short,) = [line for line in page.splitlines() if line.startswith("| the mixture on the line |")]
    assert re.findall(r"\) ([\d.e-]+)", short) == ["0.1", "0.05", "0.02"]  # dpm-solver++-2m has a start-up
    assert "- | - | - |" in next(line for line in page.splitlines() if line.startswith("| one Gaussian"))


def test_text_of_a_record_cannot_end_the_script() -> None:
    """Assert that the data stays one element, whatever stands in it."""
    rows = [{"start": "ramp", "dim": 1, "grid": "</script><b>", "method": "ddim", "nfe": 5, "measured": 1.0}]
    html = comparison([], {"rows": rows}, {"costs": []})["comparison.html"]
    assert html.count("</script>") == 2
    assert data(html)["settings"][-1]["grid"] == "</script><b>"


def document(made: dict[str, str], folder: Path) -> Path:
    path = folder / "page.html"
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Compare</title><body>'
    path.write_text(f"{head}{made['comparison.html']}</body></html>", encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_browser_draws_what_the_address_chooses(made: dict[str, str], tmp_path: Path) -> None:
    """Assert points, predicted lines, rows and the answer in words, at two widths, without an error in the console."""
    page = document(made, tmp_path)
    target = "the%20mixture%20on%20the%20line%2C%20from%20exact%20start%20values"
    address = f"file://{page}#target={target}&methods=ddim,dpm-solver%2B%2B-2m"
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--enable-logging=stderr")
    series = next(s for s in data(made["comparison.html"])["settings"] if "exact" in s["target"])["series"]
    for width in (1280, 420):
        command = [str(CHROMIUM), *flags, f"--window-size={width},900", "--dump-dom", address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert "CONSOLE" not in done.stderr, done.stderr
        drawn = done.stdout.partition('id="compare-picture"')[2]
        marks = re.findall(r"<title>([^<]+): ", drawn)
        assert len(marks) == len(series["ddim"]) + len(series["dpm-solver++-2m"])
        assert {*marks} == {"ddim", "dpm-solver++-2m"}
        assert drawn.count('stroke-dasharray="none"') == 2
        assert '<th scope="row">' in drawn
        assert "2 samplers on the mixture on the line" in done.stdout
        assert "With at most 50 evaluations the least error is" in done.stdout
