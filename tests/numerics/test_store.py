"""The store keeps finished records, knows its own files, and touches no other."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path

import pytest

from samplerproof.numerics.errors import InputError
from samplerproof.numerics.studies.store import APPLICATION_ID, FILE, Value, canonical, key, opened

SPEC = {"method": "ddim", "steps": 8, "target": {"means": [0.1, -1.0]}}


def test_a_record_put_is_the_record_got_after_reopening(tmp_path: Path) -> None:
    """Assert that values survive closing, to the last bit."""
    with opened(tmp_path) as store:
        assert store.get(SPEC) is None
        store.put([(SPEC, Value(8, 0.1 + 0.2))])
    with opened(tmp_path) as store:
        assert store.get(SPEC) == Value(8, 0.1 + 0.2)
        assert store.get({**SPEC, "steps": 9}) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_a_value_that_is_not_finite_is_kept_as_none(tmp_path: Path, value: float | None) -> None:
    """Assert that a diverged run counts as finished."""
    with opened(tmp_path) as store:
        store.put([(SPEC, Value(8, value))])
        assert store.get(SPEC) == Value(8, None)


def test_the_key_depends_on_content_not_on_order() -> None:
    """Assert that two ways to write one specification have one key, and two specifications two."""
    turned = dict(reversed(SPEC.items()))
    assert canonical(SPEC) == canonical(turned)
    assert key(SPEC) == key(turned) != key({**SPEC, "steps": 9})


def test_a_put_that_fails_keeps_nothing(tmp_path: Path) -> None:
    """Assert that the records of one run are kept all or none."""
    with opened(tmp_path) as store:
        with pytest.raises(ValueError, match="not JSON compliant"):
            store.put([(SPEC, Value(8, 1.0)), ({"steps": math.nan}, Value(8, 1.0))])
        assert store.get(SPEC) is None


def foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE records (name TEXT)")
    connection.commit()
    connection.close()


def newer(path: Path) -> None:
    with opened(path.parent):
        pass
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def damaged(path: Path) -> None:
    with opened(path.parent) as store:
        store.put([({**SPEC, "steps": n}, Value(n, 1.0)) for n in range(200)])
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xa5" * 4096
    path.write_bytes(content)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_text("hello, this is no database\n" * 10, encoding="utf-8"),
        lambda path: path.write_bytes(b"SQLite format 3\x00"),
        foreign,
        newer,
        damaged,
    ],
    ids=["text", "cut off", "foreign", "newer", "damaged"],
)
def test_a_file_that_is_not_ours_or_corrupt_is_refused_and_left_alone(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    """Assert one line that names the file, and not a byte changed."""
    path = tmp_path / FILE
    make(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"records\.sqlite") as fault, opened(tmp_path):
        pass
    assert "\n" not in str(fault.value)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [FILE]


def test_an_empty_file_is_a_store_that_was_never_begun(tmp_path: Path) -> None:
    """Assert that a process killed before its first word leaves nothing in the way."""
    (tmp_path / FILE).touch()
    with opened(tmp_path) as store:
        store.put([(SPEC, Value(8, 1.0))])
        assert store.get(SPEC) == Value(8, 1.0)


def test_an_estimate_is_kept_with_its_interval_and_floor(tmp_path: Path) -> None:
    """Assert that all numbers survive closing, and that those that are not finite are None."""
    with opened(tmp_path) as store:
        store.put([(SPEC, Value(8, 0.1, -0.05, 0.25, 0.2)), ({"other": 1}, Value(8, math.nan, -math.inf, 1.0, 0.2))])
    with opened(tmp_path) as store:
        assert store.get(SPEC) == Value(8, 0.1, -0.05, 0.25, 0.2)
        assert store.get({"other": 1}) == Value(8, None, None, 1.0, 0.2)


def test_a_file_of_version_1_is_brought_up_to_date(tmp_path: Path) -> None:
    """Assert that its records stay, and that it takes intervals from then on."""
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute(
        "CREATE TABLE records (key TEXT PRIMARY KEY, spec TEXT NOT NULL, nfe INTEGER NOT NULL, value REAL) "
        "WITHOUT ROWID"
    )
    connection.execute("INSERT INTO records VALUES (?, ?, 8, 0.5)", (key(SPEC), canonical(SPEC)))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    for _ in range(2):
        with opened(tmp_path) as store:
            assert store.get(SPEC) == Value(8, 0.5)
            store.put([({"other": 1}, Value(8, 0.1, 0.0, 0.2, 0.3))])
            assert store.get({"other": 1}) == Value(8, 0.1, 0.0, 0.2, 0.3)
