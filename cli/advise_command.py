"""`samplerproof advise`: which sampler on which levels, for a model and a number of evaluations."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ..numerics.support.consent import Consent
from .folders import folder_of
from .shared_parameters import AllowCode, AllowPickle, Device, Hub, Json, Model, Out


def advise(
    target: Model,
    nfe: Annotated[int, typer.Option(help="Evaluations of the model in a run.")],
    budget: Annotated[int, typer.Option(help="Evaluations of the model for the answer, a sample each.")] = 500,
    seed: Annotated[int, typer.Option(help="Seed of the start samples.")] = 0,
    designs: Annotated[
        list[str] | None, typer.Option("--design", metavar="FILE", help="A table file as a further candidate.")
    ] = None,
    json: Json = False,
    out: Out = "results/advice",
    device: Device = "cpu",
    allow_pickle: AllowPickle = False,
    allow_code: AllowCode = False,
    hub: Hub = False,
    html: Annotated[Path | None, typer.Option(help="Write the answer as a page too.")] = None,
) -> None:
    """Choose a sampler and its levels for a model, at a number of evaluations."""
    from ..numerics.advice.advice import advise as answered
    from ..numerics.advice.advice_targets import question_of
    from ..numerics.studies.network_record import check_record, keep_advice
    from ..numerics.table_file import read_table
    from . import show
    from .interruption import interruptible, kept

    if html is not None:
        from ..book import advice_page, offline_page

        offline_page.check(html)
    started = datetime.now(UTC)
    folder, consent = folder_of(out), Consent(allow_pickle, allow_code, hub)
    asked = question_of(target, nfe, budget, seed, consent, device)
    if asked.checkpoint is not None:
        check_record(folder, asked.checkpoint)
    designed = {name: read_table(name, "--design") for name in designs or []}
    with interruptible("advise", kept("parts", f"{folder}/") if asked.identity is not None else None) as progress:
        answer = answered(asked, folder, progress, designed)
    plain = answer.plain()
    if asked.checkpoint is not None:
        keep_advice(folder, asked.checkpoint, device, plain, started)
    if html is not None:
        offline_page.write(advice_page.page(plain, target), html)
    if json:
        show.json(plain)
    else:
        print(answer)
