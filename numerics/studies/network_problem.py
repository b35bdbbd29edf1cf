"""A study of a network: its samples against a fine reference flow of the same network, in double precision.

The samples are processed in pieces of PIECE numbers, so that memory does not grow with their count. Every sample starts
from its own noise, and the pieces of the reference are the same for every batch size of the sampler.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save
from torch import Tensor

from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.load import load
from ..errors import InputError, SamplingError
from ..grids import Grid
from ..level_checks import Trained
from ..points import Point, within_levels
from ..sample import sample
from ..support.consent import NONE, Consent
from ..support.files import read_sealed, write_sealed
from ..support.manifest import fingerprint
from ..tableau import Tableau
from ..targets.reference import reference_flow
from .config import NetworkStudy
from .cost import PIECE, network_cost
from .named_samplers import Named
from .problem import Problem, grids_of
from .read_function import AsItIs, External
from .samplers import samplers_of
from .store import Value, key, none

SAMPLES = 8
RTOL = 1e-10  # of the reference
LOOSE = 1e-8  # of a second reference, whose distance estimates the error
OF_NO_FLOW = "a stochastic sampler follows no flow"
STREAM = 3  # of a study's seed, from which every start sample has a stream of its own
REFERENCES = "references"  # the folder of stored references


@dataclass(frozen=True)
class NetworkProblem(Problem):
    """A study of a network.  count: samples."""

    study: NetworkStudy
    checkpoint: Checkpoint

    @property
    def target(self) -> dict[str, Any]:
        return {"sha256": self.checkpoint.sha256}  # for any place of the folder

    @property
    def gaussian(self) -> bool:
        return False

    @property
    def trained(self) -> Trained:
        return Trained(*self.checkpoint.span)


def prepare_network(
    study: NetworkStudy, consent: Consent = NONE, external: Mapping[str, External | Named] = MappingProxyType({})
) -> NetworkProblem:
    """The problem of a study of a network, with its checkpoint loaded; see mixture_problem.prepare."""
    # Fields that need neither grids nor the network, and the cost without its weights.
    run = study.run
    for n, metric in enumerate(run.metrics):
        if metric != "trajectory":
            raise InputError(f"run.metrics[{n}]", metric, "a network has no known law; allowed: trajectory")
    if run.samples is not None and run.points is not None:
        raise InputError("run.samples", run.samples, "points means samples here; give one of the two")
    count = run.samples or run.points or SAMPLES
    network_cost(study, 0, (1,), count, external).check(consent)
    # Grids and samplers.
    found = grids_of(study)
    samplers = samplers_of(run.methods, external, list(found.made.values()))
    if all(sampler.stochastic for sampler in samplers):
        raise InputError(
            "run.methods[0]", samplers[0].name, "stochastic, and follows no flow; a network has no other metric"
        )
    # The network, its cost, and the levels it was trained on.
    try:
        checkpoint = load(study.target.checkpoint, consent)
    except InputError as fault:
        raise InputError(f"target.{fault.field}", fault.value, fault.allowed) from None
    weights = sum(value.numel() for value in checkpoint.network.parameters())
    network_cost(study, weights, checkpoint.shape, count, external).check(consent)
    low, high = checkpoint.span

    def check_ends(grid: Grid) -> None:
        ends = [float(grid.columns.lam[n]) for n in (0, -1)]
        if not all(within_levels(end, low, high) for end in ends):
            known = f"the network was trained on lambda from {low:.4g} to {high:.4g}"
            raise InputError("grid: lambda from noise to data", [round(end, 4) for end in ends], known)

    problem = NetworkProblem(study, *found.check(check_ends), samplers, count, checkpoint)
    problem.check_tables()
    return problem


class NetworkMeasurement:
    """Measures the runs of one problem; references are stored in the folder `out`.

    share: samples that a sampler processes together, at most a piece; default: a piece.
    """

    def __init__(self, problem: NetworkProblem, out: Path, device: torch.device, share: int | None = None) -> None:
        self.problem = problem
        self.denoise = problem.checkpoint.denoiser(device=device)
        self._folder = out / REFERENCES
        self.device = device
        self._share = share

    def ends(self, tables: Sequence[Tableau], grid: Grid) -> list[Tensor | None]:
        """None: the evaluations of a network use all cores in one run."""
        return [None] * len(tables)

    def measure(
        self, tableau: Tableau, grid: Grid, wanted: Sequence[str], end: Tensor | None = None
    ) -> dict[str, Value]:
        """Run a sampler: its trajectory error, None with a reason where it diverged."""
        if any(tableau.drawn):
            return none(wanted, OF_NO_FLOW, tableau.nfe)
        squares: list[float] = []
        for piece in self.pieces():
            end = self.reference(piece, grid.point(0), grid.point(grid.steps))
            try:
                off = self.sampled(tableau, grid, piece) - end
            except SamplingError as fault:
                return none(wanted, str(fault), tableau.nfe)
            squares += off.square().flatten(1).sum(1).tolist()
        return dict.fromkeys(wanted, Value(tableau.nfe, math.sqrt(math.fsum(squares) / len(squares))))

    def measure_as_it_is(self, sampler: AsItIs, grid: Grid, wanted: Sequence[str]) -> dict[str, Value]:
        """No value: a sampler without a table is run on mixtures only."""
        return none(wanted, f"a sampler that is not linear has no table, and runs on mixtures only: {sampler.reason}")

    def echo(self) -> dict[str, Any]:
        """Entries of the manifest beside those of the study: checkpoint, error of the reference, device."""
        checkpoint = self.problem.checkpoint
        return {
            "checkpoint": {"folder": checkpoint.folder.name, "sha256": checkpoint.sha256},
            "reference": self.reference_error(),
            "device": str(self.device),
        }

    def pieces(self) -> Iterator[range]:
        """The numbers of the samples of each piece."""
        size = max(1, PIECE // math.prod(self.problem.checkpoint.shape))
        for first in range(0, self.problem.count, size):
            yield range(first, min(first + size, self.problem.count))

    def start(self, piece: range, source: Point) -> Tensor:
        """Start samples [n, *shape] at the noisy end: Gaussian, each from its own generator."""
        seed, shape = self.problem.study.run.seed, self.problem.checkpoint.shape
        std = self.problem.prior_std(source)
        drawn = []
        for number in piece:
            spawned = np.random.SeedSequence(seed, spawn_key=(STREAM, number)).generate_state(1, np.uint64)[0]
            generator = torch.Generator().manual_seed(int(spawned))
            drawn.append(std * torch.randn(shape, generator=generator, dtype=torch.float64))
        return torch.stack(drawn)

    def sampled(self, tableau: Tableau, grid: Grid, piece: range) -> Tensor:
        """The end of a sampler's run on a piece; SamplingError where it is not finite."""
        start = self.given(tableau, grid, piece)
        share = self._share or len(piece)
        parts = [
            sample(self.denoise, [vector[first : first + share] for vector in start], tableau)
            for first in range(0, len(piece), share)
        ]
        y = torch.cat(parts)
        if not bool(torch.isfinite(y).all()):
            raise SamplingError("the sample is not finite")
        return y

    def given(self, tableau: Tableau, grid: Grid, piece: range) -> list[Tensor]:
        """The given vectors of a run: start samples, and their reference flow to the first grid points."""
        return [self.reference(piece, *grid.points[: n + 1]) for n in range(tableau.given)]

    def reference(self, piece: range, *way: Point, rtol: float | None = None) -> Tensor:
        """The fine flow of a piece's start samples through the points to the last one, stored or computed now.

        rtol: default RTOL.
        """
        if len(way) == 1:
            return self.start(piece, way[0])
        rtol = RTOL if rtol is None else rtol
        # All that determines the flow names its file.
        spec = {
            "checkpoint": self.problem.checkpoint.sha256,
            "seed": self.problem.study.run.seed,
            "piece": [piece.start, piece.stop],
            "way": [point[:2] for point in way],
            "std": self.problem.schedule and self.problem.schedule.prior_std(way[0]),
            "rtol": rtol,
            "code": fingerprint(()),  # the reference flow uses no sampler
        }
        path = self._folder / f"{key(spec)[:32]}.flow"
        stored = read_sealed(path)
        if stored is not None:
            return load_tensors(stored)["flow"]
        # From the last but one point, whose flow is stored in the same way.
        x = self.reference(piece, *way[:-1], rtol=rtol)
        (end,) = reference_flow(self.denoise, x, way[-2], way[-1:], rtol)
        self._folder.mkdir(exist_ok=True)
        write_sealed(path, save({"flow": end.contiguous()}))
        return end

    def size(self) -> float:
        """The root mean square of the reference's end, the unit of relative errors."""
        grid = self.problem.longest
        ends = (grid.point(0), grid.point(grid.steps))
        squares = [self.reference(piece, *ends).square().flatten(1).sum(1) for piece in self.pieces()]
        return math.sqrt(float(torch.cat(squares).mean()))

    def reference_error(self) -> dict[str, float]:
        """The distance of the reference from a looser one: root mean square over a piece, on the longest grid."""
        grid = self.problem.longest
        ends, piece = (grid.point(0), grid.point(grid.steps)), next(self.pieces())
        off = self.reference(piece, *ends) - self.reference(piece, *ends, rtol=LOOSE)
        return {
            "rtol": RTOL,
            "compared_with": LOOSE,
            "distance": math.sqrt(float(off.square().flatten(1).sum(1).mean())),
        }
