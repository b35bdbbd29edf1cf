"""One parser of names for both sides of the wall: they accept and refuse the same names, for the same records."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction

import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from samplerproof.names.input_error import InputError, nearest
from samplerproof.names.lookup import LONGEST, number
from samplerproof.numerics import catalogue
from samplerproof.theory import methods

pytestmark = pytest.mark.check

Look = Callable[[str], object]


def answer(look: Look, name: str) -> tuple[object, ...]:
    """What a side answers: the record's name, orders, kind and history, or the line of its refusal."""
    try:
        found = look(name)
    except InputError as refused:
        return (str(refused),)
    return tuple(getattr(found, field) for field in ("name", "order", "order_asymptotic", "kind", "history"))


NAMES = st.sampled_from(sorted(catalogue.NAMES._entries))
WITH_PARAMETERS = st.sampled_from([record.name for record in catalogue.RECORDS if record.parameters])
KEYS = st.sampled_from(sorted({p.name for record in catalogue.RECORDS for p in record.parameters} | {"gama", "", "R"}))
NUMBERS = (
    st.fractions(Fraction(-3), Fraction(3), max_denominator=30).map(str)
    | st.decimals(-2, 3, places=3).map(str)
    | st.sampled_from(["1", "0", "1e400", "1e-400", "1e99999999", "inf", "nan", "1_0", "１", "1/0", "", "-1e-9", " 1"])
    | st.text(max_size=8)
)
PAIRS = st.lists(st.tuples(KEYS, NUMBERS).map("=".join) | st.text(max_size=5), max_size=3).map("&".join)


@st.composite
def names(draw: st.DrawFn) -> str:
    """Names as people write them, right and wrong."""
    base = draw(WITH_PARAMETERS | NAMES | NAMES.map(str.upper) | st.text(max_size=20))
    return draw(st.sampled_from(["?", "?", ""])).join([base, draw(PAIRS)]) if draw(st.integers(0, 3)) else base


@settings(max_examples=100)
@given(names())
@example("bdia-ddim?gama=1")
@example("ddim?foo=1")
@example("sa-solver-2?tau=-1")
@example("ddim-eta?eta=5")
@example("bdia-ddim?gamma=7")
@example("sde-dpm-solver++-2s?tau=2&r=0.25")
@example("dpm-solver-3s-taylor?r1=2/3")
def test_both_sides_answer_alike(name: str) -> None:
    """Assert that a name is the same record on both sides, or refused on both by the same line."""
    assert answer(methods.find, name) == answer(catalogue.resolve, name)


def test_both_sides_have_the_same_names_and_domains() -> None:
    """Assert that the generated records have the names, parameters, defaults and domains of the exact ones."""
    assert methods.NAMES._entries == catalogue.NAMES._entries
    assert len(methods.NAMES._entries) > len(catalogue.RECORDS) > 70


@pytest.mark.parametrize("name", sorted(catalogue.METHODS))
def test_a_parameter_that_a_record_has_not_is_refused(name: str) -> None:
    """Assert that no record takes an unknown parameter, or a known one far outside of its domain."""
    for query in ("foo=1", *(f"{p.name}=1e99" for p in catalogue.METHODS[name].parameters)):
        assert len(answer(methods.find, f"{name}?{query}")) == 1
    with pytest.raises(ValueError, match="foo: not a parameter"):
        methods.find(name).at({"foo": sp.S.One})


def test_a_value_outside_of_its_domain_is_refused_by_the_record() -> None:
    """Assert that `at` refuses what `find` refuses, and takes the ends of a closed domain."""
    bdia = methods.find("bdia-ddim")
    assert [bdia.at({"gamma": sp.sympify(value)}).order for value in (0, 1)] == [1, 2]
    with pytest.raises(ValueError, match=r"bdia-ddim: gamma: got 1000001/1000000; 0 <= gamma <= 1"):
        bdia.at({"gamma": sp.Rational(1000001, 1000000)})
    with pytest.raises(ValueError, match="0 < r1 <= 1, not 2/3"):
        methods.find("dpm-solver-3s-taylor").at({"r1": sp.Rational(2, 3)})


@pytest.mark.parametrize(
    "name",
    [
        "x" * 100_000,
        "bdia-ddim?gamma=" + "1" * 100_000,
        "bdia-ddim?gamma=1e99999999",
        "bdia-ddim?gamma=1e-99999999",
        "bdia-ddim?gamma=1/1" + "0" * 30,
        "sa-solver-2?tau=1e400",
        "sa-solver-2?tau=1e300",
        "bdia-ddim?gamma=１",
        "ddim?" + "&".join(["foo=1"] * 40_000),
    ],
)
def test_what_is_long_or_large_is_refused_quickly(name: str) -> None:
    """Assert that hostile names end in one short line on both sides, in a fraction of a second of processor time."""
    started = time.process_time()
    (line,) = answer(methods.find, name)
    assert (line,) == answer(catalogue.resolve, name)
    assert time.process_time() - started < 2  # a busy machine takes more than one that is idle
    assert isinstance(line, str)
    assert "\n" not in line
    assert len(line) < 250


def test_the_longest_name_is_read_and_one_character_more_is_not() -> None:
    """Assert that 200 characters are read and 201 refused."""
    name = "ddim" + "m" * (LONGEST - 4)
    assert "not a known method" in str(answer(catalogue.resolve, name))
    assert "a name of 201 characters" in str(answer(catalogue.resolve, name + "m"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1/2", Fraction(1, 2)),
        ("+.5", Fraction(1, 2)),
        ("-3e-1", Fraction(-3, 10)),
        ("2.", Fraction(2)),
        ("1e9", Fraction(10**9)),
        ("1.000000001e9", None),
        ("1e-9", Fraction(1, 10**9)),
        ("9.99e-10", None),
        ("0e999", Fraction(0)),
        ("1e9999", None),
        ("0/0", None),
        ("1_0", None),
        ("", None),
        ("0." + "1" * 28, Fraction("0." + "1" * 28)),
        ("0." + "1" * 29, None),
        ("-" + "1." + "1" * 24 + "e-9", Fraction("-" + "1." + "1" * 24 + "e-9")),
        ("1/" + "3" * 88, None),
    ],
)
def test_numbers(text: str, value: Fraction | None) -> None:
    """Assert that numbers are read exactly, within the documented bounds, and as the fraction that names them."""
    assert number(text) == value
    assert value is None or number(str(value)) == value


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("DDIM", "ddim"),
        ("dpmpp_2m", "dpm-solver++-2m"),
        ("sample_dpmpp_2m", "dpm-solver++-2m"),
        ("DPMPP_2M", "dpm-solver++-2m"),
        ("UniPCMultistepScheduler", "unipc-2"),
        ("K-Diffusion:sample_LMS", "k-diffusion:sample_lms"),
    ],
)
def test_a_hint_finds_what_was_meant(name: str, first: str) -> None:
    """Assert that upper case, and a library's name without the library, lead to the record first."""
    assert f"nearest: {first}" in str(answer(catalogue.resolve, name))


def test_hints_are_bounded() -> None:
    """Assert that a hint names a dozen of many, and all of a few."""
    assert nearest("", [str(n) for n in range(100, 200)]).endswith("111, … (100 in all)")
    assert nearest("", ["b", "a"]) == "known: a, b"
