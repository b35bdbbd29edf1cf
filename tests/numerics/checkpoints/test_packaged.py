"""The checkpoint inside 21cmpsdenoiser: what it is without the package, and with it, where it is installed."""

import importlib.util
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from samplerproof.numerics.checkpoints import packaged_checkpoint as packaged
from samplerproof.numerics.checkpoints.checkpoint import Checkpoint
from samplerproof.numerics.checkpoints.checkpoint_checks import check
from samplerproof.numerics.checkpoints.load import load
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.schedules import schedule


def installed() -> bool:
    try:
        distribution("einops")
        return distribution(packaged.PACKAGE).version == packaged.VERSION
    except PackageNotFoundError:
        return False


needs_package = pytest.mark.skipif(not installed(), reason=f"needs {packaged.PACKAGE} and einops")


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return packaged.load_packaged(None, None)


@pytest.mark.parametrize("missing", ["21cmpsdenoiser", "einops"])
def test_a_missing_package_is_named_with_both_installs(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that one line names what is missing, the package without its dependencies, and einops."""

    def found(name: str) -> Any:
        if name == missing:
            raise PackageNotFoundError(name)
        return None

    monkeypatch.setattr(packaged, "distribution", found)
    with pytest.raises(InputError, match=rf"{missing} is not installed: .*--no-deps 21cmps.*==1.0.2, .* einops$"):
        load("21cmpsdenoiser")


def test_a_changed_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that code other than that of the version validated is not run."""
    (tmp_path / "psdenoiser").mkdir()
    (tmp_path / "psdenoiser" / "model.py").write_text("raise SystemExit\n", encoding="utf-8")

    class Other:
        version = "1.0.3"

        def locate_file(self, name: str) -> Path:
            return tmp_path / name

    monkeypatch.setattr(packaged, "distribution", lambda name: Other())
    with pytest.raises(InputError, match=r"psdenoiser/model.py of version 1.0.2; this one, of 1.0.3, has another SHA"):
        load("21cmpsdenoiser")


@needs_package
def test_its_network_is_the_package_s_own(checkpoint: Checkpoint) -> None:
    """Assert that float32 agrees to rounding, that float64 is the same network, and the package's float64 is not."""
    state = torch.random.get_rng_state()
    files = packaged._files()
    packaged._network(files)
    assert torch.equal(torch.random.get_rng_state(), state)
    spec = importlib.util.spec_from_file_location("own_model", files["model.py"])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with torch.random.fork_rng():
        spec.loader.exec_module(module)
        own = module.UNet(dim=(32, 16), channels=2, dim_mults=(1, 2, 4, 8)).eval()
    own.load_state_dict(torch.load(files["denoiser_model.pt"], weights_only=True))
    x = torch.randn(1, 1, 32, 16, generator=torch.Generator().manual_seed(0))
    t, condition = torch.tensor([300.0]), checkpoint.network.condition
    with torch.no_grad():
        single = own(x, t, x_cdn=condition)
        double = own.double()(x.double(), t.double(), x_cdn=condition.double())  # type: ignore[operator]
    at = schedule("vp-linear", beta_min=0.1, beta_max=20.0).point(300 / 999)
    for dtype in (torch.float32, torch.float64):
        noise = checkpoint.denoiser(dtype)(x.to(dtype), at, "noise")
        assert float((noise - single).square().mean().sqrt()) < 1e-4
    assert float((double - single).square().mean().sqrt()) > 0.05


@needs_package
@pytest.mark.slow
@pytest.mark.parametrize("lie", ["data", "v", "flow"])
def test_a_lie_about_its_prediction_is_named(checkpoint: Checkpoint, lie: str) -> None:
    """Assert that the checks name noise where another prediction is claimed; the truth passes in `load`."""
    with pytest.raises(InputError, match=r"like one that predicts 'noise'"):
        check(replace(checkpoint, prediction=lie))


@needs_package
def test_a_condition_is_a_spectrum(tmp_path: Path, checkpoint: Checkpoint) -> None:
    """Assert that a spectrum of one's own is the condition, normalised, and that other arrays are refused."""
    data = {"format": 1, "kind": "package", "package": "21cmpsdenoiser", "condition": "mine.npy"}
    np.save(tmp_path / "mine.npy", np.full((32, 16), 50.0))
    mine = packaged.load_packaged(tmp_path, data)
    assert mine.sha256 != checkpoint.sha256
    assert mine.network.condition[0, 0, 3, 4].item() == pytest.approx(2 * (np.log10(50) + 4) / 13.596837 - 1)
    for bad, reason in ((np.ones((16, 32)), r"bins of the package"), (-np.ones((32, 16)), "finite and positive")):
        np.save(tmp_path / "mine.npy", bad)
        with pytest.raises(InputError, match=reason):
            packaged.load_packaged(tmp_path, data)
    with pytest.raises(InputError, match="file in the same folder"):
        packaged.load_packaged(tmp_path, {**data, "condition": "../mine.npy"})
