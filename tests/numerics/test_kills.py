"""A study that is killed at any moment, and several that share a folder: the answer is that of an undisturbed one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

KILLS = 10
# Loads torch once, and forks a process for every run of the study; what they come to is told as JSON.
PROGRAM = """
import json, os, random, signal, sqlite3, sys, time, tomllib
from pathlib import Path
from samplerproof.numerics.studies.config import parse
from samplerproof.numerics.studies.run import run

text, root, kills = tomllib.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), int(sys.argv[3])

def begin(out):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            answer = run(parse(text), root / out)
            (root / f"{out}.{os.getpid()}").write_text(json.dumps(answer))
            code = 0
        finally:
            os._exit(code)
    return pid

def end(*pids):
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]

told = {"undisturbed": end(begin("undisturbed"))}
begun = time.monotonic()
whole = end(begin("again"))
seconds = time.monotonic() - begun
chance, codes, kept = random.Random(0), [], []
for _ in range(kills):
    pid = begin("killed")
    time.sleep(chance.uniform(0, 3 * seconds / kills))
    os.kill(pid, signal.SIGKILL)
    codes += end(pid)
    try:
        records = sqlite3.connect(root / "killed" / "records.sqlite")
        kept += records.execute("SELECT COUNT(*) FROM records").fetchone()
    except sqlite3.OperationalError:
        kept.append(0)
last = begin("killed")
told |= {"codes": codes, "kept": kept, "last": last, "killed": end(last)}
told |= {"shared": end(*[begin("shared") for _ in range(4)])}
print(json.dumps(told))
"""


@pytest.mark.slow
@pytest.mark.tried("processes killed or stopped")
def test_kills_and_company_leave_the_answer_as_it_is(
    study_file: Any, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Assert it of ten kills at random moments, and of four at once, which compute every record once."""
    steps = "steps = [" + ", ".join(str(n) for n in range(20, 220, 20)) + "]"
    file = study_file(("steps = [24, 49, 99]", steps), ("points = 1001", "points = 501"))
    command = [sys.executable, "-c", PROGRAM, str(file), str(tmp_path), str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    record_property("cases", KILLS)
    assert told["undisturbed"] == told["killed"] == [0]
    assert told["shared"] == [0] * 4
    assert told["codes"].count(-9) >= KILLS // 2, "most were over before they were killed"
    assert all(count % 4 == 0 for count in told["kept"]), "the four metrics of a run are kept together"
    assert told["kept"] == sorted(told["kept"])

    answers = {
        name: [json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob(f"{name}.*")]
        for name in ("undisturbed", "killed", "shared")
    }
    (whole,) = answers["undisturbed"]
    assert whole["manifest"]["computed"] == len(whole["records"]) == 80
    for answer in (*answers["killed"], *answers["shared"]):
        assert answer["records"] == whole["records"]
        assert answer["fits"] == whole["fits"]
        assert answer["manifest"]["recomputed"] == 0
    last = json.loads((tmp_path / f"killed.{told['last']}").read_text(encoding="utf-8"))
    assert last["manifest"]["reused"] == told["kept"][-1]
    assert sum(answer["manifest"]["computed"] for answer in answers["shared"]) == len(whole["records"])
    for name in ("killed", "shared"):
        assert {p.name for p in (tmp_path / name).iterdir()} == {
            "exponents.csv",
            "records.json",
            "records.sqlite",
            "table.csv",
            "table.md",
        }
