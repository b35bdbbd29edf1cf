"""`samplerproof prove --tableau FILE`: the examples of the manual, both sides of a claim, and bad files."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

Answer = tuple[int, str, str]
MANUAL = (Path(__file__).resolve().parents[2] / "book" / "manual.md").read_text(encoding="utf-8")
BLOCK = MANUAL.partition("### A tableau of your own")[2].partition("In the exponential form")[0]
EXAMPLES = dict(
    zip(
        ("rk4", "gauss", "krogstad", "adams"),
        re.findall(r"(form = .*?)(?=\n\n    form|\Z)", BLOCK, re.DOTALL),
        strict=True,
    )
)


@pytest.fixture
def prove(tmp_path: Path, in_process: Callable[..., Answer]) -> Callable[..., Answer]:
    """The command on a file with that text."""

    def command(text: str, *options: str) -> Answer:
        file = tmp_path / "mine.toml"
        file.write_text(text, encoding="utf-8")
        return in_process("prove", "--tableau", file, *options)

    return command


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rk4", {"proved_order": 4, "claimed_order": 4, "kind": "explicit", "stiff_order": None}),
        ("gauss", {"proved_order": 4, "kind": "fully implicit", "stability": None, "sweeps_order": 3}),
        ("krogstad", {"proved_order": 4, "stiff_order": 3, "stiff_order_weakened": 3, "claimed_order": None}),
        ("adams", {"proved_order": 3, "proved_order_free": 1, "stability": 6 / 11}),
    ],
)
def test_the_examples_of_the_manual(name: str, expected: dict[str, object], prove: Callable[..., Answer]) -> None:
    """Assert what is proved of each, with defects of the next order alone, in about a second."""
    started = time.process_time()
    code, out, err = prove(EXAMPLES[name], "--json")
    assert time.process_time() - started < 3
    answer = json.loads(out)
    assert (code, err) == (0, "")
    assert {key: answer[key] for key in expected} == expected
    assert answer["leading_defects"]
    code, out, _ = prove(EXAMPLES[name])
    assert code == 0
    assert f"order       {expected['proved_order']}" in out.replace("order        ", "order       ")


def test_a_claim_that_fails_exits_with_1(prove: Callable[..., Answer]) -> None:
    """Assert it for a claim too high, one too low, and a weight off by 1e-6."""
    for text in (
        EXAMPLES["rk4"].replace("order = 4", "order = 5"),
        EXAMPLES["rk4"].replace("order = 4", "order = 3"),
        EXAMPLES["rk4"].replace('b = ["1/6"', 'b = ["1/6 + 1/1000000"'),
    ):
        code, out, _ = prove(text)
        assert code == 1
        assert "as claimed: NO" in out


def test_decimals_need_a_tolerance_and_hold_to_it(prove: Callable[..., Answer]) -> None:
    """Assert order 3 of Ralston's in decimals to 1e-12, the size of what fails, and order 0 to 1e-16."""
    text = (
        'form = "butcher"\nA = [[], [0.5], [0, 0.75]]\nb = [0.2222222222222222, 0.3333333333333333, 0.4444444444444444]'
    )
    code, out, err = prove(text)
    assert (code, out) == (2, "")
    assert "A, row 2, entry 1: got 0.5; an exact entry" in err
    answer = json.loads(prove(f"tolerance = 1e-12\n{text}", "--json")[1])
    assert (answer["proved_order"], answer["tolerance"]) == (3, 1e-12)
    assert 1e-17 < answer["largest_residual"] < 1e-15
    assert all(abs(float(d["coefficient"])) > 1e-3 for d in answer["leading_defects"])
    assert json.loads(prove(f"tolerance = 1e-17\n{text}", "--json")[1])["proved_order"] == 0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "form: got None; one of butcher, exponential, multistep"),
        ('form = "butcher"', "b: got None; a list of entries"),
        ('form = "butcher"\nb = [1]\nB = 1', "B: got 1; not a field of form butcher"),
        ('form = "butcher"\nA = [[]]\nb = ["1/2", "1/2"]', "A: got '1 rows'; 2, as b has 2 entries"),
        ('form = "butcher"\nA = [[], [1, 0, 0]]\nb = ["1/2", "1/2"]', "A, row 2: got '3 entries'; at most 2"),
        ('form = "butcher"\nA = [[], 1]\nb = ["1/2", "1/2"]', "A, row 2: got 1; a list of entries"),
        ('form = "butcher"\nA = [[], [nan]]\nb = ["1/2", "1/2"]', "A, row 2, entry 1: got nan; a finite number"),
        ('form = "butcher"\nA = [[], [true]]\nb = ["1/2", "1/2"]', "A, row 2, entry 1: got True; a number, or a text"),
        ('form = "butcher"\nA = [[], ["phi1(h)"]]\nb = ["1/2", "1/2"]', "phi1 only in an exponential tableau"),
        (
            'form = "butcher"\nc = [0, 1]\nA = [[], ["1/2"]]\nb = [0, 1]',
            "A, row 2: got '1/2'; entries that sum to c2 = 1",
        ),
        ('form = "butcher"\nc = [0]\nA = [[], ["1/2"]]\nb = [0, 1]', "c: got '1 entries'; 2, as b has 2 entries"),
        ('form = "butcher"\norder = 2.5\nA = [[]]\nb = [1]', "order: got 2.5; a whole number from 0 to 30"),
        ('form = "butcher"\nsweeps = 2\nA = [[]]\nb = [1]', "sweeps: got 2; only for an implicit tableau"),
        ('form = "butcher"\ntolerance = inf\nA = [[]]\nb = [1]', "tolerance: got inf; a number > 0, at most 0.001"),
        ('form = "butcher"\nname = 3\nA = [[]]\nb = [1]', "name: got 3; a text of 1 to 100 characters"),
        ('form = "exponential"\nc = [0]\nA = [[]]\nb = ["psi1(h)"]', "b, entry 1: got 'psi1(h)'; unknown name 'psi1'"),
        ('form = "exponential"\nA = [[]]\nb = ["phi1(h)"]', "c: got None; a list of entries"),
        (
            'form = "exponential"\nc = [0, 1]\nA = [[], ["phi2(h)"]]\nb = [0, 1]',
            "A, row 2: got '1/2'; entries at h = 0",
        ),
        ('form = "multistep"\nb = []', "b: got '0 entries'; 1 to 6"),
        ('form = "multistep"\nb = ["1 + 0.5/r1", "-0.5/r1"]\ntolerance = 1e-9', "exact entries where they depend on"),
        ("form = [", "--tableau: got"),
        ('form = ["butcher"]', "form: got ['butcher']; one of butcher, exponential, multistep"),
        ('form = "butcher"\nname = "a\\nb"\nA = [[]]\nb = [1]', "a text of 1 to 100 characters on one line"),
        ('form = "butcher"\nA = [[], [1000001]]\nb = [0, 1]', "A, row 2, entry 1: got 1000001; at most 1000000"),
        (
            'form = "butcher"\nA = [[], ["(2^20)^20"]]\nb = [0, 1]',
            "entry 1: got '(2^20)^20'; numbers of at most 60 digits",
        ),
        (
            'form = "butcher"\nA = [[]]\nb = ["sqrt(2) + sqrt(3) + sqrt(5) + sqrt(7) + sqrt(11)"]',
            "sqrt: got 'of 5 numbers'; of at most 4 that are different",
        ),
        ('form = "multistep"\nb = [1, "r1/r2"]', "b, entry 2: got 'r1/r2'; unknown name 'r2'; known: r1, sqrt"),
        ('form = "exponential"\nc = [0]\nA = [[]]\nb = ["r1"]', "b, entry 1: got 'r1'; unknown name 'r1'"),
        (
            'form = "exponential"\nc = [0]\nA = [[]]\nb = ["(1 + h)^13"]',
            "at most 12 names, h and phi functions, not of 13",
        ),
        ('form = "exponential"\nc = [0]\nA = [[]]\nb = ["phi1(h)^5"]', "at most 4 phi functions, not of 5"),
    ],
)
def test_a_bad_file_is_one_line_with_row_and_entry(text: str, line: str, prove: Callable[..., Answer]) -> None:
    code, out, err = prove(text)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert line in err


def test_a_tableau_is_proved_without_names(prove: Callable[..., Answer]) -> None:
    """Assert that a name beside it is refused, and a file that is missing."""
    code, _, err = prove(EXAMPLES["rk4"], "ddim")
    assert (code, err.count("\n")) == (2, 1)
    assert "a file alone" in err


def test_what_is_as_large_as_allowed_is_decided(prove: Callable[..., Answer]) -> None:
    """Assert it of the largest and a tiny entry, whose stability is not decided, and of states whose sum is not 1."""
    tiny = f'"1/1{"0" * 50}"'
    for entry, weight in (("1000000", '"1/2000000"'), (tiny, "1")):
        text = f'form = "butcher"\nA = [[], [{entry}]]\nb = ["1 - {weight.strip(chr(34))}", {weight}]'
        assert json.loads(prove(text, "--json")[1])["proved_order"] == (2 if weight != "1" else 1)
    code, out, _ = prove('form = "multistep"\na = [0, 2]\nb = [1, 1]')
    assert code == 0
    assert "mine is not consistent: a constant state is not kept" in out
    assert "order -1" not in out
