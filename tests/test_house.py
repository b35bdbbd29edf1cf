"""The walls stand, and they bite; the package list is whole; the command line starts light."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.check

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = ("names", "theory", "numerics", "book", "cli")  # below samplerproof/, which is the front door


def test_package_list_equals_the_folders() -> None:
    """Assert that a wheel misses no folder with Python files, and names none that is not there."""
    folders = {
        ".".join(("samplerproof", *path.parent.relative_to(ROOT).parts))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    front = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "samplerproof").rglob("*.py")}
    assert sorted(PYPROJECT["tool"]["setuptools"]["packages"]) == sorted(front | folders)


def test_every_package_folder_has_an_init_file() -> None:
    """Assert that no folder is a package by accident only."""
    folders = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def copy_of_the_house(folder: Path) -> Path:
    shutil.copytree(ROOT / "samplerproof", folder / "samplerproof", ignore=shutil.ignore_patterns("__pycache__"))
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / "samplerproof" / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def walls(folder: Path) -> subprocess.CompletedProcess[str]:
    """The contracts of pyproject.toml, checked on the packages below that folder."""
    program = "import sys; from importlinter.cli import lint_imports_command as run; run()"
    config = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", program, *config], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_the_walls_stand(tmp_path: Path) -> None:
    """Assert that the house as it is keeps every contract."""
    done = walls(copy_of_the_house(tmp_path))
    assert done.returncode == 0, done.stdout


PLANTED = [  # package, an import through a wall, the wall
    ("theory", "import torch", "theory imports neither torch nor numerics"),
    ("theory", "from ..numerics import errors", "theory imports neither torch nor numerics"),
    ("numerics", "from sympy import Symbol", "numerics imports neither theory nor sympy"),
    ("numerics", "def late():\n    from ..theory import phi", "numerics imports neither theory nor sympy"),
    ("names", "from ..theory import method", "names imports neither side"),
    ("names", "from ..numerics import records", "names imports neither side"),
    ("numerics", "from ..cli import main", "nothing imports cli"),
    ("book", "from ..cli import main", "nothing imports cli"),
    ("theory", "from ..book import markup", "neither side imports the book"),
    ("numerics", "from ..book import markup", "neither side imports the book"),
    ("numerics/conformance/adapters", "from ..process import launch", "the verifier has one direction"),
    ("numerics/conformance/process", "from ..judge import verdict", "the verifier has one direction"),
    ("numerics/conformance/judge", "from ..process import probes", "the verifier has one direction"),
    ("numerics/conformance/judge", "from ..adapters import target", "the judge of a sampler imports no adapter"),
]
EARLIER = [[wall for _, _, wall in PLANTED[:k]].count(plant[2]) for k, plant in enumerate(PLANTED)]  # of its wall
ROUNDS = [[plant for plant, n in zip(PLANTED, EARLIER, strict=True) if n == k] for k in range(max(EARLIER) + 1)]


@pytest.mark.parametrize("plants", ROUNDS, ids=lambda plants: f"{len(plants)} walls")
def test_planted_imports_are_caught(tmp_path: Path, plants: list[tuple[str, str, str]]) -> None:
    """Assert that each wall fails on one import through it, inside a function too; each round has one for each wall."""
    house = copy_of_the_house(tmp_path)
    for k, (package, statement, _) in enumerate(plants):
        (house / "samplerproof" / package / f"planted_{k}.py").write_text(f"{statement}\n", encoding="utf-8")
    done = walls(house)
    assert done.returncode == 1, done.stdout + done.stderr
    for _, _, broken in plants:
        assert re.search(rf"{re.escape(broken)}\s+BROKEN", done.stdout), done.stdout


def test_help_imports_nothing_heavy_and_is_quick() -> None:
    """Assert that `samplerproof --help` loads no torch, sympy, matplotlib, pydantic or scipy."""
    program = (
        "import sys; sys.argv = ['samplerproof', '--help']\n"
        "from samplerproof.cli.main import run\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        "print('LOADED', *sorted({'torch', 'sympy', 'matplotlib', 'pydantic', 'scipy', 'numpy'} & set(sys.modules)))"
    )
    times = []
    for _ in range(3):
        begin = os.times()
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        end = os.times()
        times.append(end.children_user + end.children_system - begin.children_user - begin.children_system)
        assert done.stdout.splitlines()[-1] == "LOADED"
        assert "study" in done.stdout
    assert min(times) < 0.3  # CPU seconds; 0.1 on an idle machine


def test_the_catalogue_needs_neither_torch_nor_sympy() -> None:
    """Assert that `samplerproof methods --json` answers from records alone."""
    program = (
        "import sys; from samplerproof.cli.methods_command import catalogue; catalogue()\n"
        "print(*sorted({'torch', 'sympy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_version_is_said_once_and_the_same_everywhere() -> None:
    """Assert that CITATION.cff and CHANGELOG.md speak of the version in pyproject.toml."""
    version = PYPROJECT["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_a_file_is_found_by_its_name() -> None:
    """Assert that no two hand-written modules share a file name, so that an editor's tab tells which one it shows."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.name[0] != "_"]
    paths = [path for path in paths if "generated" not in path.parts]
    assert [name for name, count in Counter(path.name for path in paths).items() if count > 1] == []


def test_files_are_short() -> None:
    """Assert that no hand-written file outgrows one idea."""
    long = {
        str(path.relative_to(ROOT)): lines
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "generated" not in path.parts and (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


WINDOWS = """
import importlib, os, signal, sys
import matplotlib.figure, pydantic, rich.progress, scipy.optimize, sympy, torch, typer
for name in "fcntl grp pty pwd resource syslog termios tty".split():
    sys.modules[name] = None
for module, names in {
    signal: "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPROF SIGQUIT SIGSTOP SIGUSR1 setitimer pthread_kill",
    os: "fork geteuid getpgid getuid killpg mkfifo setpgid setsid sysconf WNOHANG O_NOFOLLOW O_NONBLOCK",
}.items():
    for name in names.split():
        delattr(module, name)
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except (ImportError, AttributeError):
        print(name)
"""


@pytest.mark.slow
def test_every_module_can_be_imported_on_windows(tmp_path: Path) -> None:
    """Assert that no module needs at its top a module, signal or function that only POSIX has; planted ones fail."""
    modules = [
        ".".join(("samplerproof", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__main__.py"  # importing it runs the command
    ]
    planted = {"one": "import resource", "two": "from signal import SIGHUP", "three": "import os\nstart = os.fork"}
    for name, code in planted.items():
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", WINDOWS, "samplerproof", *modules, *planted],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert len(modules) > 200
    assert done.stdout.split() == [*planted], done.stderr
