"""The page on surgery: what a changed network costs, what it loses, and whether that is worth it."""

from __future__ import annotations

from ..markup import table
from ..records.kept_records import Entry
from ..records.technique_results import measured_of
from .myst import ONE_SIDEBAR, origin

FILE = "surgery.md"

PAGE = """# Surgery

A network can be changed after its training: its features taken from an earlier step, its skips scaled, its matrices
lowered in rank, a smaller network put in its place at some steps. Each change is a module with the network's own
call, so that a checkpoint has a denoiser as before. All numbers here are of the kept network of digits, or of a
mixture, whose features are its responsibilities.

```python
from dataclasses import replace

import samplerproof as sp

digits = sp.load_checkpoint("digits")
faster = replace(digits, network=sp.techniques.propagated(digits.network, q=2, m=2))
denoise = faster.denoiser()  # one for every run: it has the state of the run
```

## Stale features

Features are evaluated at every $q$-th step, and extrapolated in $\\lambda$ through their last $m$ evaluations
between; $m = 1$ is reuse. A multistep sampler of order $p$ has then the order $\\min(p, m)$
([`stale-features`](#claim-stale-features)): proved for every pattern of evaluations with rooted trees in which a
subtree of the features has a lag. Reuse makes every sampler first-order, and multiplies by $q$ the part of DDIM's
leading error that comes through the features ([`stale-features-leading`](#claim-stale-features-leading)). With $c$
times the error and $K$ times the cost of the plain sampler it is worth it iff $c K^p < 1$
([`break-even`](#claim-break-even)); where $m < p$, $c$ grows with the number of steps.

The encoder and the middle block stale, as in Faster Diffusion; first a mixture:

{propagated}

All below the finest level stale, one of A-SDM's inheritances:

{inherited}

On this network no row is worth it: the plain sampler with fewer steps is better at the same cost. A network whose
features change less, or whose encoder has a larger share of the cost, can have another verdict: at $q = 2$ DDIM
gains iff the share of its leading error that comes through the features is below $s/(2 - s)$, $s$ the encoder's
share of the cost.

## Scaled skips

In a block that normalises skip and backbone in separate groups of channels a factor of the skip acts through the 1
x 1 shortcut alone ([`skip-scale`](#claim-skip-scale)).

{skips}

## Low rank

The nearest matrix of a rank is the truncated singular value decomposition; the nearest in its outputs is another
one ([`low-rank-weighted`](#claim-low-rank-weighted)). Excess losses of both:

{low_rank}

## A smaller network for some steps

In steps equal in t a member of low rank in the last 40 % of them moves the samples {late} times as far as in the
first 40 %; in steps equal in $\\lambda$, which begin later, nearly as far. [A-SDM's page](techniques/a-sdm.md) has
the figure.

## Limits

Published speed-ups are of large networks on a GPU, and published distances are FID of their images: neither is
reproduced here. Costs are multiply-accumulates of convolutions and linear layers. Samplers that evaluate the model
twice at one level, or turn back, are refused. `skips`, `propagated` and `low_rank` take the U-Nets of diffusers as well
(UNet2DModel, UNet2DConditionModel); none with trained weights was tried. No network was trained after its surgery.
"""


def surgery_page(results: dict[str, Entry]) -> dict[str, str]:
    """File -> text.  results: what is kept of the techniques."""

    def measured(name: str) -> str:
        entry = results[name]
        found = measured_of(entry)
        made = f"Made {origin(entry['manifest'])}; [the page of it](techniques/{name}.md)."
        return f"{table(found.head, found.rows)}\n\n{made}"

    text = PAGE.format(
        propagated=measured("faster-diffusion"),
        inherited=measured("a-sdm"),
        skips=measured("skip-tuning"),
        low_rank=measured("plrd"),
        late=f"{results['a-sdm']['number']:.3g}",
    )
    return {FILE: ONE_SIDEBAR + text}
