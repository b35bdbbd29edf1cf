"""What is published: whole archives that anyone can make again, locked versions, data for citing and archiving."""

from __future__ import annotations

import calendar
import json
import re
import shutil
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_string
from email.message import Message
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from checkouts import ROOT, call, checkout
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
LOCKS = ("requirements.lock", "k_diffusion.lock", "book.lock")
LATER = (2027, 1, 15, 8, 0, 0)  # another date than that of the version
PLANTED = 'repository-code: "https://example.org/planted"\ndoi: 10.5281/zenodo.1\n'


def lock(name: str) -> str:
    return (ROOT / "release" / name).read_text(encoding="utf-8")


def locked(name: str) -> dict[str, list[Requirement]]:
    """What a lock file pins: a package may have a version for each of several interpreters."""
    found: dict[str, list[Requirement]] = {}
    for text in re.findall(r"^([a-z0-9][^\\\n]*?) *\\$", lock(name), flags=re.M):
        requirement = Requirement(text)
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def unmet(needs: list[str], pins: dict[str, list[Requirement]]) -> list[str]:
    """The requirements that no pin meets."""
    missing = []
    for need in map(Requirement, needs):
        pinned = pins.get(canonicalize_name(need.name), [])
        versions = [next(iter(pin.specifier)).version for pin in pinned]
        if need.name != "torch" and not (versions and all(need.specifier.contains(v) for v in versions)):
            missing.append(str(need))
    return missing


def test_the_lock_files_meet_every_requirement() -> None:
    """Assert it of what make installs for the tests and for the book; a version that is too old is found."""
    extras = PROJECT["optional-dependencies"]
    tests = [*PROJECT["dependencies"], *extras["test"], *extras["peers"], *extras["training"]]
    assert unmet(tests, locked("requirements.lock")) == []
    assert unmet([*tests, *extras["book"]], locked("book.lock")) == []
    assert unmet(["numpy>=99", "no-such-package"], locked("book.lock")) == ["numpy>=99", "no-such-package"]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_is_exact_and_names_no_index(name: str) -> None:
    """Assert a version and hashes for each package but torch, and no address."""
    assert not re.search(r"://|index-url|find-links", lock(name))
    for pins in locked(name).values():
        assert all(re.fullmatch(r"==[^*]+", str(pin.specifier)) for pin in pins)
    entries = re.split(r"^(?=[a-z0-9])", lock(name), flags=re.M)[1:]
    assert len(entries) == sum(map(len, locked(name).values()))
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert "torch" not in locked(name)


def test_both_environments_have_the_same_versions() -> None:
    """Assert that what builds the book changes no version that the tests ran with."""
    tests, book = (
        {name: [str(pin.specifier) for pin in pins] for name, pins in locked(file).items()}
        for file in ("requirements.lock", "book.lock")
    )
    assert {name: book[name] for name in tests} == tests


def test_citation_zenodo_changelog_and_metadata_agree() -> None:
    """Assert that title, version, date, licence and keywords are said alike, and that no DOI is invented."""
    zenodo = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    date = str(CITATION["date-released"])
    assert (zenodo["title"], zenodo["version"], zenodo["publication_date"]) == (
        CITATION["title"],
        PROJECT["version"],
        date,
    )
    assert zenodo["description"] == CITATION["abstract"].strip()
    assert zenodo["keywords"] == CITATION["keywords"]
    assert zenodo["license"].upper() == CITATION["license"] == PROJECT["license"]
    assert [who["name"] for who in zenodo["creators"]] == [who["name"] for who in CITATION["authors"]]
    assert f"\n## {PROJECT['version']} - {date}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "\n# doi:\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert "doi" not in {*CITATION, *zenodo}


def test_licences_of_all_that_is_shipped_are_listed() -> None:
    """Assert that every kept network and every folder of others' code has its line."""
    text = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
    weights = [path.parent.name for path in ROOT.glob("numerics/*/trained/*/model.safetensors")]
    assert len(weights) == 13
    named = re.sub(r"`(rings-progressive)-1`, `-2`, `-4`, `-8`", r"`\1-1` `\1-2` `\1-4` `\1-8`", text)
    assert [name for name in weights if f"`{name}`" not in named] == []
    assert [path.name for path in (ROOT / "book" / "vendor").iterdir()] == ["mathjax"]
    assert (ROOT / "book" / "vendor" / "mathjax" / "LICENSE").read_text(encoding="utf-8").split()[0] == "Apache"
    assert "THIRD_PARTY.md" in PROJECT["license-files"]


def test_the_paper_has_its_sections_and_cites_what_the_bibliography_has() -> None:
    """Assert the form of the journal, a command beside every number of a result, and no key without an entry."""
    text = (ROOT / "paper.md").read_text(encoding="utf-8")
    head, body = text.removeprefix("---\n").split("\n---\n", 1)
    fields = yaml.safe_load(head)
    assert {"title", "tags", "authors", "affiliations", "date", "bibliography"} <= {*fields}
    assert (ROOT / fields["bibliography"]).is_file()
    wanted = ["Summary", "Statement of need", "State of the field", "Limits", "References"]
    assert [name for name in re.findall(r"^# (.+)$", body, flags=re.M) if name in wanted] == wanted
    known = set(re.findall(r"^@\w+\{(\w+),$", (ROOT / fields["bibliography"]).read_text(encoding="utf-8"), flags=re.M))
    cited = set(re.findall(r"@(\w+)", body))
    assert len(cited) >= 10
    assert cited <= known
    # JOSS asks for 750 to 1750 words.
    assert 750 <= len(body.split()) <= 1750


def test_the_sbom_lists_what_the_package_needs(tmp_path: Path) -> None:
    """Assert that each requirement is a component with version, licence and hashes, and no tool is one."""
    call(sys.executable, ROOT / "release" / "sbom.py", tmp_path / "one.json", cwd=tmp_path)
    call(sys.executable, ROOT / "release" / "sbom.py", tmp_path / "two.json", cwd=tmp_path, PYTHONHASHSEED="1")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    bom = json.loads((tmp_path / "one.json").read_text(encoding="utf-8"))
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    assert bom["metadata"]["component"]["version"] == version("samplerproof")
    parts = {part["name"]: part for part in bom["components"]}
    needs = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    assert needs <= {*parts}
    assert not {"pytest", "mypy", "ruff", "diffusers"} & {*parts}
    assert [name for name, part in parts.items() if part["licenses"] == [{"license": {"name": "not stated"}}]] == []
    assert all(part["version"] == version(name) for name, part in parts.items())
    pins = locked("requirements.lock")
    exact = {
        name for name in parts if f"=={parts[name]['version']}" in [str(pin.specifier) for pin in pins.get(name, [])]
    }
    assert {name for name, part in parts.items() if part["properties"]} == exact
    assert "torch" not in exact
    assert len(exact) > 10
    references = {part["bom-ref"] for part in [*bom["components"], bom["metadata"]["component"]]}
    assert {one["ref"] for one in bom["dependencies"]} == references
    assert {other for one in bom["dependencies"] for other in one["dependsOn"]} <= references


# --- the archives


def built(source: Path, out: Path, *what: str, **variables: str) -> dict[str, bytes]:
    """The archives that `python -m build` makes there, by name; what: --sdist, --wheel, or a wheel of the sdist."""
    call(sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", out, source, cwd=source, **variables)
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sdist and wheel, made in a clone; `build` makes the wheel of the sdist."""
    folder = tmp_path_factory.mktemp("archives")
    built(checkout(folder / "source"), folder / "dist")
    return folder / "dist"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another clone, in another folder and with other dates of files."""
    return checkout(tmp_path_factory.mktemp("elsewhere") / "source")


@pytest.mark.slow
def test_archives_have_the_same_bytes_wherever_they_are_made(archives: Path, elsewhere: Path, tmp_path: Path) -> None:
    """Assert it of another clone, whose wheel is made without the sdist: nothing a wheel needs is missing in that."""
    first = {path.name: path.read_bytes() for path in sorted(archives.iterdir())}
    assert list(first) == [f"samplerproof-{PROJECT['version']}{end}" for end in ("-py3-none-any.whl", ".tar.gz")]
    again = built(elsewhere, tmp_path / "again", "--sdist", "--wheel", PYTHONHASHSEED="7", TZ="Asia/Tokyo")
    assert [again[name] == first[name] for name in first] == [True, True]


@pytest.mark.slow
def test_the_sdist_is_the_whole_repository(archives: Path) -> None:
    """Assert that it has every file of the repository, and beside them only what setuptools adds."""
    (path,) = archives.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {
            name.split("/", 1)[1] for name in archive.getnames() if "/" in name and archive.getmember(name).isfile()
        }
    kept = {*call("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).splitlines()}
    kept = {name for name in kept if (ROOT / name).is_file()}
    assert kept - names == set()
    assert {name for name in names - kept if ".egg-info/" not in name} == {"PKG-INFO", "setup.cfg"}


@pytest.mark.slow
def test_twine_accepts_the_archives(archives: Path, tmp_path: Path) -> None:
    """Assert that the strict check passes, and fails on a wheel without a description."""
    twine = (sys.executable, "-m", "twine", "check", "--strict")
    assert call(*twine, *sorted(archives.iterdir()), cwd=tmp_path).count("PASSED") == 2
    (wheel,) = archives.glob("*.whl")
    with zipfile.ZipFile(wheel) as right, zipfile.ZipFile(tmp_path / wheel.name, "w") as wrong:
        for name in right.namelist():
            content = right.read(name)
            wrong.writestr(name, content.partition(b"\n\n")[0] + b"\n\n" if name.endswith("/METADATA") else content)
    call(*twine, tmp_path / wheel.name, cwd=tmp_path, fails=True)


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        return message_from_string(archive.read(name).decode())


@pytest.mark.slow
def test_the_metadata_is_complete_and_addresses_are_those_of_citation_cff(
    archives: Path, elsewhere: Path, tmp_path: Path
) -> None:
    """Assert name, version, licences and extras; that an address comes from CITATION.cff alone, and that another date
    is that of all files in both archives.
    """
    (wheel,) = archives.glob("*.whl")
    found = metadata(wheel)
    assert (found["Name"], found["Version"], found["License-Expression"]) == ("samplerproof", PROJECT["version"], "MIT")
    assert found.get_all("License-File") == ["LICENSE", "THIRD_PARTY.md"]
    assert found["Requires-Python"] == ">=3.11"
    assert {*found.get_all("Provides-Extra", [])} == {*PROJECT["optional-dependencies"]}
    assert found.get_payload().startswith("# samplerproof")  # type: ignore[union-attr]
    said = {key for key in ("url", "repository-code", "doi") if key in CITATION}
    assert len(found.get_all("Project-URL", [])) == len(said)
    with (elsewhere / "CITATION.cff").open("a", encoding="utf-8") as file:
        file.write(PLANTED)
    built(elsewhere, tmp_path / "dist", "--sdist", "--wheel", SOURCE_DATE_EPOCH=str(calendar.timegm(LATER)))
    (planted,), (sdist,) = (tmp_path / "dist").glob("*.whl"), (tmp_path / "dist").glob("*.tar.gz")
    with zipfile.ZipFile(planted) as archive, tarfile.open(sdist) as packed:
        assert {member.date_time for member in archive.infolist()} == {LATER}
        assert {member.mtime for member in packed} == {calendar.timegm(LATER)}
    addresses = metadata(planted).get_all("Project-URL", [])
    assert "Repository, https://example.org/planted" in addresses
    assert "DOI, https://doi.org/10.5281/zenodo.1" in addresses


SMOKE = """import contextlib, io, json, runpy, sys

from samplerproof.cli import main

def run(*words):
    sys.argv = ["samplerproof", *words]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main.run()
        except SystemExit as stop:
            assert not stop.code
    return out.getvalue()

print(len(json.loads(run("methods", "--json"))) > 70)
print(json.loads(run("prove", "dpm-solver++-2m", "ddpm", "--json"))[0]["proved_order"])
print("SHA-256" in run("cite", "--theorem", "claim-2m-collapsed"))
print(json.loads(run("study", "one.toml", "--json"))["records"][0]["method"])
print(json.loads(run("advise", "rings", "--nfe", "4", "--json"))["choice"]["nfe"])
runpy.run_path("example.py", run_name="__main__")
"""


@pytest.mark.slow
def test_a_fresh_environment_installs_the_wheel_and_works(archives: Path, tmp_path: Path) -> None:
    """Assert that an environment with nothing but the wheel and what it asks for passes a smoke set."""
    (wheel,) = archives.glob("*.whl")
    (pinned,) = re.findall(r"^TORCH := (torch==\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)
    call(sys.executable, "-m", "venv", "--without-pip", tmp_path / "env", cwd=tmp_path)
    folder = tmp_path / "env" / "bin"
    pip = (sys.executable, "-m", "pip", "--python", folder / "python", "--disable-pip-version-check")
    call(*pip, "install", "-q", "--no-compile", wheel, pinned, cwd=tmp_path)
    call(*pip, "check", cwd=tmp_path)
    assert call(folder / "samplerproof", "--version", cwd=tmp_path) == f"samplerproof {PROJECT['version']}\n"
    shutil.copy(ROOT / "book" / "one_sampler.toml", tmp_path / "one.toml")
    shutil.copy(ROOT / "example.py", tmp_path)
    (tmp_path / "smoke.py").write_text(SMOKE, encoding="utf-8")
    lines = call(folder / "python", "smoke.py", cwd=tmp_path).splitlines()
    assert lines[:3] == ["True", "2", "True"]
    assert lines[4] == "4"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(lines) == 7
    assert all(f"    {line}" in readme for line in lines[5:])


# --- the wheel, for a user far from this repository


TYPED = """from typing import assert_type
from torch import Tensor
import samplerproof as sp
from samplerproof.numerics.tableau import Tableau

grid = sp.Grid.from_sigmas([1.0, 0.5])
assert_type(grid, sp.Grid)
assert_type(sp.method("ddim").order, int)
assert_type(sp.tabulate("ddim", grid), Tableau)
assert_type(sp.sample(sp.GaussianMixture([1.0], [0.0], [1.0]), Tensor(), sp.tabulate("ddim", grid)), Tensor)
assert_type(sp.testing.assert_order(lambda denoise, x, sigmas: x, 1).exit_code, int)
"""
OWN = """import torch
import samplerproof as sp

def euler(denoise, x, sigmas):
    for s, t in zip(sigmas, sigmas[1:]):
        x = x + (t - s) / s * (x - denoise(x, s))
    return x

mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
grid = sp.grid(sp.schedule("vp-linear"), "uniform-lambda", 20, t_min=1e-3, t_max=1.0)
x = mixture.sample(100, grid.points[0], torch.Generator().manual_seed(0))
y = sp.sample(mixture, x, sp.tabulate("ddim", grid))
print(sp.metrics.trajectory(y, sp.exact_flow(mixture, x, grid.points[0], grid.points[-1])[0]) < 0.2)
print(sp.method("ddim").prove().order, sp.read_back(euler, grid).isclose(sp.tabulate("ddim", grid)))
print(sp.__file__)
"""


@pytest.fixture(scope="module")
def installed(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel, and what it needs from this one."""
    folder = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "venv", "--without-pip", folder / "env", cwd=folder)
    (library,), (wheel,) = (folder / "env").glob("lib/python*/site-packages"), archives.glob("*.whl")
    options = ("-q", "--disable-pip-version-check", "--no-deps", "--no-compile", "--target", library)
    call(sys.executable, "-m", "pip", "install", *options, wheel, cwd=folder)
    below = [path for path in sys.path if path.endswith("site-packages")]
    (library / "zz_needed.pth").write_text("\n".join(below) + "\n", encoding="utf-8")
    return folder / "env" / "bin" / "python"


@pytest.mark.slow
def test_the_wheel_holds_the_types_and_the_kept_networks(archives: Path) -> None:
    """Assert that the wheel has py.typed and the project's networks, and no tests."""
    (wheel,) = archives.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "samplerproof/py.typed" in names
    assert "samplerproof/book/records/tableaux/res4lyf.json" in names  # `methods res4lyf:NAME` answers from it
    assert "samplerproof/numerics/checkpoints/trained/digits/model.safetensors" in names
    assert not [name for name in names if name.startswith("tests") or "/vendor/" in name]


@pytest.mark.slow
def test_a_user_sees_true_types(installed: Path) -> None:
    """Assert that `mypy --strict` knows the types of a user's expressions, none of them Any, and finds a mistake."""
    folder = installed.parents[2]
    mypy = (sys.executable, "-m", "mypy", "--strict", "--python-executable", installed, "--cache-dir", folder / "cache")
    (folder / "typed.py").write_text(TYPED, encoding="utf-8")
    (folder / "mistaken.py").write_text("import samplerproof as sp\nsp.method(3)\n", encoding="utf-8")
    *errors, count = call(*mypy, "typed.py", "mistaken.py", cwd=folder, fails=True).splitlines()
    assert count.startswith("Found 1 error in 1 file (checked 2 source files)")
    assert [line[:14] for line in errors if ": error: " in line] == ["mistaken.py:2:"]
    assert "incompatible type" in errors[0]


@pytest.mark.slow
def test_ten_lines_run_far_from_the_repository(installed: Path, tmp_path: Path) -> None:
    """Assert that a user's own lines run from the wheel, in a folder outside of the repository."""
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    lines = call(installed, "own.py", cwd=tmp_path).splitlines()
    assert lines[:2] == ["True", "1 True"]
    assert Path(lines[2]).is_relative_to(installed.parents[1])
