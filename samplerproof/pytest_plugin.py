"""The pytest plugin: the marker and the fixture `samplerproof`, for the tests of a library of samplers.

    import pytest
    from my_samplers import sample_2m

    @pytest.mark.samplerproof(sample_2m, conforms="dpm-solver++-2m", order=2)
    def test_sample_2m():
        pass

    def test_levels(samplerproof):
        samplerproof.assert_grid("diffusers:DPMSolverMultistepScheduler?use_karras_sigmas=true", "karras")

The marker makes its assertions before the body of the test; the fixture is `samplerproof.testing`. `pytest -m
samplerproof` runs the tests with the marker or the fixture alone. A failure shows the verdict, without a traceback of
this package. torch is imported when the first of these tests runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

NAME = "samplerproof"
ASSERTIONS = ("conforms", "order", "grid")  # arguments of the marker, each the start of an assertion's
OPTIONS = ("steps", "options", "zero")  # passed on to the assertions
USAGE = f"takes a sampler and {', '.join(f'{name}=' for name in (*ASSERTIONS, *OPTIONS))}"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, for --strict-markers and `pytest --markers`."""
    text = "(sampler, conforms=NAME, order=P, grid=KIND, steps=20, options=None, zero=True): "
    config.addinivalue_line("markers", f"{NAME}{text}assert that a sampler is a method, of an order, on a grid")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use the fixture, so that `-m samplerproof` selects them too."""
    for item in items:
        if NAME in getattr(item, "fixturenames", ()) and item.get_closest_marker(NAME) is None:
            item.add_marker(NAME)


@pytest.fixture(name=NAME)
def testing() -> ModuleType:
    """The assertions assert_conforms, assert_order and assert_grid."""
    from .numerics import testing

    return testing


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Make the assertions of the markers, and then run the test."""
    for mark in item.iter_markers(NAME):
        if mark.args or mark.kwargs:
            _assert(mark)
    return (yield)


def _assert(mark: pytest.Mark) -> None:
    """Make the assertions of one marker; pytest shows what does not hold by its message alone."""
    wanted = {name: mark.kwargs[name] for name in ASSERTIONS if name in mark.kwargs}
    options = {name: value for name, value in mark.kwargs.items() if name not in ASSERTIONS}
    unknown = [name for name in options if name not in OPTIONS]
    if len(mark.args) != 1 or not wanted or unknown:
        pytest.fail(f"marker {NAME}: got {unknown or mark}; {USAGE}", pytrace=False)
    from .numerics import testing
    from .numerics.errors import InputError

    calls: dict[str, Callable[..., Any]] = {
        "conforms": testing.assert_conforms,
        "order": testing.assert_order,
        "grid": testing.assert_grid,
    }
    for name, value in wanted.items():
        taken = {key: v for key, v in options.items() if name != "grid" or key != "zero"}
        try:
            calls[name](mark.args[0], value, **taken)
        except (AssertionError, InputError) as fault:
            message = str(fault)
        else:
            continue
        pytest.fail(message, pytrace=False)
