"""The page on a network that others trained and published, from its kept results."""

from __future__ import annotations

from ...numerics.checkpoints.packaged_checkpoint import PACKAGE, VERSION
from ..records.kept_records import Entry
from ..records.study_results import PICTURE
from ..tables.network_tables import published
from .myst import ONE_SIDEBAR, origin

FILE = "published_network.md"

TEXT = f"""# A network that others trained

The package 21cmpsdenoiser of Breitman et al. (MIT) has a U-Net that removes the sample variance from power
spectra of the 21-cm signal. It predicts the noise on VP-linear, given the spectrum of one simulated volume.
`checkpoint = "{PACKAGE}"` is that network, once the package is installed without its dependencies, and einops:

    pip install --no-deps {PACKAGE}=={VERSION}
    pip install einops

The checks of a checkpoint find the prediction that its authors state, and name it where another one is claimed. Its
law given a condition is narrower than the noise at the cleanest level, so that they compare its mean. The
convolutions of the package use another constant in float64 and bfloat16 than in float32; here the weights are
normalised once with the constant of the training, so that float64 is the same network.

DDIM has its proved order from the fewest steps on. The errors of the methods of higher order fall about as fast as
proved, or faster, in the first doubling of the steps, and then more slowly: their observed order does not settle, and
with more steps the error comes near to that of the reference, whose distance from a run of half its steps stands
below. The last table has the evaluations after which the samples have an error of one hundredth of their size."""


def published_network(entries: dict[str, Entry]) -> dict[str, str | bytes]:
    """File -> content: the page and its picture.  entries: the kept results by network."""
    parts = [TEXT]
    for entry in entries.values():
        made = f"Made on {entry['device']}, {origin(entry['manifest'])}, in {entry['manifest']['seconds']:.0f} seconds."
        parts += [published(entry), made]
    text = "Samples given one condition: a line for each sampler, more evaluations further right"
    parts.append(f"## Samples\n\n```{{figure}} networks/{PICTURE.name}\n:alt: {text}\n\n{text}.\n```")
    return {FILE: ONE_SIDEBAR + "\n\n".join(parts) + "\n", f"networks/{PICTURE.name}": PICTURE.read_bytes()}
