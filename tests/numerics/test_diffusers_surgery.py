"""Surgery on the U-Nets of diffusers, small ones with random weights: against their own blocks, and bad input."""

from __future__ import annotations

import pytest
import torch
from diffusers import DiTTransformer2DModel, UNet2DConditionModel, UNet2DModel
from torch import Tensor, nn

from samplerproof.numerics.checkpoints.diffusers_checkpoint import Conditioned
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.surgery.low_rank import input_moments, low_rank, ranks_of
from samplerproof.numerics.surgery.macs import counted_macs
from samplerproof.numerics.surgery.scaled_skips import skips
from samplerproof.numerics.surgery.stale_unet import inherited, propagated

SIZES = {"sample_size": 8, "in_channels": 1, "out_channels": 1, "block_out_channels": (8, 16), "norm_num_groups": 4}
X = torch.randn(3, 2, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
T = torch.tensor([700.0, 500.0, 300.0], dtype=torch.float64)


@pytest.fixture(scope="module")
def plain() -> UNet2DModel:
    torch.manual_seed(0)
    kinds = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D")}
    return UNet2DModel(**SIZES, **kinds, layers_per_block=1, attention_head_dim=4).double().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def conditioned() -> Conditioned:
    torch.manual_seed(0)
    kinds = {
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }
    model = UNet2DConditionModel(**SIZES, **kinds, layers_per_block=1, cross_attention_dim=8, attention_head_dim=4)
    text = torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return Conditioned(model.double().eval().requires_grad_(False), 1, None, text).double()


def call(network: nn.Module, n: int) -> Tensor:
    """The answer at the n-th place of X and T."""
    with torch.no_grad():
        found = network(X[n], T[n].expand(len(X[n])))
    return found if isinstance(found, Tensor) else found.sample


def by_hand(net: UNet2DModel, encoded: int, decoded: int) -> Tensor:
    """The decoder at one place from the encoder at another, with the network's own blocks."""
    with torch.no_grad():
        emb = [net.time_embedding(net.time_proj(T[n].expand(2)).double()) for n in (encoded, decoded)]
        h = net.conv_in(X[encoded])
        found = (h,)
        for block in net.down_blocks:
            h, more = block(hidden_states=h, temb=emb[0])
            found += more
        h = net.mid_block(h, emb[0])
        for block in net.up_blocks:
            count = len(block.resnets)
            h, found = block(h, found[-count:], emb[1]), found[:-count]
        return net.conv_out(net.conv_act(net.conv_norm_out(h)))


def test_a_stale_encoder_is_the_networks_own_blocks_at_two_levels(plain: UNet2DModel) -> None:
    """Assert it against the blocks by hand, the linear extrapolation in t of a linear part, and fewer products."""
    stale = propagated(plain, q=2)
    assert torch.equal(call(stale, 0), call(plain, 0))
    assert torch.allclose(call(stale, 1), by_hand(plain, 0, 1), rtol=0, atol=1e-12)
    assert not torch.allclose(call(plain, 1), by_hand(plain, 0, 1), atol=1e-6)
    with counted_macs(stale) as fresh:
        call(stale, 2)
    fewer = propagated(plain, q=2)
    call(fewer, 0)
    with counted_macs(fewer) as reused:
        call(fewer, 1)
    assert 0 < reused.total < fresh.total


def test_extrapolated_features_are_linear_in_the_time(conditioned: Conditioned) -> None:
    """Assert at the middle block the line through both evaluations for m = 2, and the last evaluation for m = 1."""
    wholes = []
    for m in (1, 2):
        stale, seen = propagated(conditioned, q=3, m=m), []
        stale.model.unet.mid_block.register_forward_hook(lambda _, inputs, output, seen=seen: seen.append(output))
        for n in range(3):
            call(stale, n)
        wholes.append(seen)
    one, two = wholes
    assert torch.equal(one[2], one[0])
    first, second, third = two
    line = second + (second - first) * float((T[2] - T[1]) / (T[1] - T[0]))
    assert torch.allclose(third, line, rtol=0, atol=1e-12)
    assert not torch.allclose(third, line + 1e-6, rtol=0, atol=1e-12)


def test_every_call_a_refresh_changes_no_bit(plain: UNet2DModel, conditioned: Conditioned) -> None:
    for network in (plain, conditioned):
        fresh, ones = propagated(network, q=1), skips(network, [1.0, 1.0])
        for n in range(2):
            assert torch.equal(call(fresh, n), call(network, n))
            assert torch.equal(call(ones, n), call(network, n))
        assert type(fresh) is (Conditioned if network is conditioned else type(fresh))


def test_scaled_skips_are_additional_residuals_of_the_library(conditioned: Conditioned) -> None:
    """Assert that factors by level are what the network makes of residuals (rho - 1) skip, its own arguments."""
    model, text = conditioned.model, conditioned.condition.expand(2, 3, 8)
    seen: list[Tensor] = []
    hooks = [
        block.register_forward_pre_hook(
            lambda _, args, named: seen.extend(reversed(named["res_hidden_states_tuple"])), with_kwargs=True
        )
        for block in model.up_blocks
    ]
    call(conditioned, 0)
    for hook in hooks:
        hook.remove()
    rhos = [0.5] * 2 + [0.7] * 2  # the decoder reads the coarse skips first
    more = tuple((rho - 1) * skip for rho, skip in zip(rhos, seen, strict=True))[::-1]
    with torch.no_grad():
        zero = torch.zeros((), dtype=torch.float64)
        expected = model(X[0], T[0], text, down_block_additional_residuals=more, mid_block_additional_residual=zero)
    found = call(skips(conditioned, [0.7, 0.5]), 0)
    assert torch.allclose(found, expected.sample, rtol=0, atol=1e-13)
    assert not torch.allclose(call(skips(conditioned, [0.7, 0.5 + 1e-6]), 0), expected.sample, rtol=0, atol=1e-13)
    assert not torch.equal(found, call(conditioned, 0))


def test_low_rank_of_the_networks_of_diffusers(conditioned: Conditioned) -> None:
    """Assert that the full rank is the network to rounding, half of it not, and that data weigh the loss of a layer."""
    full, half = (low_rank(conditioned, ranks_of(conditioned, share)) for share in (1.0, 0.5))
    assert torch.allclose(call(full, 0), call(conditioned, 0), rtol=0, atol=1e-12)
    assert not torch.allclose(call(half, 0), call(conditioned, 0), rtol=0, atol=1e-6)
    name = "model.mid_block.resnets.0.conv1"
    with torch.no_grad():
        moments = input_moments(conditioned, [name], [(X[0], T[:1].expand(2))])
    matrix = conditioned.get_submodule(name).weight.flatten(1)
    errors = []
    for given in (None, moments):
        first, second = low_rank(conditioned, {name: 4}, given).get_submodule(name)
        away = matrix - second.weight.flatten(1) @ first.weight.flatten(1)
        errors.append(float((away @ moments[name] @ away.T).trace()))
    assert errors[1] < errors[0]


def test_networks_without_skips_and_other_bad_input(plain: UNet2DModel) -> None:
    """Assert one line each: a transformer, blocks of another kind, factors, a second run, another batch."""
    transformer = DiTTransformer2DModel(
        num_attention_heads=1, attention_head_dim=4, in_channels=1, num_layers=1, sample_size=4, norm_num_groups=1
    )
    for change in (lambda net: skips(net, [1.0]), lambda net: propagated(net, q=2)):
        with pytest.raises(
            InputError, match=r"^network: got 'DiTTransformer2DModel'; a network with skips: a UNet of "
        ):
            change(transformer)
    with pytest.raises(InputError, match=r"a network with skips: a UNet of this package$"):
        inherited(plain, q=2)
    with pytest.raises(InputError, match=r"^factors: got '1 numbers'; 2, one for each level"):
        skips(plain, [0.5])
    kinds = {"down_block_types": ("SkipDownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "UpBlock2D")}
    other = UNet2DModel(**SIZES, **kinds, layers_per_block=1)
    with pytest.raises(InputError, match=r"^network: got 'SkipDownBlock2D'"):
        propagated(other, q=2)
    stale = propagated(plain, q=3)
    call(stale, 0)
    with pytest.raises(InputError, match=r"^at: got 'minus the time = -700 after -700'"):
        call(stale, 0)
    stale = propagated(plain, q=3)
    call(stale, 0)
    with pytest.raises(InputError, match=r"^y: got '1 samples'; 2"):
        stale(X[1][:1], T[1:2])
