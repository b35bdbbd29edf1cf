"""Files that are written whole, left-overs of killed processes, and files whose damage is seen."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from samplerproof.numerics.support import files
from samplerproof.numerics.support.files import OLD, read_sealed, whole, write_bytes, write_sealed, write_text


def gone() -> int:
    """The number of a process that is no more."""
    with subprocess.Popen(["true"]) as process:
        pass
    return process.pid


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """Assert that a failure in the middle leaves the old file and nothing else."""
    path = tmp_path / "records.json"
    write_text(path, "old")

    def interrupted() -> None:
        with whole(path) as temporary:
            temporary.write_text("ne", encoding="utf-8")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    """Assert that what is written is readable as far as the user's mask allows."""
    write_text(tmp_path / "one", "1")
    (tmp_path / "two").write_text("2", encoding="utf-8")
    assert (tmp_path / "one").stat().st_mode == (tmp_path / "two").stat().st_mode


def test_a_link_in_the_way_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that names differ from one time to the next, and that one that was foreseen is refused, not written to."""
    path, victim, names = tmp_path / "records.json", tmp_path / "victim", set()
    victim.write_text("mine", encoding="utf-8")
    for _ in range(3):
        with whole(path) as temporary:
            names.add(temporary.name)
    assert len(names) == 3
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: "0" * 16)
    with whole(path) as temporary:
        pass
    temporary.symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_bytes(path, b"theirs")
    assert victim.read_text(encoding="utf-8") == "mine"


def test_left_overs_of_killed_processes_go_and_nothing_else(tmp_path: Path) -> None:
    """Assert it of a process that is gone here, and of old files; not of others' that are new, nor of the user's."""
    path, dead, host = tmp_path / "records.json", gone(), files._HOST
    left = [f".records.json.{dead}", f".records.json.{host}.{dead}.{'0' * 16}"]
    old = [f".records.json.{'f' * 8}.{dead}.{'0' * 16}", f".records.json.{host}.{os.getpid()}.{'1' * 16}"]
    kept = [
        f".records.json.{os.getpid()}",
        f".records.json.{host}.{os.getpid()}.{'0' * 16}",
        f".records.json.{'e' * 8}.{dead}.{'0' * 16}",
        f".records.json.{dead}.backup",
        f".other.json.{dead}",
        f"records.json.{dead}",
        ".records.json.swp",
    ]
    for name in (*left, *old, *kept):
        (tmp_path / name).touch()
    for name in old:
        os.utime(tmp_path / name, times=(time.time() - 2 * OLD,) * 2)
    (tmp_path / f".records.json.{dead + 1}").mkdir()
    write_text(path, "new")
    assert {p.name for p in tmp_path.iterdir()} == {*kept, path.name, f".records.json.{dead + 1}"}


def test_a_killed_writer_is_followed_by_a_clean_one(tmp_path: Path) -> None:
    """Assert that what a process leaves when it is killed while it writes goes when the file is written next."""
    program = (
        "import os, signal, sys; from pathlib import Path; from samplerproof.numerics.support.files import whole\n"
        "with whole(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "records.json"
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    write_text(path, "new")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.tried("bits flipped in kept verdicts and references")
def test_a_sealed_file_shows_every_change(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Assert that it is read as it was written, and not at all with a bit flipped, cut, longer, or by another name."""
    path = tmp_path / "kept"
    assert read_sealed(path) is None
    for content in (b"", b"{}", os.urandom(20)):
        write_sealed(path, content)
        assert read_sealed(path) == content
    sealed = path.read_bytes()
    record_property("cases", len(range(0, 8 * len(sealed), 3)))
    for bit in range(0, 8 * len(sealed), 3):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert read_sealed(path) is None
    for other in (sealed[:-1], sealed[:10], b"", sealed + b"\0"):
        path.write_bytes(other)
        assert read_sealed(path) is None
    (tmp_path / "other").write_bytes(sealed)
    assert read_sealed(tmp_path / "other") is None
