"""The wheel: complete, typed, and enough for a user far from this repository."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest
from checkouts import call, checkout

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
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel, and what it needs from this one."""
    folder = tmp_path_factory.mktemp("wheel")
    source = checkout(folder / "source")
    options = ("-q", "--disable-pip-version-check", "--no-deps", "--no-build-isolation")
    call(sys.executable, "-m", "pip", "wheel", *options, "-w", folder, source, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    call(sys.executable, "-m", "venv", "--without-pip", folder / "env", cwd=folder)
    (library,) = (folder / "env").glob("lib/python*/site-packages")
    call(sys.executable, "-m", "pip", "install", *options[:3], "--target", library, wheel, cwd=folder)
    below = [path for path in sys.path if path.endswith("site-packages")]
    (library / "zz_needed.pth").write_text("\n".join(below) + "\n", encoding="utf-8")
    return folder / "env" / "bin" / "python"


@pytest.mark.slow
def test_the_wheel_holds_the_types_and_the_kept_networks(installed: Path) -> None:
    """Assert that the wheel has py.typed and the project's networks, and no tests."""
    (wheel,) = installed.parents[2].glob("*.whl")
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
    assert "Success" in call(*mypy, "typed.py", cwd=folder)
    (folder / "mistaken.py").write_text("import samplerproof as sp\nsp.method(3)\n", encoding="utf-8")
    assert "incompatible type" in call(*mypy, "mistaken.py", cwd=folder, fails=True)


@pytest.mark.slow
def test_ten_lines_run_far_from_the_repository(installed: Path, tmp_path: Path) -> None:
    """Assert that a user's own lines run from the wheel, in a folder outside of the repository."""
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    lines = call(installed, "own.py", cwd=tmp_path).splitlines()
    assert lines[:2] == ["True", "1 True"]
    assert Path(lines[2]).is_relative_to(installed.parents[1])
