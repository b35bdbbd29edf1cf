"""`samplerproof advise`: which sampler on which levels, for a model and a number of evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..numerics.advice.advice import Advice
from ..numerics.advice.advice import advise as answer
from ..numerics.advice.advice_targets import question_of
from ..numerics.support.consent import Consent
from ..numerics.table_file import read_table
from .interruption import interruptible, kept


def advise(
    target: str,
    nfe: int,
    budget: int,
    seed: int,
    designs: Sequence[str],
    folder: Path,
    consent: Consent,
    device: str,
) -> Advice:
    """The advice on a target, with progress; recordings and confirmations are kept in the folder."""
    asked = question_of(target, nfe, budget, seed, consent, device)
    designed = {name: read_table(name, "--design") for name in designs}
    keeps = kept("parts", f"{folder}/") if asked.identity is not None else None
    with interruptible("advise", keeps) as progress:
        return answer(asked, folder, progress, designed)
