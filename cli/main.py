"""The commands. Exit codes: 0 success, 1 the answer is no, 2 wrong usage or input, 3 a fault of samplerproof."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..numerics.errors import LONGEST, InputError, SamplingError, one_line
from ..numerics.support.consent import Consent
from . import catalogue_commands, completion
from .advise_command import advise
from .design_command import design
from .examples import epilog
from .folders import folder_of, results_of
from .shared_parameters import (
    AllowCode,
    AllowPickle,
    AnyMethods,
    Checkpoint,
    Device,
    ExportFormat,
    Hub,
    Json,
    MaybeKind,
    Out,
    Schedule,
    SomeMethods,
)

# A study's tensors are small: a second thread gains nothing, and on a busy machine it costs a factor of ten.
os.environ.setdefault("OMP_NUM_THREADS", "1")

app = typer.Typer(
    help="An executable appendix to the theory of diffusion samplers.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def run() -> None:
    """Entry point: an expected fault is one line on standard error and exit code 2, never a traceback.

    An unexpected exception is a fault of samplerproof, exit code 3; an interrupted command ends with 130.
    """
    from . import crash_report, interruption, signals

    crash_report.hold_back_runtime_warnings()
    try:
        with signals.by_signals():
            completion.enable(app)
            sys.exit(app(prog_name=completion.PROGRAM, standalone_mode=False))
    except (InputError, SamplingError, OSError) as fault:
        line, code = one_line(fault, LONGEST), 2
    except interruption.Interrupted as ended:
        line, code = str(ended), interruption.CODE
    except Exception as fault:
        ended_by = signals.ending(fault)
        line, code = crash_report.line_of(fault) if ended_by is None else ("", ended_by)
    if line:
        print(f"samplerproof: {line}", file=sys.stderr)
    sys.exit(code)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"samplerproof {version('samplerproof')}")
        raise typer.Exit


def _completion(shell: completion.Shell | None) -> None:
    if shell is not None:
        print(completion.script(shell))
        raise typer.Exit


@app.callback(epilog=epilog("samplerproof"))
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    shell: Annotated[
        completion.Shell | None,
        typer.Option(
            "--completion",
            callback=_completion,
            is_eager=True,
            help='Print the completion of a shell, for its start file: eval "$(samplerproof --completion bash)"',
        ),
    ] = None,
) -> None:
    """An executable appendix to the theory of diffusion samplers."""


@app.command(short_help="Write figures, tables and records, with a manifest.", epilog=epilog("reproduce"))
def reproduce(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer points and steps, for a first look.")] = False,
    with_checkpoints: Annotated[
        bool, typer.Option("--with-checkpoints", help="Networks too, with records of others below --out.")
    ] = False,
    device: Annotated[str, typer.Option(help="Device of the networks.")] = "cpu",
    seeds: Annotated[bool, typer.Option("--seeds", help="Only the table of techniques.")] = False,
    out: Out = "results",
) -> None:
    """Write the convergence figures, tables and records, with a manifest."""
    from ..book.reproduce import reproduce
    from . import show
    from .interruption import interruptible, kept

    folder = folder_of(out)
    if seeds:
        if quick or with_checkpoints or device != "cpu":
            raise InputError("--seeds", "with another option", "alone, or with --out")
        from ..book.seeds import reproduce_seeds

        with interruptible("reproduce") as progress:
            rows = reproduce_seeds(folder, progress)
        show.seeds(rows)
        show.written(folder)
        return
    with interruptible("reproduce", kept("runs", f"{folder}/")) as progress:
        answer = reproduce(folder, quick, progress, with_checkpoints, device)
    show.exponents(answer["exponents"])
    show.written(folder)


app.command(short_help="List the catalogue of samplers, or all of one.", epilog=epilog("methods"))(
    catalogue_commands.methods
)
app.command(short_help="List the kinds of grid, or print the levels of one.", epilog=epilog("grids"))(
    catalogue_commands.grids
)
app.command(epilog=epilog("derive"))(catalogue_commands.derive)


@app.command(short_help="Decide the order of samplers in exact algebra.", epilog=epilog("prove"))
def prove(
    names: AnyMethods = None,
    everything: Annotated[bool, typer.Option("--all", help="Every sampler of the catalogue.")] = False,
    tableau: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A tableau of your own, in TOML: see the manual.")
    ] = None,
    json: Json = False,
) -> None:
    """Decide the order of samplers in exact algebra; exit code 1 if a claim fails."""
    from . import show

    if tableau is not None:
        from .tableau_command import tableau_proof

        tableau_proof(tableau, bool(names) or everything, json)
        return

    from ..book.proofs import prove

    answer = prove(names or [], everything, certified=json)
    if json:
        show.json(answer)
    else:
        show.proofs(answer)
    if not all(entry["proved"] for entry in answer):
        raise typer.Exit(1)


@app.command(short_help="Measure your methods on your target and your grid.", epilog=epilog("study"))
def study(
    file: Annotated[Path, typer.Argument(help="A study file, in TOML.")],
    json: Json = False,
    out: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder to write to.  [default: results/<file stem>]")
    ] = None,
    device: Device = "cpu",
    large: Annotated[bool, typer.Option("--large", help="Consent to the stated cost in memory and time.")] = False,
    allow_pickle: AllowPickle = False,
    allow_code: AllowCode = False,
    hub: Hub = False,
    html: Annotated[Path | None, typer.Option(help="Write tables and figures as a page too.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes at a time.  [default: 1; for a list, one a processor]")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Use the workers of this dask.distributed scheduler.")
    ] = None,
) -> None:
    """Measure your target, on your grid, with your methods; or, by [verification], verify a list of samplers."""
    from ..numerics.studies.config import Verification, read
    from ..numerics.studies.run import run
    from . import show
    from .interruption import interruptible, kept

    wanted = read(file)
    folder = results_of(file) if out is None else folder_of(out)
    if html is not None:
        from ..book import offline_page

        if isinstance(wanted, Verification):
            raise InputError("--html", str(html), "a study; `verify --html` writes the page of one sampler")
        offline_page.check(html)
    if isinstance(wanted, Verification):
        from .verification_command import verification

        if code := verification(wanted, folder, json, file.parent, workers, scheduler):
            raise typer.Exit(code)
        return
    consent = Consent(allow_pickle, allow_code, hub, large)
    count = 1 if workers is None else workers
    with interruptible("study", kept("runs", f"{folder}/")) as progress:
        answer = run(wanted, folder, progress, consent, device, base=file.parent, workers=count, scheduler=scheduler)
    from ..numerics.studies.study_figure import draw_study  # matplotlib is slow to import

    draw_study(answer, folder)
    if html is not None:
        from ..book import study_page

        offline_page.write(study_page.page(answer, file.stem), html)
    if json:
        show.json(answer)
    else:
        show.study(answer)
        show.written(folder)


app.command(short_help="Choose a sampler and its levels for a model.", epilog=epilog("advise"))(advise)


@app.command(short_help="Find out which method a sampler is, and its order.", epilog=epilog("verify"))
def verify(
    target: Annotated[
        str,
        typer.Argument(
            help="LIBRARY:NAME?option=value&…, FILE.py:name, package.module:name; or table.json or run.json, of a "
            "port.",
            autocompletion=completion.targets,
        ),
    ],
    against: Annotated[
        str | None,
        typer.Option(help="The method that it should be.  [default: by its name]", autocompletion=completion.methods),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Number of steps of the run.  [default: 20, or as the levels of --grid]")
    ] = None,
    process: Annotated[str | None, typer.Option(help="ve, vp or flow: the coordinates of a function.")] = None,
    prediction: Annotated[str | None, typer.Option(help="What its model returns.  [default: data]")] = None,
    grid: Annotated[
        str | None, typer.Option(metavar="KIND|FILE", help="KIND?parameter=value&…, or a file of levels.")
    ] = None,
    begin: Annotated[int, typer.Option(metavar="K", help="Index of the level at which it begins (img2img).")] = 0,
    sweep: Annotated[bool, typer.Option("--sweep", help="Run its options and 1 to 60 steps too.")] = False,
    timeout: Annotated[float, typer.Option(help="Time limit for the target, in seconds.")] = 60.0,
    no_zero: Annotated[bool, typer.Option("--no-zero", help="Do not run a function on levels that end at 0.")] = False,
    path: Annotated[
        str | None, typer.Option(metavar="DIR", help="The folder with the library, such as a checkout of ComfyUI.")
    ] = None,
    json: Json = False,
    html: Annotated[Path | None, typer.Option(help="Write the answer as a page too.")] = None,
) -> None:
    """Find out which method a sampler is, and its order; exit code 1 if it does not conform."""
    from ..numerics.conformance.placement import placement
    from ..numerics.conformance.verify import verify
    from . import show, show_verdict
    from .interruption import interruptible

    where = placement(process, prediction, grid, begin)
    steps = (where.steps or 20) if steps is None else steps
    if html is not None:
        from ..book import offline_page, verdict_page

        offline_page.check(html)
    with interruptible("verify") as progress:
        verdict = verify(target, against, steps, timeout, sweep, progress, zero=not no_zero, where=where, path=path)
    if verdict.exit_code == 1:
        from ..numerics.conformance.repairs import with_repair

        verdict = with_repair(verdict)
    if html is not None:
        verdict_page.write(verdict, html)
    if json:
        show.json(verdict.plain())
    else:
        show_verdict.verdict(verdict)
    if verdict.exit_code:
        raise typer.Exit(verdict.exit_code)


@app.command(short_help="Write tables and golden vectors for ports.", epilog=epilog("export"))
def export(
    names: SomeMethods,
    grid: MaybeKind = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the grid, one less than its levels.")] = None,
    schedule: Schedule = "edm",
    vectors: Annotated[bool, typer.Option("--vectors", help="Golden vectors too: a run to reproduce.")] = False,
    format: Annotated[ExportFormat, typer.Option(help="The format of the files.")] = ExportFormat.json,
    out: Out = "results/export",
) -> None:
    """Write the tables of methods on a grid, and golden vectors, for ports to other languages."""
    from .export_command import export

    for path in export(names, grid, steps, schedule, vectors, folder_of(out)):
        print(path)


app.command(short_help="Make a table for a model.", epilog=epilog("design"))(design)
app.command(short_help="Print BibTeX of samplers, and of this appendix.", epilog=epilog("cite"))(
    catalogue_commands.cite
)


@app.command(short_help="Train one of the project's own networks.", epilog=epilog("train"))
def train(
    name: Checkpoint,
    out: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder to write to.  [default: results/checkpoints/<NAME>]")
    ] = None,
    device: Annotated[str, typer.Option(help="Device to train on.")] = "cpu",
) -> None:
    """Train one of the project's own networks; an interrupted run is continued."""
    from ..numerics.training.recipes import recipe_of
    from . import show
    from .interruption import interruptible, kept

    recipe = recipe_of(name)
    folder = Path("results") / "checkpoints" / name if out is None else folder_of(out)

    from ..numerics.training.training_loop import SAVE_EVERY, train

    keeps = kept("steps", f"{folder}/")
    with interruptible("train", lambda done, total: keeps(done - done % SAVE_EVERY, total)) as progress:
        record = train(recipe, folder, device, progress)
    show.trained(record)
    show.written(folder)
