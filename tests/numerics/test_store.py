"""The store keeps finished records, knows its own files, and touches no other."""

from __future__ import annotations

import math
import random
import sqlite3
from collections.abc import Callable
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
    """Assert that a diverged run counts as finished, and has a reason."""
    with opened(tmp_path) as store:
        store.put([(SPEC, Value(8, value)), ({"other": 1}, Value(8, value, reason="it diverged"))])
        assert store.get(SPEC) == Value(8, None, reason="the value is not finite")
        assert store.get({"other": 1}) == Value(8, None, reason="it diverged")


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
        assert store.get({"other": 1}) == Value(8, None, None, 1.0, 0.2).finite


def test_a_file_of_version_1_is_brought_up_to_date(tmp_path: Path) -> None:
    """Assert that it takes intervals from then on; its records stay in it, and without a checksum are not served."""
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
            assert store.get(SPEC) is None
            store.put([({"other": 1}, Value(8, 0.1, 0.0, 0.2, 0.3))])
            assert store.get({"other": 1}) == Value(8, 0.1, 0.0, 0.2, 0.3)
    connection = sqlite3.connect(tmp_path / FILE)
    assert connection.execute("SELECT value FROM records ORDER BY value").fetchall() == [(0.1,), (0.5,)]
    connection.close()


@pytest.mark.tried("records changed in their file")
@pytest.mark.parametrize(
    "column",
    [
        "value = 13.35",
        "value = -1.0",
        "value = 'text'",
        "value = 9e999",
        "value = x'00ff'",
        "value = NULL",
        "nfe = 'x'",
        "nfe = -8",
        "low = 0.0",
        "error = 0.1",
        "reason = 'none'",
        "spec = '{}'",
        "checksum = NULL",
        "checksum = x'80'",
    ],
)
def test_a_record_that_was_changed_is_not_served(tmp_path: Path, column: str) -> None:
    """Assert it of every column, whatever lies there now; and that what is computed again takes its place."""
    with opened(tmp_path) as store:
        store.put([(SPEC, Value(8, 3.34)), ({"other": 1}, Value(8, 3.34))])
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute(f"UPDATE records SET {column} WHERE key = ?", (key(SPEC),))
    connection.commit()
    connection.close()
    with opened(tmp_path) as store:
        assert store.get(SPEC) is None
        assert store.get({"other": 1}) == Value(8, 3.34)
        assert store.damaged == {key(SPEC)}
        store.put([(SPEC, Value(8, 3.34))])
    with opened(tmp_path) as store:
        assert store.get(SPEC) == Value(8, 3.34)
        assert store.damaged == set()


@pytest.mark.tried("bits flipped in files of records")
def test_a_flipped_bit_is_never_a_wrong_value(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Assert of 300 flips that every value is the one that was put, or missing, or the file is refused in a line."""
    whole = {f"run {n}": Value(n, n / 7 if n % 2 else None, 0.0, n / 3, 0.1, 1e-9).finite for n in range(40)}
    with opened(tmp_path) as store:
        store.put([({"run": name}, value) for name, value in whole.items()])
    file, chance = tmp_path / FILE, random.Random(0)
    content, missed, refused = file.read_bytes(), 0, []
    record_property("cases", 300)
    for _ in range(300):
        flipped = bytearray(content)
        flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        file.write_bytes(flipped)
        try:
            with opened(tmp_path) as store:
                found = [store.get({"run": name}) for name in whole]
                assert all(value in (None, right) for value, right in zip(found, whole.values(), strict=True))
                missed += None in found
        except InputError as fault:
            refused.append(str(fault))
    assert len(refused) > 10
    assert not any("\n" in line or len(line) > 500 for line in refused)
    assert missed > 100  # the values and texts are most of the file


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (sqlite3.SQLITE_FULL, "free space"),
        (sqlite3.SQLITE_IOERR_WRITE, "free space"),
        (sqlite3.SQLITE_READONLY, "can be written"),
        (sqlite3.SQLITE_CANTOPEN, "can be written"),
        (sqlite3.SQLITE_BUSY, "run again"),
        (sqlite3.SQLITE_CORRUPT, "move it away"),
    ],
)
def test_what_stands_in_the_way_is_what_is_said(tmp_path: Path, code: int, said: str) -> None:
    """Assert that only a file that is damaged is to be moved away."""
    failure = sqlite3.OperationalError("it failed")
    failure.sqlite_errorcode = code
    with pytest.raises(InputError, match=said) as fault, opened(tmp_path):
        raise failure
    assert ("move it away" in str(fault.value)) == (code == sqlite3.SQLITE_CORRUPT)


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """Assert that what was put before stays, and that the line says what to do."""
    with opened(tmp_path) as store:
        store.put([(SPEC, Value(8, 1.0))])

    def fill() -> None:
        with opened(tmp_path) as store:
            pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
            store._connection.execute(f"PRAGMA max_page_count = {pages}")
            store.put([({"run": n}, Value(n, 1.0)) for n in range(1000)])

    with pytest.raises(InputError, match=r"database or disk is full.*free space"):
        fill()
    with opened(tmp_path) as store:
        assert store.get(SPEC) == Value(8, 1.0)
        assert store.get({"run": 0}) is None
