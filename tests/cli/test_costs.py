"""The page on costs: its numbers are those of the records of the benchmarks."""

from __future__ import annotations

import json

import pytest

from samplerproof.book.pages import costs_page
from samplerproof.book.pages.costs_page import BENCHMARKS, costs


def test_the_page_has_the_ratios_of_the_record(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert a ratio to the floor and to each peer, computed here, and others from another record."""
    records = {
        name: json.loads((BENCHMARKS / f"{name}.json").read_text("utf-8"))
        for name in ("step", "study", "cluster", "waits")
    }
    row = {name: value["median"] for name, value in records["step"]["rows"][0]["microseconds"].items()}
    line = [f"{row['ours'] / row['floor']:.2f}", f"{row['diffusers'] / row['ours']:.1f}"]
    page = str(costs()["costs.md"])
    assert " | ".join(line) in page
    assert f"| small step, times as fast as diffusers | at least 10 | {row['diffusers'] / row['ours']:.1f} |  |" in page
    assert f"| {records['study']['units']['in all']} |" in page
    assert f"25,000 tasks: {25 * records['cluster']['milliseconds_of_a_task']:.0f} s of the scheduler" in page
    records["step"]["rows"][0]["microseconds"]["ours"]["median"] *= 3  # then the goal is missed, with a reason
    for name, record in records.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(record), "utf-8")
    monkeypatch.setattr(costs_page, "BENCHMARKS", tmp_path)
    page = str(costs()["costs.md"])
    assert " | ".join(line) not in page
    assert f"| at least 10 | {row['diffusers'] / row['ours'] / 3:.1f} | the values" in page
