"""What others copy into their CI: the pytest plugin, the hook of pre-commit and the action, each run on a repository.

The repository is tests/example_repository; with a coefficient off by a millionth each must fail, and show the verdict.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from samplerproof.numerics import testing

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "tests" / "example_repository"
PLANTED = ("2 * (level / s).log()", "2.000002 * (level / s).log()")
VERDICT = "my_samplers:sample_2m is not dpm-solver++-2m: different-formula"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture(params=["right", "planted"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, bool]:
    """A copy of the example, right or with its fault, and whether it is right."""
    folder = tmp_path / "repository"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    right = request.param == "right"
    if not right:
        code = (folder / "my_samplers.py").read_text(encoding="utf-8")
        assert PLANTED[0] in code
        (folder / "my_samplers.py").write_text(code.replace(*PLANTED), encoding="utf-8")
    return folder, right


def run(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command in that folder, with this environment's Python first in the path."""
    path = os.pathsep.join([variables.pop("FIRST", ""), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path.strip(os.pathsep), **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def check(done: subprocess.CompletedProcess[str], right: bool) -> None:
    """Assert that two tests were selected, and that a fault fails one by its verdict, without a traceback of ours."""
    assert ("2 passed, 1 deselected" if right else "1 failed, 1 passed, 1 deselected") in done.stdout, done.stdout
    assert done.returncode == (0 if right else 1)
    assert (VERDICT in done.stdout) is not right
    assert ("step 2: outputs[" in done.stdout) is not right
    assert "numerics/testing.py:" not in done.stdout


@pytest.mark.slow
def test_the_hook_of_pre_commit(repository: tuple[Path, bool]) -> None:
    """Assert that its entry, run as pre-commit does in the repository, passes or fails, and that the id is there."""
    folder, right = repository
    (hook,) = read(ROOT / ".pre-commit-hooks.yaml")
    assert [h["id"] for r in read(folder / ".pre-commit-config.yaml")["repos"] for h in r["hooks"]] == [hook["id"]]
    assert (hook["language"], hook["pass_filenames"]) == ("system", False)
    check(run(shlex.split(hook["entry"]), folder), right)


@pytest.mark.slow
def test_the_action(repository: tuple[Path, bool], tmp_path: Path) -> None:
    """Assert that its steps, run by bash as the runner does, install and test, and write the summary of the job."""
    folder, right = repository
    action = read(ROOT / "action.yml")
    given = {name: entry["default"] for name, entry in action["inputs"].items()}
    workflow = read(folder / ".github" / "workflows" / "samplers.yml")
    used = next(s for s in workflow["jobs"]["samplers"]["steps"] if "/samplerproof@" in s.get("uses", ""))
    assert set(used["with"]) <= set(given)
    given = {**given, **used["with"]}
    # pip is replaced by a note of its arguments; everything else is the real thing.
    tools, summary = tmp_path / "tools", tmp_path / "summary.md"
    tools.mkdir()
    stub = f'#!/bin/bash\nif [ "$2" = pip ]; then echo "$@" >> {tmp_path}/pip; else exec {sys.executable} "$@"; fi\n'
    (tools / "python").write_text(stub, encoding="utf-8")
    (tools / "python").chmod(0o755)

    def expanded(text: str) -> str:
        text = text.replace("${{ github.action_path }}", str(ROOT))
        return re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: expanded(given[found[1]]), text)

    done = None
    for step in action["runs"]["steps"]:
        assert step["shell"] == "bash"
        script = tmp_path / "step.sh"
        script.write_text(step["run"], encoding="utf-8")
        variables = {name: expanded(value) for name, value in step["env"].items()}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        done = run(command, folder, FIRST=str(tools), GITHUB_STEP_SUMMARY=str(summary), **variables)
    assert done is not None
    assert (tmp_path / "pip").read_text(encoding="utf-8") == f"-m pip install --quiet pytest {ROOT} .\n"
    check(done, right)
    assert done.stdout.strip() in summary.read_text(encoding="utf-8")


def test_the_page_shows_the_example() -> None:
    """Assert that what others copy from the page is what these tests run: but for a comment, line by line."""
    page = (ROOT / "book" / "ci.md").read_text(encoding="utf-8")
    hook, workflow = EXAMPLE / ".pre-commit-config.yaml", EXAMPLE / ".github" / "workflows" / "samplers.yml"
    for file in (hook, workflow):
        assert f"```yaml\n{file.read_text(encoding='utf-8')}```" in page
    tests = (
        (EXAMPLE / "tests" / "test_samplers.py")
        .read_text(encoding="utf-8")
        .replace("  # type: ignore[no-untyped-def]", "")
    )
    shown = page.split("```python\n")[1].split("```")[0]
    assert shown.strip() in tests
    assert f"`{read(ROOT / '.pre-commit-hooks.yaml')[0]['entry']}`" in page


EULER = """
def euler(denoise, x, sigmas, factor=1.0):
    for s, t in zip(sigmas, sigmas[1:]):
        x = x + factor * (t - s) / s * (x - denoise(x, s))
    return x
"""


def run_inside(pytester: pytest.Pytester, code: str) -> pytest.RunResult:
    pytester.makepyfile(f"{EULER}\nimport pytest\nmark = pytest.mark.samplerproof\n{code}")
    done = pytester.runpytest_inprocess("-m", "samplerproof", "-p", "no:cacheprovider", "--strict-markers")
    assert "numerics/testing.py:" not in done.stdout.str()
    assert "pytest_plugin.py:" not in done.stdout.str()
    return done


def shows(done: pytest.RunResult, *lines: str) -> None:
    for line in lines:
        done.stdout.fnmatch_lines([line.replace("[", "[[]")])


def test_the_marker_and_the_fixture(pytester: pytest.Pytester) -> None:
    """Assert that right levels pass, and that each wrong use fails with its own line and no traceback of ours."""
    done = run_inside(
        pytester,
        """
@mark([10.0, 1.0, 0.1], grid="uniform-log-sigma")
def test_right(samplerproof): samplerproof.assert_grid([3.0, 1.0], "uniform-sigma")

@mark([10.0, 1.0, 0.2], grid="uniform-log-sigma")
def test_wrong(): raise RuntimeError("the body comes after the assertions")

@mark([10.0, 1.0, 0.1], grid="uniform-log-sigma")
def test_body(): assert 1 == 2

def test_fixture(samplerproof): samplerproof.assert_grid([3.0, 1.5, 1.0], "uniform-sigma")

@mark(euler, conforms="DDIM")
def test_name(): pass

@mark(euler, conform="ddim")
def test_argument(): pass

def test_other(): pass
""",
    )
    done.assert_outcomes(passed=1, failed=5, deselected=1)
    shows(
        done,
        "the levels: not the levels of uniform-log-sigma",
        "  level 1 is sigma/alpha = 1, uniform-log-sigma has 1.41421356",
        "*assert 1 == 2",
        "E*AssertionError: the levels: not the levels of uniform-sigma",
        "*got 'DDIM'; not a known method; nearest: ddim, *",
        "marker samplerproof: got ['conform']; takes a sampler and conforms=, order=, grid=, *",
    )
    assert "RuntimeError" not in done.stdout.str()


@pytest.mark.slow
def test_samplers_are_asserted_from_both_sides(pytester: pytest.Pytester) -> None:
    """Assert that Euler's method is DDIM, and that it is not with a factor off by a millionth, nor another method."""
    done = run_inside(
        pytester,
        """
few = {"steps": 4, "zero": False}

@mark(euler, conforms="ddim", **few)
def test_right(): pass

@mark(euler, conforms="ddim", options={"factor": 1 + 1e-6}, **few)
def test_planted(): pass

def test_fixture(samplerproof): samplerproof.assert_conforms(euler, "ddpm", **few)
""",
    )
    done.assert_outcomes(passed=1, failed=2)
    shows(
        done,
        "*euler?factor=1.000001 is not ddim: different-formula",
        "  formula: step 1: states[0] is *, ddim has *; the row is off by *",
        "E*AssertionError: *euler is not ddpm: different-formula",
    )


def test_the_plugin_imports_no_torch(pytester: pytest.Pytester) -> None:
    """Assert that a library which uses no assertion waits for nothing: an entry point is imported in every session."""
    pytester.makepyfile("import sys\ndef test_light(): assert 'torch' not in sys.modules")
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    done.assert_outcomes(passed=1)


def test_levels_are_asserted_from_both_sides() -> None:
    """Assert that the levels of a list, and of a scheduler, are those of their grid, and not those of another."""
    karras = [(80 ** (1 / 7) + n / 9 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for n in range(10)]
    assert testing.assert_grid([*karras, 0.0], "karras")[-1] == 0
    shifted = [3 * u / (1 + 2 * u) for u in (1.0, 0.75, 0.5, 0.25, 0.0)]
    assert testing.assert_grid(shifted, "flow?shift=3")[0] == float("inf")
    for levels, grid, message in (
        ([*karras[:4], karras[4] * (1 + 2e-5), *karras[5:]], "karras", "level 4 is sigma/alpha"),
        (karras, "karras?rho=6", "level 1 is"),
        (karras[:-1], "ays-sd1", "level 0 is|levels, ays"),
        (shifted, "flow?shift=2", "level 1 is sigma/alpha = 9, .* has 6"),
        ([3.0, 1.0, 1.0], None, r"levels\[2\]: got 1.0"),
        (["a", "b"], None, r"levels\[0\]: got 'a'"),
    ):
        with pytest.raises(AssertionError, match=message):
            testing.assert_grid(levels, grid)
    with pytest.raises(testing.InputError, match="nearest: karras"):
        testing.assert_grid(karras, "karas")
