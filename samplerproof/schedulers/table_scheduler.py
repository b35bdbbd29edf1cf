"""A scheduler of diffusers that runs any method of the catalogue, or the table in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers import ConfigMixin, SchedulerMixin
from diffusers.configuration_utils import register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from ..names.input_error import InputError
from ..numerics.catalogue import resolve
from ..numerics.conformance.adapters.diffusers import PREDICTIONS
from ..numerics.conformance.adapters.diffusers_classes import CLASSES
from ..numerics.denoisers import adapt
from ..numerics.grids import Grid
from ..numerics.points import Point
from ..numerics.sample import Running, running
from ..numerics.table_file import read_table
from ..numerics.tableau import Tableau
from ..numerics.wrappers import clipped, thresholded
from .pipeline_levels import PipelineLevels, class_of, own_class, own_scheduler, parameters_of, pipeline_levels
from .started_table import started_table
from .table_on_pipeline import table_on_pipeline

OURS = ("method", "grid", "levels_of")  # settings


@dataclass
class _Running:
    """A run between two calls of `step`: the vector whose prediction comes next."""

    table: Tableau
    run: Running
    index: int
    vector: Tensor


class TableScheduler(SchedulerMixin, ConfigMixin):  # type: ignore[misc]
    """Any method of the catalogue in a pipeline of diffusers, in the place of its own scheduler.

        pipe.scheduler = TableScheduler.from_config(pipe.scheduler.config, method="unipc-3", grid="karras")

    method: a name, as `samplerproof methods` lists them, with its parameters, as "ddim-eta?eta=1/2"; or the path of a
    table file, such as `samplerproof design` writes, which has levels of its own.
    grid: None, the levels of the pipeline's own scheduler; or a kind, as `samplerproof grids` lists them, between the
    ends of these levels, as "karras?rho=5".
    table, levels: those of the run that set_timesteps prepared.  own: the scheduler that levels are taken from.
    sigmas: sigma/alpha at the levels, sigma on the flow.
    levels_of: the class of diffusers whose levels, timesteps and scaling of the model's input are those of the run;
    from_config sets it to the class that the configuration is of, whose other settings it keeps, and takes settings of
    that class too, as timestep_spacing="trailing".
    What a pipeline calls: set_timesteps (also with timesteps, sigmas or mu of one's own), timesteps, sigmas, order,
    init_noise_sigma, scale_model_input, step, add_noise, set_begin_index. A method of several evaluations a step has as
    many entries in timesteps. Coefficients are computed once, on the host, in float64; states are float32, or float64
    where the samples are; clip_sample and thresholding of the configuration are applied.
    A run of no more steps than the history of a multistep method is its start-up.
    A copy, and a pickle, is of a scheduler between runs: one that is made within a run has no timesteps.
    Raises InputError on an unknown method, grid, prediction or setting, a class whose levels are unknown, levels that
    do not fall or are not of the process of the class, a prediction that has no meaning at the first level, and a begin
    where a multistep method has other evaluations.

    >>> from samplerproof.schedulers import TableScheduler
    >>> scheduler = TableScheduler(method="dpm-solver++-2m", levels_of="EulerDiscreteScheduler")
    >>> scheduler.set_timesteps(3)
    >>> scheduler.timesteps.tolist()
    [999.0, 499.5, 0.0]
    """

    _compatibles: ClassVar[list[str]] = list(CLASSES)

    @register_to_config
    def __init__(
        self,
        method: str = "dpm-solver++-2m",
        grid: str | None = None,
        levels_of: str = "DPMSolverMultistepScheduler",
    ) -> None:
        self._file = read_table(method, "method") if method.endswith(".json") else None
        self._record = None if self._file is not None else resolve(method)
        if self._file is not None and grid is not None:
            raise InputError("grid", grid, f"None, as the table {method} has levels of its own")
        self.levels: PipelineLevels | None = None
        self.table: Tableau | None = None  # the table of a run from the first level
        self._running: _Running | None = None
        self._begin: int | None = None
        self._step: int | None = None
        self._generator: Any = None
        self.timesteps = torch.empty(0)
        self.sigmas = torch.empty(0)
        self.num_inference_steps: int | None = None
        self.own = own_scheduler(levels_of, {})
        settings = {k: v for k, v in self.own.config.items() if not k.startswith("_")}
        self.register_to_config(**{"prediction_type": "flow_prediction"} | settings)

    @classmethod
    def from_config(cls, config: Any = None, return_unused_kwargs: bool = False, **kwargs: Any) -> Any:
        """A scheduler with the configuration of another one, whose levels it takes; see the class."""
        given = {} if config is None else dict(config)
        if not _is_ours(given):  # another class may have kept ours
            given = {name: value for name, value in given.items() if name not in OURS}
        kwargs["levels_of"] = kwargs.get("levels_of") or given.get("levels_of") or class_of(given)
        own = own_class(kwargs["levels_of"])
        settings = {name: kwargs.pop(name) for name in parameters_of(own) & kwargs.keys()}
        if unknown := sorted(kwargs.keys() - set(OURS)):
            allowed = f"one of {', '.join(OURS)}, or a setting of {kwargs['levels_of']}"
            raise InputError(unknown[0], kwargs[unknown[0]], allowed)
        defaults = [name for name in given.get("_use_default_values", ()) if name not in settings]
        given |= settings | ({"_use_default_values": defaults} if "_use_default_values" in given else {})
        made = super().from_config(given, return_unused_kwargs, **kwargs)
        self = made[0] if return_unused_kwargs else made
        self.own = own_scheduler(self.config.levels_of, self.config)
        return made

    def __getstate__(self) -> dict[str, Any]:
        """Of a scheduler between runs; without its levels where a run was begun."""
        state = self.__dict__ | {"_running": None, "_generator": None}
        return state if self._running is None else state | {"levels": None, "table": None, "_step": None}

    @property
    def order(self) -> int:
        """Evaluations in a step, as pipelines count them."""
        return self._record.nfe_per_step if self._record is not None else 1

    @property
    def init_noise_sigma(self) -> Any:
        """The standard deviation of the start."""
        own = getattr(self.own, "init_noise_sigma", 1.0)
        first = self.table.points[0] if self._file is not None and self.table is not None else None
        return first.sigma if first is not None and first.alpha == 1 else own

    @property
    def begin_index(self) -> int | None:
        """The index in `timesteps` where a run begins, as from a noised image."""
        return self._begin

    @property
    def step_index(self) -> int | None:
        """The index in `timesteps` of the next call of `step`."""
        return self._step

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Begin at this index of `timesteps`."""
        self._begin = begin_index

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,
        timesteps: Sequence[float] | None = None,
        sigmas: Sequence[float] | None = None,
        mu: float | None = None,
    ) -> None:
        """Set the levels of a run, and compute its table.

        num_inference_steps: steps; or timesteps, or sigmas (sigma/alpha, sigma on the flow) of one's own.
        mu: the shift that a flow takes from the size of the image.
        """
        own, kind = self.own, self.config.grid
        if self._file is not None:
            given = next((len(values) for values in (timesteps, sigmas) if values is not None), num_inference_steps)
            self.table, self.levels = table_on_pipeline(self._file, own, given)
        else:
            self.levels = pipeline_levels(own, num_inference_steps, kind, timesteps, sigmas, mu)
            self.table = started_table(self.config.method, self.levels.grid)
        grid = self.levels.grid
        self.num_inference_steps = grid.steps
        times = torch.tensor(self._times(self.table), dtype=torch.float64)
        self.timesteps = (times.long() if bool((times == times.round()).all()) else times.float()).to(device)
        self.sigmas = (grid.columns.sigma if self.levels.process == "flow" else grid.columns.rho).float()
        self._running, self._begin, self._step = None, None, None

    def scale_model_input(self, sample: Tensor, timestep: Any = None) -> Tensor:
        """The sample as the model takes it: of variance one where alpha = 1."""
        levels = self._prepared()
        if levels.process != "ve":
            return sample
        at = self._at(timestep)
        return sample / (at.sigma**2 + 1) ** 0.5

    @torch.no_grad()
    def step(
        self,
        model_output: Tensor,
        timestep: Any,
        sample: Tensor,
        generator: Any = None,
        return_dict: bool = True,
    ) -> Any:
        """From the model's output at a sample to the next sample at which the model is asked, or the last one.

        Raises SamplingError, naming the step, where the output has another shape than the sample. Values are not looked
        at: that would wait for the device.
        """
        self._generator = generator
        if self._running is None:
            self._start(timestep, sample)
        now = self._running
        assert now is not None
        assert self._step is not None
        now.vector.copy_(sample)  # a pipeline may have changed it, as in inpainting
        at = now.table.points[now.index]
        output = model_output.to(now.vector.dtype)
        if output.ndim > 1 and output.shape[1] == 2 * sample.shape[1]:
            output = output[:, : sample.shape[1]]  # the rest is a learned variance
        d = self._predict(output)(now.vector, at, now.table.prediction_at(now.index))
        try:
            now.index, now.vector = now.run.send(d)
            made = now.vector
        except StopIteration as end:
            made = end.value(len(now.table.points) - 1)
            self._running = None
        self._step += 1
        made = made.to(sample.dtype, copy=True)
        return SchedulerOutput(prev_sample=made) if return_dict else (made,)

    def add_noise(self, original_samples: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """alpha x0 + sigma eps at the timestep of every sample."""
        levels = self._prepared()
        points = [levels.point(float(t)) for t in timesteps.flatten().tolist()]
        shape = [-1] + [1] * (original_samples.ndim - 1)
        alpha, sigma = (
            torch.tensor(values, dtype=torch.float64).reshape(shape).to(original_samples)
            for values in ([p.alpha for p in points], [p.sigma for p in points])
        )
        return alpha * original_samples + sigma * noise

    def scale_noise(self, sample: Tensor, timestep: Tensor, noise: Tensor) -> Tensor:
        """As add_noise, under the name that pipelines of flows call."""
        return self.add_noise(sample, noise, timestep)

    def __len__(self) -> int:
        return int(self.config.num_train_timesteps)

    def _prepared(self) -> PipelineLevels:
        if self.levels is None:
            raise InputError("timesteps", "none", "call set_timesteps first")
        return self.levels

    def _times(self, table: Tableau) -> list[float]:
        """The timestep of every evaluation of a table."""
        levels = self._prepared()
        return [levels.timestep(p) for p, made in zip(table.points, table.evaluated, strict=True) if made]

    def _at(self, timestep: Any) -> Point:
        if self._running is not None:
            return self._running.table.points[self._running.index]
        return self._prepared().point(float(timestep))

    def _start(self, timestep: Any, sample: Tensor) -> None:
        """Begin a run at the begin index, else at the first entry of `timesteps` that is this timestep."""
        levels, begin = self._prepared(), self._begin
        assert self.table is not None
        if begin is None:
            found = (self.timesteps == timestep).nonzero().flatten().tolist()
            begin = found[0] if found else 0
        table = self.table
        if begin:
            if self._record is None:
                raise InputError("begin_index", begin, f"0, as {self.config.method} is a table of a whole run")
            first = self.table.step[[i for i, made in enumerate(self.table.evaluated) if made][begin]]
            table = started_table(self.config.method, _from(levels.grid, first))
            if self._times(table) != self._times(self.table)[begin:]:
                allowed = f"a begin from which {self._record.name} has the evaluations of a whole run"
                raise InputError("begin_index", begin, allowed)
        dtype = torch.float64 if sample.dtype == torch.float64 else torch.float32
        run = running(sample, table, self._noise, dtype, checked=False)
        index, vector = next(run)
        self._running, self._step = _Running(table, run, index, vector), begin

    def _noise(self, like: Tensor, drawn: int) -> Tensor:
        return randn_tensor(like.shape, generator=self._generator, device=like.device, dtype=like.dtype)

    def _predict(self, output: Tensor) -> Any:
        """A denoiser that returns this output, thresholded by the configuration."""
        config = self.own.config  # ours may have kept settings of other classes
        denoise = adapt(lambda x, at: output, PREDICTIONS[config.get("prediction_type", "flow_prediction")])
        if config.get("thresholding"):
            return thresholded(denoise, config.dynamic_thresholding_ratio, config.sample_max_value)
        if config.get("clip_sample"):
            bound = float(config.get("clip_sample_range", 1.0))
            return clipped(denoise, -bound, bound)
        return denoise


def _from(grid: Grid, first: int) -> Grid:
    """The grid from a point on."""
    return Grid(grid.columns.take(torch.arange(first, grid.steps + 1)), grid.schedule)


def _is_ours(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is of this class, and not of one that has kept its settings."""
    first = next((name for name in config if not name.startswith("_")), None)
    return config["_class_name"] == TableScheduler.__name__ if "_class_name" in config else first in OURS
