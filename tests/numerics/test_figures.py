"""Figures: no label over a line, one style per method, labels and status, bounds above what they bound."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figure_geometry import outside, over_a_line, over_a_text
from matplotlib.figure import Figure
from matplotlib.markers import TICKDOWN, TICKLEFT

from samplerproof.book import study_page
from samplerproof.book.reproduce import reproduce
from samplerproof.numerics.catalogue import METHODS, resolve
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.studies.convergence_figure import draw, figure_of, styles_of, wrapped
from samplerproof.numerics.studies.figure_panel import UPPER_END, Curve, Panel, against_evaluations, bound_line, entries
from samplerproof.numerics.studies.study_figure import (
    EXACT_START,
    LEVELS,
    STEPS,
    draw_study,
    label_of,
    note_of,
    panels_of,
    plot_study,
)
from samplerproof.numerics.studies.style import COLOURS, MARKERS, STYLE, method_styles
from samplerproof.own_studies import StudyResult

LONG = ("unipc-2-vary-published", "sde-dpm-solver++-3m-published", "li-accelerated-sde-readme", "bdia-ddim?gamma=9/10")
MANY = ("ddim", "dpm-solver++-2m", "exp-adams-3", "edm-heun", "ddpm", "sa-solver-2", "seeds-2", "li-ddim", *LONG)


def answer(
    methods: tuple[str, ...] = ("ddim", "dpm-solver++-2m", "edm-heun"),
    steps: tuple[int, ...] = (10, 20, 40, 80),
    grids: tuple[str | None, ...] = ("karras?rho=7",),
    start: str = "ramp",
    **record: Any,
) -> dict[str, Any]:
    """The answer of a study in which the error of a method is its place in the list over N to its order."""
    records, fits = [], []
    for k, method in enumerate(methods, start=1):
        order = resolve(method).order if method.partition("?")[0] in METHODS else 1
        for grid in grids:
            name = {"method": method, "grid": grid, "metric": "tv"}
            for n in steps:
                value = k / n**order
                nfe = n * (1 + (method == "edm-heun"))
                known = {"predicted": None, "ratio": None, "low": None, "high": None}
                records.append({**name, "steps": n, "nfe": nfe, "value": value, **known, **record})
            proved = {"steady": order, "start_up": order, "free": order}
            fit = {"exponent": float(order), "status": "settled", "predicted": proved, "local_orders": []}
            without = dict.fromkeys(("low", "high", "reason", "unpredicted"))
            fits.append({**name, **fit, **without, "local_steps": []})
    run = {"metrics": ["tv"], "start": start}
    where = {"schedule": {"kind": "edm"}, "grid": {"kind": "karras"}, "versions": {}, "target": {}}
    return {"records": records, "fits": fits, "manifest": {"run": run, **where}}


FIGURES = {
    "three methods": lambda: plot_study(answer(), against="steps"),
    "many methods with long names": lambda: plot_study(answer(MANY), against="steps"),
    "evaluations": lambda: plot_study(answer(MANY), against="nfe"),
    "exact start values and levels": lambda: plot_study(answer(steps=(24, 49, 99), start="exact"), against="steps"),
    "intervals": lambda: plot_study(answer(low=-1.0, high=0.5, floor=0.2), against="steps"),
    "leading errors": lambda: plot_study(answer(predicted=0.05), against="steps"),
    "grids in one panel": lambda: plot_study(answer(grids=("karras?rho=7", "uniform-lambda")), against="steps"),
    "a grid a panel": lambda: plot_study(answer(MANY, grids=("karras?rho=7", "karras?rho=3"), start="exact")),
    "a long name": lambda: plot_study(answer(("ddim", "a_folder/" + "long_" * 20 + "name.py:f$x$"))),
}


@pytest.mark.parametrize(("steps", "few"), [((10, 20, 40, 80), False), ((10, 12), True)])
def test_every_tick_has_its_mark_and_its_line_of_the_grid(steps: tuple[int, ...], few: bool) -> None:
    """Assert it of powers of ten and of heights in 1, 2, 5; matplotlib's own lines of a tick are not drawn."""
    (axes,) = plot_study(answer(("ddim",) if few else MANY, steps=steps), against="steps").axes
    marks = {line.get_marker(): line for line in axes.lines}
    assert list(marks[TICKDOWN].get_xdata()) == list(axes.get_xticks())
    assert list(marks[TICKLEFT].get_ydata()) == list(axes.get_yticks())
    upright, level = (line for line in axes.lines if line.get_color() == STYLE["grid.color"])
    assert set(upright.get_xdata()) == set(axes.get_xticks())
    assert set(level.get_ydata()) == set(axes.get_yticks())
    assert all(label.get_text() for label in axes.get_yticklabels())
    assert not any(tick.gridline.get_visible() or tick.tick1line.get_visible() for tick in axes.yaxis.get_major_ticks())


FAST = ("many methods with long names", "leading errors", "a long name")
CASES = [pytest.param(name, marks=[] if name in FAST else [pytest.mark.slow]) for name in FIGURES]


@pytest.mark.parametrize("name", CASES)
def test_no_label_lies_over_a_line_or_over_another(name: str) -> None:
    """Assert by geometry that text boxes and lines are apart, and that all text is inside of the figure."""
    figure = FIGURES[name]()
    assert over_a_line(figure) == []
    assert over_a_text(figure) == []
    assert outside(figure) == []


def test_the_geometry_finds_a_label_over_a_line() -> None:
    """Assert that a text written onto a point of a curve is found, and a text onto a title."""
    figure = plot_study(answer(), against="steps")
    axes = figure.axes[0]
    axes.text(20, 1 / 20, "planted")
    axes.annotate("on the title", (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points")
    assert over_a_line(figure) == ["planted"]
    assert [pair for pair in over_a_text(figure) if "on the title" in pair]


def test_a_method_has_one_style_in_all_panels_of_a_run() -> None:
    """Assert different colours and markers within a panel, different pairs over a run, and none like a reference."""
    names = list(METHODS)
    panels = [names[k : k + 7] for k in range(0, 56, 5)]
    styles = method_styles(panels)
    assert method_styles(panels) == styles
    assert len(set(styles.values())) == len(styles)
    for panel in panels[:4]:
        assert len({styles[name].colour for name in panel}) == len(panel)
        assert len({styles[name].marker for name in panel}) == len(panel)
    everything = method_styles([names])
    assert len(set(everything.values())) == min(len(names), len(COLOURS) * len(MARKERS))
    figures = [plot_study(answer(), against=axis) for axis in ("nfe", "steps")]
    seen = [{str(line.get_label()): line.get_color() for line in figure.axes[0].lines} for figure in figures]
    shared = set(seen[0]) & {"ddim", "dpm-solver++-2m", "edm-heun"}
    assert len(shared) == 3
    assert all(seen[0][name] == seen[1][name] for name in shared)


def test_every_method_has_a_label_of_its_own() -> None:
    """Assert labels that differ, as people write them, with values of parameters behind them."""
    labels = [record.label for record in METHODS.values()]
    assert len(set(labels)) == len(labels)
    assert all(labels)
    assert label_of("k-diffusion:sample_dpmpp_2m") == "DPM-Solver++(2M)"
    assert label_of("bdia-ddim?gamma=0.9") == "BDIA-DDIM, gamma = 9/10"
    assert label_of("my_file.py:f") == "my_file.py:f"
    assert label_of("dpm-solver++-3m") == "Exponential Adams 3 (dpm-solver++-3m)"  # called by the name of another


def test_of_curves_with_the_same_points_both_are_seen() -> None:
    """Assert a smaller marker on a larger one and both names; beyond 2 % markers of one size and no remark."""
    for ratio, same in ((1.01, True), (0.97, False)):
        values = {"a": (1.0, 0.25), "b": (ratio, 0.25), "c": (1.0,)}
        curves = [Curve(name, name, (10, 20)[: len(of)], of) for name, of in values.items()]
        panel = Panel("p", "title", "N", "tv", curves)
        styles = styles_of([panel])
        figure = figure_of([panel], styles)
        sizes = {
            line.get_label(): line.get_markersize() for line in figure.axes[0].lines if line.get_marker() != "None"
        }
        assert (sizes["a"] > 1.5 * sizes["b"]) == same
        assert sizes["c"] == STYLE["lines.markersize"]
        names = [text for _, text in entries(panel, styles)]
        assert names[:3] == ["a", "b: same points as a" if same else "b", "c"]


def test_names_stand_in_columns_where_they_are_short() -> None:
    """Assert that they are filled one after another within the figure; long names are one below the other."""
    for more, few in ((" in a column", (2, 3)), (" that is as long as a column", (1,))):
        names = [name + more for name in "abcdef"]
        panel = Panel("p", "title", "N", "tv", [Curve(n, n, (10, 20), (k, k / 4)) for k, n in enumerate(names, 1)])
        figure = figure_of([panel], styles_of([panel]))
        at = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
        lefts, heights = ([at[name][axis] for name in names] for axis in (0, 1))
        assert len(set(lefts)) in few
        assert lefts == sorted(lefts)
        assert all((p[0] < q[0]) == (p[1] <= q[1]) for p, q in pairwise([*zip(lefts, heights, strict=True)]))
        assert outside(figure) == []


def test_an_external_sampler_has_the_name_that_was_typed() -> None:
    """Assert that a name which is the alias of a record has its own label, beside that record."""
    alias = "diffusers:DPMSolverMultistepScheduler"
    study = answer(("dpm-solver++-2m", alias))
    (panel,) = panels_of(study | {"external": [{"method": alias}]}, "tv", "steps")
    assert [curve.label for curve in panel.curves] == ["DPM-Solver++(2M)", alias]
    (panel,) = panels_of(study, "tv", "steps")
    assert [curve.label for curve in panel.curves] == ["DPM-Solver++(2M)"] * 2


def test_an_external_sampler_names_the_method_that_it_equals() -> None:
    """Assert the name behind the exponent where it is the same on all numbers of steps, and else none."""
    names = {"method": "my.py:f", "grid": "karras?rho=7"}
    both = answer(("dpm-solver++-2m", "my.py:f"))
    for last, text in (("dpm-solver++-2m", "1.00, settled; equals DPM-Solver++(2M)"), (None, "1.00, settled")):
        entries = [{**names, "equals": "dpm-solver++-2m"}, {**names, "equals": last}]
        (panel,) = panels_of(both | {"external": entries}, "tv", "steps")
        assert panel.curves[1].note == text
    ending = "dpm-solver++-2m (last steps of lower order)"
    (panel,) = panels_of(both | {"external": [{**names, "equals": ending}]}, "tv", "steps")
    assert panel.curves[1].note.endswith("equals DPM-Solver++(2M) (last steps of lower order)")
    one = answer(("my.py:f",), steps=(12,))
    for fit in one["fits"]:
        fit |= {"exponent": None, "status": "undefined", "reason": "fewer than three numbers of steps"}
    (panel,) = panels_of(one | {"external": [{**names, "equals": "ddim"}]}, "tv", "steps")
    assert (panel.curves[0].note, panel.numbers) == ("equals DDIM", "")


def test_points_without_a_line_have_a_panel_of_their_own() -> None:
    """Assert one panel for two grids where both have lines, and two where one of them has one number of steps."""
    both = answer(("ddim",), grids=("karras?rho=7", "list-10"))
    assert len(panels_of(both, "tv", "steps")) == 1
    both["records"] = [r for r in both["records"] if r["grid"] != "list-10" or r["steps"] == 10]
    assert [panel.title for panel in panels_of(both, "tv", "steps")] == ["edm, karras", "edm, list-10"]


def test_the_proved_slope_is_the_one_that_a_curve_has() -> None:
    """Assert for a start-up of lower order the slope nearest to the last local order, one a curve."""
    for local, slope in (([2.2, 2.1], 2), ([2.6, 2.8], 3), ([], 2)):
        study = answer(("exp-adams-3",))
        study["fits"][0] |= {"predicted": {"steady": 3, "start_up": 2, "free": 3}, "local_orders": local}
        (panel,) = panels_of(study, "tv", "steps")
        assert list(panel.slopes) == [(slope, 0)]


def test_a_sampler_that_does_not_converge_has_no_reference_slope() -> None:
    """Assert that its curve is drawn, without a line of slope 0 under it."""
    study = answer(("trajectory-consistency",))
    study["fits"][0] |= {"predicted": {"steady": 0, "start_up": 0, "free": 0}}
    (panel,) = panels_of(study, "tv", "steps")
    assert list(panel.slopes) == [(0, 0)]
    figure = figure_of([panel], styles_of([panel]))
    assert not [line for axes in figure.axes for line in axes.get_lines() if line.get_linestyle() == "--"]


def test_a_value_within_its_noise_is_drawn_as_its_upper_end() -> None:
    """Assert an arrow at the upper end of an interval that contains zero, for a negative value too, and that no line
    leads there; beside it a value above its noise as a point.
    """
    study = answer(("ddim",))
    records = study["records"]
    for record, low, high in zip(records, (0.05, 0.02, -0.01, -0.03), (0.2, 0.1, 0.06, 0.04), strict=True):
        record |= {"low": low, "high": high}
    records[-1]["value"] = -0.001
    figure = plot_study(study, against="steps")
    lines = figure.axes[0].lines
    ends = [tuple(map(float, line.get_xydata()[0])) for line in lines if line.get_marker() is UPPER_END]
    assert ends == [(40, 0.06), (80, 0.04)]
    (joined,) = (line for line in lines if line.get_linestyle() == "-" and len(line.get_xdata()) == len(records))
    assert np.isfinite(np.asarray(joined.get_ydata(), dtype=float)).tolist() == [True, True, False, False]
    assert "less than this, at 95 %: the interval contains 0" in [text.get_text() for text in figure.axes[0].texts]


def test_a_long_title_breaks_between_parameters() -> None:
    """Assert no line that ends within a name or a number, and the text without its line ends."""
    title = "edm, karras?sigma_min=0.03&sigma_max=14.6"
    lines = wrapped(title, 30).split("\n")
    assert lines == ["edm, karras?sigma_min=0.03&", "sigma_max=14.6"]
    assert wrapped(title, 60) == title


def test_a_name_is_broken_at_a_hyphen_only_where_it_is_longer_than_a_line() -> None:
    """Assert the line ends of a name that fits into a line, and of two that do not."""
    text = "2.26, still turning; equals DPM-Solver++(2M)"
    assert wrapped(text, 38, "  ").split("\n") == ["2.26, still turning; equals", "  DPM-Solver++(2M)"]
    assert wrapped("equals exp-adams-noise-3", 12).split("\n") == ["equals exp-", "adams-", "noise-3"]
    assert wrapped("own-sampler", 9, "  ").split("\n") == ["own-", "  sampler"]


def test_no_exponent_without_its_status() -> None:
    """Assert that a note has the exponent only beside its word, and the captions likewise."""
    assert note_of({"exponent": 1.004, "status": "settled"}) == "1.00, settled"
    assert note_of({"exponent": None, "status": "undefined"}) == "not defined"
    assert note_of({"exponent": 3.97, "status": "undefined"}) == "3.97, uncertain"
    assert note_of({"exponent": 1.004}) == ""
    on_li = {"exponent": 1.2, "compensated_exponent": 1.01, "log_power": 2, "status": "turning"}
    assert note_of(on_li) == "1.01, still turning"
    without = answer()
    for fit in without["fits"]:
        del fit["status"]
    (panel,) = panels_of(without, "tv", "steps")
    assert "Exponent" not in panel.caption
    assert panel.numbers == ""


def test_what_is_said_of_a_run_is_true_of_it() -> None:
    """Assert that exact start values and T = N + 1 are named where they are used, and not elsewhere."""
    (plain,), (exact,) = (panels_of(answer(start=start), "tv", "steps") for start in ("ramp", "exact"))
    assert (plain.subtitle, exact.subtitle) == ("", EXACT_START)
    (one_step,) = panels_of(answer(("ddim", "edm-heun"), start="exact"), "tv", "steps")
    assert one_step.subtitle == ""  # no history, no start values
    labels = [panels_of(answer(steps=steps), "tv", "steps")[0].xlabel for steps in ((10, 20), (24, 49), (24, 48))]
    assert labels == [STEPS, LEVELS, STEPS]


def test_evaluations_are_the_other_axis() -> None:
    """Assert that a method with two evaluations a step is drawn at them, without slopes of N."""
    (panel,) = panels_of(answer(), "tv", "nfe")
    assert {curve.method: tuple(curve.x) for curve in panel.curves}["edm-heun"] == (20, 40, 80, 160)
    assert panel.slopes == ()
    missing = Panel("p", "", STEPS, "", [Curve("ddim", "DDIM", [1, 2], [0.1, 0.2], nfe=[None, 4])])
    assert against_evaluations(missing, "q").curves[0].points == [(4, 0.2)]


def test_a_bound_is_never_below_what_it_bounds() -> None:
    """Assert that a bound holds at every point, and with equality at one: a smaller constant would not."""
    points = [(10, 0.5), (20, 0.1), (40, 0.09)]
    for power in (-2, -1, -0.5, 1):
        bound = bound_line(points, power)
        gaps = [height / value for (_, height), (_, value) in zip(bound, points, strict=True)]
        assert min(gaps) == pytest.approx(1)
        assert [height / bound[0][1] for _, height in bound] == pytest.approx([(x / 10) ** power for x, _ in points])


def test_a_study_with_nothing_to_draw_draws_nothing(tmp_path: Path) -> None:
    """Assert no file without a positive value, a method without one as such, and one line for bad arguments."""
    empty = answer(value=None, reason="not finite")
    assert draw_study(empty, tmp_path) == []
    assert list(tmp_path.iterdir()) == []
    some = answer()
    for record in some["records"]:
        record["value"] = None if record["method"] == "ddim" else record["value"]
    assert "DDIM: no value" in [text.get_text() for text in plot_study(some).axes[0].texts]
    for arguments, says in (({"metric": "kl"}, "metric: got 'kl'"), ({"against": "time"}, "against: got 'time'")):
        with pytest.raises(InputError, match=says):
            plot_study(some, **arguments)
    with pytest.raises(InputError, match="metric: got None"):
        plot_study(empty)


def test_the_files_are_the_same_each_time_and_without_a_date(tmp_path: Path) -> None:
    """Assert byte-equal files of two runs in all three formats."""
    panels = panels_of(answer(), "tv", "steps")
    first, second = (draw(panels, tmp_path / name, styles_of(panels)) for name in "ab")
    assert [path.suffix for path in first] == [".svg", ".png", ".pdf"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert not re.search(rb"dc:date|CreationDate", b"".join(path.read_bytes() for path in first))


def test_a_page_has_everything_and_loads_nothing() -> None:
    """Assert tables and figures in one page, its text escaped, its ids unique, nothing from a network."""
    named = answer(("ddim", "<b>&$.py:f"))
    named["manifest"]["versions"] = {"python": "3"}
    page = study_page.page(named, "<title>")
    assert "<b>" not in page
    assert page.count("<svg") == 2
    assert page.count("<figcaption>") == 2
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    used = re.findall(r'(?:href="#|url\(#)([^")]+)', page)
    assert set(used) <= set(ids)
    assert not re.search(r"<script|<link|<img|@import|src=", page)
    assert set(re.findall(r'(?:href|xmlns[:\w]*)="(http[^"]+)"', page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "color-scheme: light dark" in page
    assert "currentColor" in page
    assert page.count("tabindex=0") == page.count("<table")


def test_a_quick_run_does_not_overwrite_a_full_one(tmp_path: Path) -> None:
    """Assert that a folder with the manifest of a full run is refused, and nothing in it is touched."""
    (tmp_path / "manifest.json").write_text('{"quick": false}', encoding="utf-8")
    with pytest.raises(InputError, match=r"--out: got .*full run"):
        reproduce(tmp_path, quick=True)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_a_study_from_python_is_a_mapping_and_a_plot() -> None:
    """Assert dictionary access, the table in its forms, a figure of matplotlib, and HTML for a notebook."""
    result = StudyResult(**answer())
    assert set(result) >= {"records", "fits", "manifest"}
    assert result["records"] is result.records
    assert dict(result)["fits"] is result.fits
    with pytest.raises(KeyError):
        result["figures"]
    assert isinstance(result.plot("tv", against="steps"), Figure)
    assert str(result) == result.table()
    assert result.table("csv").count("\n") == 1 + len(result.records)
    assert "DDIM" in result._repr_html_()
    with pytest.raises(InputError, match="form: got 'latex'"):
        result.table("latex")
