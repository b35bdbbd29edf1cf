"""The front door: `import samplerproof as sp` is light, small, documented, and enough for a user's own sampler."""

from __future__ import annotations

import ast
import doctest
import inspect
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
import torch
from matplotlib.figure import Figure
from shapes import by_shape

import samplerproof as sp
from samplerproof.book.pages.api_page import RETURNED, api_page
from samplerproof.cli.main import app
from samplerproof.plain_formula import plain_formula
from samplerproof.theory.latex import latex
from samplerproof.theory.methods import find

ROOT = Path(__file__).resolve().parents[1]
MOST = 30  # exported names
NAMES = [name for name in sp.__all__ if name != "__version__"]
FUNCTIONS = [name for name in NAMES if inspect.isfunction(getattr(sp, name))]


def cpu_seconds(program: str) -> tuple[float, str]:
    """CPU seconds and output of a program in a new process, the best of three runs."""
    found, output = [], ""
    for _ in range(3):
        begin = os.times()
        output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        end = os.times()
        found.append(end.children_user + end.children_system - begin.children_user - begin.children_system)
    return min(found), output


def test_the_import_is_light() -> None:
    """Assert that the import costs less than 0.1 s of CPU beyond Python's own start, and loads nothing heavy."""
    heavy = "{'torch', 'sympy', 'numpy', 'scipy', 'matplotlib', 'pydantic', 'rich', 'typer'}"
    bare, _ = cpu_seconds("pass")
    seconds, loaded = cpu_seconds(f"import samplerproof, sys; print(*({heavy} & set(sys.modules)))")
    assert loaded.strip() == ""
    assert seconds - bare < 0.1


def test_the_surface_is_small_and_every_name_loads() -> None:
    """Assert that `__all__` has at most thirty names, that all load and appear in `dir`, and that three are modules."""
    assert len(sp.__all__) == len(set(sp.__all__)) <= MOST
    assert set(sp.__all__) <= set(dir(sp))
    assert sp.__version__ == sp.__dict__["__version__"]  # loaded once
    assert [name for name in NAMES if isinstance(getattr(sp, name), ModuleType)] == ["metrics", "techniques", "testing"]
    with pytest.raises(AttributeError, match="no attribute 'metod'"):
        _ = sp.metod  # type: ignore[attr-defined]


def test_type_checkers_see_what_is_loaded() -> None:
    """Assert that the imports that mypy reads name the same objects as those that are loaded lazily."""
    tree = ast.parse((ROOT / "samplerproof" / "__init__.py").read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {}
    for node in block.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                module = node.module or ""
                seen[alias.asname or alias.name] = (module, alias.name)
    loaded = {name: (module, inner) for name, (module, inner) in sp._HOMES.items() if inner is not None}
    for name, (module, inner) in sp._HOMES.items():
        if inner is None:
            package, _, last = module.rpartition(".")
            loaded[name] = (package, last)
    assert seen == loaded
    assert sorted([*seen, "__version__"]) == sorted(sp.__all__)


LONG = ("advise", "design")  # whose examples take ten seconds each


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in NAMES])
def test_every_name_is_documented_and_its_examples_run(name: str) -> None:
    """Assert that a public name has a docstring with an example, and that every example prints what it says."""
    item = getattr(sp, name)
    text = inspect.getdoc(item)
    assert text
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    tests = [test for test in doctest.DocTestFinder(recurse=False).find(item, name) if test.examples]
    assert tests
    for test in tests:
        runner.run(test)
    assert runner.failures == 0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_documented_in_full(name: str) -> None:
    """Assert that a function's docstring names every parameter and what is raised."""
    item = getattr(sp, name)
    text = inspect.getdoc(item) or ""
    missing = [p for p in inspect.signature(item).parameters if p not in text]
    assert missing == []
    assert "Raises" in text or not inspect.signature(item).parameters


def test_the_page_of_the_book_lists_the_whole_surface(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that every public name has a section with its signature and examples, and a missing name is an error."""
    page = api_page()["api.md"]
    sections = dict(re.findall(r"^### sp\.([\w\\]+)\n(.*?)(?=^\(api-|^## |\Z)", page, flags=re.M | re.S))
    assert sorted(name.replace("\\", "") for name in sections) == sorted(NAMES)
    assert all(">>> import samplerproof as sp" in text for text in sections.values())
    assert all(f"```python\nsp.{name}(" in sections[name.replace("_", r"\_")] for name in FUNCTIONS)
    labels = re.findall(r"^\(([\w-]+)\)=$", page, flags=re.M)
    assert len(labels) == len(set(labels)) == len(NAMES) + len(RETURNED)
    assert set(labels[: len(NAMES)]) == set(re.findall(r"\]\((api-[\w-]+)\)", page))
    monkeypatch.setattr(sp, "__all__", [*sp.__all__, "planted"])
    with pytest.raises(ValueError, match="planted"):
        api_page()


def test_ten_lines_of_a_users_own() -> None:
    """Assert that a mixture, 2M, the exact flow, an error, a proof and a read-back need no other import."""

    def my_2m(denoise, x, sigmas):  # type: ignore[no-untyped-def]
        old, before = None, None
        for s, t in pairwise(sigmas):
            d, h = denoise(x, s), (s / t).log()
            x = t / s * x + (1 - t / s) * (d if old is None else d + h / before / 2 * (d - old))
            old, before = d, h
        return x

    mixture = sp.GaussianMixture(weights=[0.35, 0.65], means=[-1.2, 0.9], stds=[0.5, 0.35])
    grid = sp.grid(sp.schedule("vp-linear"), "uniform-lambda", 50, t_min=1e-3, t_max=1.0)
    x = mixture.sample(4000, grid.points[0], torch.Generator().manual_seed(0))
    y = sp.sample(mixture, x, sp.tabulate("dpm-solver++-2m", grid))
    exact, _ = sp.exact_flow(mixture, x, grid.points[0], grid.points[-1])
    error = sp.metrics.trajectory(y, exact)
    leading = sp.predict_error("dpm-solver++-2m", mixture, grid).at("trajectory", 50)
    assert leading is not None
    assert abs(error / leading - 1) < 0.1
    assert sp.method("dpm-solver++-2m").prove().order == 2
    table = sp.read_back(my_2m, grid)
    assert table.isclose(sp.tabulate("dpm-solver++-2m", grid))
    assert not table.isclose(sp.tabulate("exp-adams-2", grid))
    assert sp.verify(my_2m, "dpm-solver++-2m", steps=10, zero=False).exit_code == 0


def test_a_study_takes_a_function_and_draws(tmp_path: Path) -> None:
    """Assert that a function stands beside methods in a study, in table and figure, as it does in a dict."""

    def euler(denoise, x, sigmas):  # type: ignore[no-untyped-def]
        for s, t in pairwise(sigmas):
            x = x + (t - s) / s * (x - denoise(x, s))
        return x

    target = {"weights": [0.35, 0.65], "means": [-1.2, 0.9], "stds": [0.5, 0.35]}
    grid = {"kind": "uniform-lambda", "t_min": 1e-3, "t_max": 1.0}
    result = sp.study(
        target=sp.GaussianMixture(**target),
        schedule="vp-linear",
        grid=grid,
        methods=[sp.method("ddim"), euler],
        steps=[10, 20, 40],
        metrics=["tv"],
        points=301,
        out=tmp_path / "out",
    )
    assert [fit["method"] for fit in result.fits] == ["ddim", "euler"]
    values = {name: [r["value"] for r in result.records if r["method"] == name] for name in ("ddim", "euler")}
    assert values["euler"] == pytest.approx(values["ddim"], rel=1e-9)
    assert (tmp_path / "out" / "convergence-tv.svg").exists()
    assert [line.split()[0] for line in str(result).splitlines()[:4]] == ["tv", "method", "ddim", "euler"]
    assert isinstance(result.plot("tv"), Figure)
    tables = {"target": target, "schedule": {"kind": "vp-linear"}, "grid": grid}
    run = {"methods": [euler], "steps": [10], "metrics": ["tv"], "points": 301}
    again = sp.study({**tables, "run": run})
    assert again.records[0]["value"] == values["euler"][0]


def test_a_study_refuses_two_samplers_of_one_name() -> None:
    """Assert that two functions cannot stand under one name, and that a file of verifications is no study."""
    settings = {"target": {}, "schedule": {}, "run": {"methods": [lambda: 0, lambda: 1]}}
    with pytest.raises(sp.InputError, match=r"run.methods\[1\]: got '<lambda>'; one sampler of this name"):
        sp.study(settings)
    with pytest.raises(sp.InputError, match=r"verified by sp\.verify"):
        sp.study(ROOT / "book" / "verification.toml")


def test_the_example_measures_what_is_proved(capsys: pytest.CaptureFixture[str]) -> None:
    """Assert that example.py prints exponents within 0.1 of the proved orders, in 25 lines."""
    file = ROOT / "example.py"
    runpy.run_path(str(file), run_name="__main__")
    lines = [line.replace(",", "").split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["ddim:", "dpm-solver++-2m:"]
    for order, line in enumerate(lines, start=1):
        assert int(line[2]) == order
        assert abs(float(line[5]) - order) < 0.1
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 25


def test_the_readme_is_short_and_what_it_shows_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Assert that README opens with example.py, that its other code runs, and that its commands and links exist."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 150
    example, own = re.findall(r"^```python\n(.*?)^```", readme, flags=re.M | re.S)
    assert example.strip() == (ROOT / "example.py").read_text(encoding="utf-8").split('"""\n', 1)[1].strip()
    monkeypatch.chdir(ROOT)
    exec(own, {"__name__": "__main__"})
    printed = capsys.readouterr().out
    assert "8 evaluations" in printed
    assert re.search(r"^mine .* 2 N .* 2\.\d+ +(?:settled|turning)", printed, flags=re.M)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(f"\n{rule}:" in makefile for rule in re.findall(r"^    make ([\w-]+)", readme, flags=re.M))
    commands = {info.name or info.callback.__name__ for info in app.registered_commands if info.callback}
    assert set(re.findall(r"^    samplerproof ([\w-]+)", readme, flags=re.M)) == commands
    links = re.findall(r"\]\(([^)#]+)\)", readme)
    assert [link for link in links if not link.startswith("http") and not (ROOT / link).exists()] == []


@pytest.mark.parametrize("name", by_shape(sp.methods()))
def test_a_method_prints_its_formula(name: str) -> None:
    """Assert that no LaTeX is left in a formula, that brackets close, and that lines are those of the LaTeX."""
    source = latex(find(name))
    lines = plain_formula(source)
    text = "\n".join(lines)
    assert not set("\\{}&$") & set(text)
    assert all(text.count(a) == text.count(b) for a, b in ("()", "[]", "⁽⁾"))
    assert len(lines) == source.count("&=")
    assert all(line.count(" = ") == 1 for line in lines)
    printed = str(sp.method(name))
    assert printed.splitlines()[0] == name
    assert all(line in printed for line in lines)


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        (r"x_{n+1} &= \frac{\sigma_{n+1}}{\sigma_{n}} x_n", "x[n+1] = σ[n+1]/σ[n] x[n]"),
        (r"W_{0} &= - \frac{a + \left(b - c\right)}{2 r_{1}}", "W0 = -(a + (b - c))/(2 r1)"),
        (r"W_{0} &= \frac{h \left(a + b\right)}{2}", "W0 = h (a + b)/2"),
        (r"x^{(1)}_{n+1} &= \hat x_0(\tilde x_{n-1})", "x⁽¹⁾[n+1] = x̂0(x̃[n-1])"),
        (r"\left(1 - e^{- 2 h \tau^{2}}\right) -\alpha", "(1 - e^(-2 h τ²)) - α"),
        (r"\sqrt{1 - a}\, z_{1}", "√(1 - a) z1"),
    ],
)
def test_latex_becomes_plain_text(source: str, plain: str) -> None:
    """Assert that fractions, powers, indices and signs read as a person writes them."""
    assert plain_formula(f"\\begin{{aligned}}\n{source}.\n\\end{{aligned}}") == [plain]


GRID = sp.Grid.from_sigmas([3.0, 1.0, 0.3])
MIXTURE = sp.GaussianMixture([0.5, 0.5], [-1.0, 1.0], stds=[0.1, 0.1])
START, TABLE = torch.zeros(2, 1), sp.tabulate("ddim", GRID)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sp.method(None), "method: got None; the name of a method, a string"),
        (lambda: sp.tabulate(sp.method("ddim"), GRID), "method: got method('ddim'); the name of a method, a string"),
        (lambda: sp.schedule(None), "schedule.kind: got None; the name of a schedule: vp-linear, "),
        (lambda: sp.schedule("vp"), "schedule.kind: got 'vp'; not a known schedule; nearest: vp-linear"),
        (lambda: sp.schedule("ve", sigma_min="a"), "schedule.sigma_min: got 'a'; a number > 0"),
        (lambda: sp.grid("edm", "karras", 4), "schedule: got 'edm'; a schedule, such as sp.schedule("),
        (lambda: sp.grid(sp.schedule("edm"), None, 4), "grid.kind: got None; the name of a kind"),
        (lambda: sp.grid(sp.schedule("edm"), "karras", 2.5), "steps: got 2.5; a whole number"),
        (lambda: sp.grid(sp.schedule("edm"), "karras", True), "steps: got True; a whole number"),
        (
            lambda: sp.grid(sp.schedule("edm"), "list", 2, sigmas=[3, "a", 1]),
            "grid.sigmas[1]: got 'a'; a finite number",
        ),
        (lambda: sp.schedule("edm").columns(0.5), "t: got 0.5; a tensor of times; point(t) takes a number"),
        (lambda: sp.schedule("edm").point("a"), "t: got 'a'; a number"),
        (lambda: sp.Grid([3, 2, 1]), "grid: got [3, 2, 1]; columns; Grid.from_sigmas makes"),
        (lambda: sp.Grid.from_sigmas(None), "sigmas: got None; a list of numbers"),
        (lambda: sp.Grid.from_sigmas([]), "sigmas: got []; at least two levels"),
        (lambda: sp.tabulate("ddim", [3, 2, 1]), "grid: got [3, 2, 1]; a grid, as sp.grid"),
        (lambda: sp.sample(MIXTURE, START, "ddim"), "tableau: got 'ddim'; a table, as sp.tabulate"),
        (lambda: sp.sample(None, START, TABLE), "denoise: got None; a function (x, at, prediction)"),
        (lambda: sp.sample(MIXTURE, [[1.0]], TABLE), "start[0]: got [1.0]; a tensor"),
        (lambda: sp.seeded("a"), "seed: got 'a'; a whole number"),
        (lambda: sp.exact_flow(None, START, *GRID.points[:2]), "mixture: got None; a GaussianMixture"),
        (lambda: sp.exact_flow(MIXTURE, START, 3.0, 1.0), "at: got 3.0; a point of a process"),
        (lambda: MIXTURE.sample(0, GRID.points[0], torch.Generator()), "n: got 0; at least 1"),
        (lambda: MIXTURE.sample(1, GRID.points[0], 0), "generator: got 0; a generator"),
        (lambda: sp.metrics.trajectory(START, None), "reference: got None; a tensor [n, d]"),
        (lambda: sp.predict_error("ddim", GRID, MIXTURE), "mixture: got Grid("),
        (lambda: sp.adapt(None, "noise"), "network: got None; a function (x, at)"),
        (lambda: sp.adapt(lambda x, at: x, None), "prediction: got None; one of "),
        (lambda: sp.guided(MIXTURE, MIXTURE, "3"), "scale: got '3'; a finite number"),
        (lambda: sp.thresholded(MIXTURE, "a"), "quantile: got 'a'; a number in [0, 1]"),
        (lambda: sp.read_back("ddim", GRID), "sampler: got 'builtins:str'; a function (denoise, x, sigmas) -> x"),
        (lambda: sp.read_back(lambda denoise, x, sigmas: x, None), "grid: got None; a grid"),
        (lambda: sp.verify(None), "target: got None; a function (denoise, x, sigmas) -> x, a scheduler"),
        (lambda: sp.verify(lambda denoise, x, sigmas: x, steps=0), "steps: got 0; a number from 1"),
        (
            lambda: sp.load_checkpoint(None),
            "checkpoint: got None; a folder, or one of digits, digits-small, photos, rings",
        ),
        (lambda: sp.study(3), "source: got 3; the path of a TOML file, or a dict"),
    ],
)
def test_a_value_of_another_type_is_answered_in_one_line(call: Callable[[], object], message: str) -> None:
    """Assert that what a newcomer may pass by mistake is named with its field and what is allowed."""
    with pytest.raises(sp.InputError) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_results_print_what_they_found() -> None:
    """Assert that a verdict prints its findings, a leading error its constants, and a checkpoint one line."""

    def wrong(denoise, x, sigmas):  # type: ignore[no-untyped-def]
        for s, t in pairwise(sigmas):
            x = x + 1.01 * (t - s) / s * (x - denoise(x, s))
        return x

    verdict = sp.verify(wrong, steps=4)
    assert str(verdict).splitlines()[0] == repr(verdict)
    assert "the next starts at" in str(verdict)
    grid = sp.grid(sp.schedule("vp-linear"), "uniform-lambda", 100, t_min=1e-3, t_max=1.0)
    lines = str(sp.predict_error("ddim", MIXTURE, grid)).splitlines()
    assert [line.split()[0] for line in lines] == ["tv", "kl", "w2", "trajectory"]
    assert [line.split("/ ")[1] for line in lines] == ["N^1", "N^2", "N^1", "N^1"]
    assert repr(sp.load_checkpoint("rings")) == "Checkpoint('rings', v prediction, [2], lambda -6.27639 to 8.72361)"
