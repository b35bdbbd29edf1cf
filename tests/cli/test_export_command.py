"""`samplerproof export`: files that are the same every time, and that readers in other languages reproduce."""

from __future__ import annotations

import json
import math
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from shapes import by_shape

import samplerproof as sp
from samplerproof.book.records.kept_records import ROOT
from samplerproof.cli.export_command import export
from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.table_file import read_table

Command = Callable[..., "CompletedProcess[str]"]
READERS = ROOT / "book" / "ports"
LANGUAGES = {"c": "cc", "js": "node", "rs": "rustc", "python": sys.executable}
FEW = ("dpm-solver++-2m", "edm-heun", "ddpm", "sa-solver-2")  # history, stages, noise, all of it


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """A function: the command that runs the reader in a language; skips where its tools are not here."""
    folder, made = tmp_path_factory.mktemp("readers"), {}

    def command(language: str) -> list[str]:
        tool = shutil.which(LANGUAGES[language])
        if tool is None:
            pytest.skip(f"{LANGUAGES[language]} is not installed")
        source, program = READERS / f"reader.{language}", folder / f"reader-{language}"
        if language == "js":
            return [tool, str(source)]
        if language == "python":
            page = (ROOT / "book" / "ports.md").read_text(encoding="utf-8")
            program.write_text(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[-1], encoding="utf-8")
            return [tool, "-I", str(program)]
        if language not in made:
            flags = ["-std=c99", "-Wall", "-Wextra", "-Werror"] if language == "c" else ["--edition", "2021"]
            subprocess.run([tool, *flags, str(source), "-o", str(program), *(["-lm"] * (language == "c"))], check=True)
            made[language] = program
        return [str(program)]

    return command


def _agree(command: list[str], table: Path, run: Path) -> bool:
    done = subprocess.run([*command, str(table), str(run)], capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode == 0


@pytest.mark.parametrize(
    "language", [pytest.param(name, marks=(pytest.mark.slow,) if name == "rs" else ()) for name in LANGUAGES]
)
def test_readers_reproduce_golden_vectors(language: str, reader: Callable[[str], list[str]], tmp_path: Path) -> None:
    """Assert that a reader arrives at the recorded states, and that it does not with a weight off by 1e-6, with
    another table, or with what is not a number.
    """
    command = reader(language)
    export(FEW, "karras?zero=1", 5, "edm", True, tmp_path)
    files = sorted(tmp_path.glob("*.table.json"))
    for table in files:
        run = Path(str(table).replace(".table.", ".run."))
        assert _agree(command, table, run), table
        data = json.loads(table.read_text())
        weight = float.fromhex(data["outputs"][2][0])
        for wrong in (weight * (1 + 1e-6), weight - 1):
            data["outputs"][2][0] = wrong
            changed = tmp_path / "changed.json"
            changed.write_text(json.dumps(data))
            assert not _agree(command, changed, run)


@pytest.mark.slow
@pytest.mark.parametrize("name", by_shape(METHODS))
def test_all_records_are_reproduced_in_c(name: str, reader: Callable[[str], list[str]], tmp_path: Path) -> None:
    """Assert it for every record of the catalogue, whose noises are therefore in the order of the vectors."""
    try:
        table, run = export([name], "karras", 6, "edm", True, tmp_path)
    except InputError:
        pytest.skip("no such record on this grid")
    assert _agree(reader("c"), table, run) or name == "lambda-ddim"


def test_files_are_the_same_every_time_and_state_their_origin(tmp_path: Path) -> None:
    """Assert equal bytes of two exports, here and from Python, the table of sp.tabulate, and the provenance."""
    one = export(["ddpm"], "karras", 4, "edm", True, tmp_path / "one")
    two = export([METHODS["ddpm"].aliases[0]], "karras", 4, "edm", True, tmp_path / "two")
    assert [path.name for path in one] == ["ddpm.table.json", "ddpm.run.json"]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    on = sp.grid(sp.schedule("edm"), "karras", 4, sigma_min=0.002, sigma_max=80)
    assert read_table(one[0]) == sp.tabulate("ddpm", on)
    made = json.loads(one[1].read_text())["provenance"]
    assert made == {
        "samplerproof": sp.__version__,
        "method": "ddpm",
        "steps": 4,
        "grid": "karras",
        "schedule": "edm",
        "seed": 0,
        "table": "ddpm.table.json",
    }
    (alone,) = sp.method("ddpm").export(on, tmp_path / "three")
    assert read_table(alone) == read_table(one[0])


REFUSED = {
    "an unknown method": ((["ddmi"], "karras", 4), "NAME"),
    "one table twice": ((["ddim", "dpm-solver-1"], "karras", 4), "NAME"),
    "an unknown grid": ((["ddim"], "karass", 4), "grid"),
    "no steps": ((["ddim"], "karras", 0), "--steps"),
    "a run too large": ((["ddim"], "karras", 2000), "steps"),
    "a method with more history than steps": ((["ddim", "exp-adams-4"], "karras", 2), "steps"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_refused_export_leaves_nothing(fault: str, tmp_path: Path) -> None:
    """Assert the field of the message, and that not even the folder is made."""
    (names, kind, steps), field = REFUSED[fault]
    with pytest.raises(InputError) as found:
        export(names, kind, steps, "edm", True, tmp_path / "out")
    assert found.value.field == field
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_commands_work_together(samplerproof: Command, tmp_path: Path) -> None:
    """Assert that what export writes verify reads, with exit codes 0, 1 for another record, and 2 for no file of it."""
    samplerproof("export", "dpm-solver++-2m", "--grid", "karras", "--steps", "5", "--vectors", "--out", str(tmp_path))
    run = str(tmp_path / "dpm-solver-pp-2m.run.json")
    assert samplerproof("verify", run, "--against", "dpm-solver++-2m").returncode == 0
    assert samplerproof("verify", run, "--against", "ddim").returncode == 1
    (tmp_path / "bad.json").write_text("{}")
    bad = samplerproof("verify", str(tmp_path / "bad.json"))
    assert (bad.returncode, bad.stdout, bad.stderr.count("\n")) == (2, "", 1)


def test_a_table_file_is_exported_on_its_own_levels(tmp_path: Path) -> None:
    """Assert that the table of a file is written again, equal, with a run; that a grid beside it is refused, and that
    a method without one is.
    """
    export(["ddim"], "karras", 3, "edm", False, tmp_path)
    own = str(tmp_path / "ddim.table.json")
    table, run = export([own], None, None, "edm", True, tmp_path / "again")
    assert read_table(table) == read_table(own) == sp.tabulate(own)
    assert len(json.loads(run.read_text())["grid"]) == 4
    for names, kind, field in (([own], "karras", "--grid"), (["ddim"], None, "--grid"), ([own, own], None, "NAME")):
        with pytest.raises(InputError) as refused:
            export(names, kind, None, "edm", False, tmp_path)
        assert refused.value.field == field


def test_the_large_entries_among_the_known_limits_are_what_the_command_writes(
    in_process: Callable[..., object], tmp_path: Path
) -> None:
    """Assert the least alpha and the largest entry that book/tried.md states, by the command beside them."""
    text = " ".join((ROOT / "book" / "tried.md").read_text(encoding="utf-8").split())
    shown = re.search(r"`samplerproof (export deis-tab3 [^`]+)`", text)
    assert shown
    in_process(*shlex.split(shown[1]), "--out", str(tmp_path))
    content = json.loads((tmp_path / "deis-tab3.table.json").read_text(encoding="utf-8"))
    largest = max(abs(float.fromhex(str(entry))) for row in content["outputs"] for entry in row)
    assert f"`deis-tab3` one of {largest:.1e} on".replace("e+", "e") in text
    assert f"alpha grows from {math.cos(math.pi / 2):.0e} over" in text
