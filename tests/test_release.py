"""What is published: whole archives that anyone can make again, locked versions, data for citing and archiving."""

from __future__ import annotations

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


def built(source: Path, out: Path, **variables: str) -> dict[str, bytes]:
    """The archives that `python -m build` makes there, by name."""
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source, cwd=source, **variables)
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sdist and wheel, made in a clone; `build` makes the wheel of the sdist."""
    folder = tmp_path_factory.mktemp("archives")
    built(checkout(folder / "source"), folder / "dist")
    return folder / "dist"


@pytest.mark.slow
def test_archives_have_the_same_bytes_wherever_they_are_made(archives: Path, tmp_path: Path) -> None:
    """Assert it of a clone in another folder with other dates of files, and other bytes for another date."""
    first = {path.name: path.read_bytes() for path in sorted(archives.iterdir())}
    assert list(first) == [f"samplerproof-{PROJECT['version']}{end}" for end in ("-py3-none-any.whl", ".tar.gz")]
    source = checkout(tmp_path / "elsewhere")
    assert built(source, tmp_path / "again", PYTHONHASHSEED="7", TZ="Asia/Tokyo") == first
    another = built(source, tmp_path / "later", SOURCE_DATE_EPOCH="1800000000")
    assert [another[name] == first[name] for name in first] == [False, False]


@pytest.mark.slow
def test_the_wheel_of_the_sdist_is_that_of_the_checkout(archives: Path, tmp_path: Path) -> None:
    """Assert that nothing a wheel needs is missing in the sdist."""
    command = (sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path / "out")
    call(*command, checkout(tmp_path / "source"), cwd=tmp_path)
    (of_sdist,), (direct,) = archives.glob("*.whl"), (tmp_path / "out").glob("*.whl")
    assert of_sdist.read_bytes() == direct.read_bytes()


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
def test_the_metadata_is_complete_and_addresses_are_those_of_citation_cff(archives: Path, tmp_path: Path) -> None:
    """Assert name, version, licences and extras; and that an address comes from CITATION.cff alone."""
    (wheel,) = archives.glob("*.whl")
    found = metadata(wheel)
    assert (found["Name"], found["Version"], found["License-Expression"]) == ("samplerproof", PROJECT["version"], "MIT")
    assert found.get_all("License-File") == ["LICENSE", "THIRD_PARTY.md"]
    assert found["Requires-Python"] == ">=3.11"
    assert {*found.get_all("Provides-Extra", [])} == {*PROJECT["optional-dependencies"]}
    assert found.get_payload().startswith("# samplerproof")  # type: ignore[union-attr]
    said = {key for key in ("url", "repository-code", "doi") if key in CITATION}
    assert len(found.get_all("Project-URL", [])) == len(said)
    source = checkout(tmp_path / "source")
    with (source / "CITATION.cff").open("a", encoding="utf-8") as file:
        file.write(PLANTED)
    built(source, tmp_path / "dist")
    (planted,) = (tmp_path / "dist").glob("*.whl")
    addresses = metadata(planted).get_all("Project-URL", [])
    assert "Repository, https://example.org/planted" in addresses
    assert "DOI, https://doi.org/10.5281/zenodo.1" in addresses


SMOKE = """import json, subprocess, sys
from pathlib import Path

folder = Path(sys.executable).parent

def run(*words):
    return subprocess.run([folder / "samplerproof", *words], check=True, capture_output=True, text=True).stdout

print(run("--version").split()[1])
print(len(json.loads(run("methods", "--json"))) > 70)
print(json.loads(run("prove", "dpm-solver++-2m", "ddpm", "--json"))[0]["proved_order"])
print("SHA-256" in run("cite", "--theorem", "claim-2m-collapsed"))
print(json.loads(run("study", "one.toml", "--json"))["records"][0]["method"])
print(json.loads(run("advise", "rings", "--nfe", "4", "--json"))["choice"]["nfe"])
"""


@pytest.mark.slow
def test_a_fresh_environment_installs_the_wheel_and_works(archives: Path, tmp_path: Path) -> None:
    """Assert that an environment with nothing but the wheel and what it asks for passes a smoke set."""
    (wheel,) = archives.glob("*.whl")
    (pinned,) = re.findall(r"^TORCH := (torch==\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)
    call(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    call(
        python, "-m", "pip", "install", "-q", "--no-compile", "--disable-pip-version-check", wheel, pinned, cwd=tmp_path
    )
    call(python, "-m", "pip", "check", cwd=tmp_path)
    shutil.copy(ROOT / "book" / "one_sampler.toml", tmp_path / "one.toml")
    (tmp_path / "smoke.py").write_text(SMOKE, encoding="utf-8")
    lines = call(python, "smoke.py", cwd=tmp_path).split()
    assert lines[:4] == [PROJECT["version"], "True", "2", "True"]
    assert lines[5] == "4"
    shutil.copy(ROOT / "example.py", tmp_path)  # a program imports what lies beside it first
    printed = call(python, "example.py", cwd=tmp_path)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"    {line}" in readme for line in printed.splitlines())
