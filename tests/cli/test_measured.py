"""The sentence on a sampler's page that sets its last error beside its first terms."""

from __future__ import annotations

from samplerproof.book.pages.measured import against_prediction


def test_a_share_that_is_not_computed_is_estimated() -> None:
    """Assert that a second term decides alone, and without it the trend of the ratio."""
    one, two = ({"steps": n, "value": 1 - 6 / n, "predicted": 1.0, "next": None} for n in (50, 100))
    assert against_prediction([one, two], 3).endswith("by the trend of the ratio about 6% is missing")
    assert "not yet" not in against_prediction([one, two], 2)
    assert "not yet" not in against_prediction([one, two | {"next": -0.05}], 3)
    assert against_prediction([one, two | {"next": 0.051}], 3).endswith("the term after it is 5.1% of it")
    assert against_prediction([two | {"predicted": None}], 3) == ""
