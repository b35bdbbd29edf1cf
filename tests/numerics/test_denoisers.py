"""One contract: whatever a network predicts, the loop gets what it asks for."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from samplerproof.numerics.denoisers import adapt, convert
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.generated.prediction_functions import PREDICTIONS
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.targets.mixture import GaussianMixture

MIXTURE = GaussianMixture([0.4, 0.6], [-1.0, 1.0], stds=[0.5, 0.3])
X = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]


@pytest.mark.parametrize("kind", ["vp-linear", "flow", "cosine"])
@pytest.mark.parametrize("gives", PREDICTIONS)
@pytest.mark.parametrize("wanted", PREDICTIONS)
@given(t=st.floats(0.1, 0.9))
def test_adapters_agree_with_the_mixture_itself(kind: str, gives: str, wanted: str, t: float) -> None:
    parameters = {"beta_min": 0.1, "beta_max": 20.0} if kind == "vp-linear" else {}
    at = schedule(kind, **parameters).point(t)
    adapted = adapt(lambda x, where: MIXTURE(x, where, gives), prediction=gives)
    expected = MIXTURE(X, at, wanted)
    assert torch.allclose(adapted(X, at, wanted), expected, rtol=1e-9, atol=1e-11)
    # and not when the network's prediction is given another name
    other = PREDICTIONS[(PREDICTIONS.index(gives) + 1) % len(PREDICTIONS)]
    mistaken = adapt(lambda x, where: MIXTURE(x, where, gives), prediction=other)
    assert not torch.allclose(mistaken(X, at, wanted), expected)


def test_the_network_sees_its_own_dtype_and_the_loop_its_own() -> None:
    seen = []

    def network(x: torch.Tensor, at: object) -> torch.Tensor:
        seen.append(x.dtype)
        return x * 0

    value = adapt(network, prediction="noise", dtype=torch.float32)(X, schedule("edm").point(1.0), "data")
    assert seen == [torch.float32]
    assert value.dtype == torch.float64
    assert torch.equal(value, X)


def test_conversion_to_itself_is_the_same_tensor() -> None:
    assert convert(X, X, schedule("edm").point(1.0), "noise", "noise") is X


def test_an_unknown_prediction_is_refused() -> None:
    with pytest.raises(InputError, match="nearest: noise"):
        adapt(lambda x, at: x, prediction="noize")
