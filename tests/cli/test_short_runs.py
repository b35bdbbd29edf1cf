"""The signed errors of rows, and the pages of their kept record and of a published network."""

from dataclasses import replace

import torch

from samplerproof.book.pages.published_network_page import published_network
from samplerproof.book.pages.short_runs_page import short_runs
from samplerproof.book.records.study_results import published_results, signed_results
from samplerproof.book.studies.signed_errors import averaged, passed_on
from samplerproof.numerics.advice.recording import record
from samplerproof.numerics.grids import grid
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture


def test_on_a_gaussian_the_rows_add_up_to_the_error() -> None:
    """Assert that the sum is the error where the model is affine, of a wrong table too, and not that of another one."""
    edm, mixture = schedule("edm"), GaussianMixture([1.0], [[0.4, -0.3]], covariances=[[[0.6, 0.2], [0.2, 0.3]]])
    begin, end = edm.point(10.0), edm.point(0.1)
    start = mixture.sample(3, begin, torch.Generator().manual_seed(0))
    recording = record(mixture, edm, begin, end, start, 300)
    table = tabulate("ipndm-3", grid(edm, "karras", 6, sigma_min=0.1, sigma_max=10.0, rho=3.0))
    outputs = table.outputs.clone()
    outputs[3, 0] *= 1 + 1e-6
    planted = replace(table, outputs=outputs)
    ends = {}
    for key, of in (("good", table), ("planted", planted)):
        ends[key] = sample(mixture, start, of) - recording.states[-1]
        passed, moved = passed_on(mixture, of, recording)
        assert len(passed) == len(moved) == 6
        assert float((passed.sum(0) - ends[key]).abs().max()) < 1e-8
    good, _ = passed_on(mixture, table, recording)
    assert float((good.sum(0) - ends["planted"]).abs().max()) > 1e-7


def test_the_average_is_geometric() -> None:
    """Assert the mean of two mixtures, and that another sampler has its own row."""
    row = {"dim": 1, "seed": 0, "grid": "g", "nfe": 5, "start": "ramp", "method": "ddim"}
    one, four = (dict.fromkeys(("measured", "first_order", "sizes", "left"), value) for value in (1.0, 4.0))
    rows = [{**row, **one}, {**row, "seed": 1, **four}, {**row, "method": "ipndm-3", **four}]
    assert [(r["method"], r["measured"]) for r in averaged(rows)] == [("ddim", 2.0), ("ipndm-3", 4.0)]


def test_the_pages_have_their_tables_and_pictures() -> None:
    """Assert that each page of a kept record shows every row of it, and the pictures that are made with it."""
    made = short_runs(signed_results())
    page, entries = str(made["short_runs.md"]), published_results()
    assert page.count("| [`ipndm-3`](methods/ipndm-3.md) |") == 6
    assert "{" not in page.replace("```{figure}", "").replace("\\text{", "").replace("}^{", "").split("## What")[1]
    published = published_network(entries)
    text = str(published["published_network.md"])
    for row in (row for entry in entries.values() for row in (*entry["rates"], *entry["costs"])):
        assert f"| {row['network']} | {row['method']} |" in text
    for files, shown in ((made, page), (published, text)):
        (picture,) = (name for name in files if not name.endswith(".md"))
        assert f"```{{figure}} {picture}" in shown
