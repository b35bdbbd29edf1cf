"""Work done by other processes: of this machine, or the workers of a dask.distributed scheduler.

Values depend on the piece alone, so they are those of one process to the bit, on processors of one kind. This process
alone writes to the store. Pieces whose worker dies are left to the other workers, or to this process.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context, parent_process
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

import torch

from ..errors import InputError, of_type
from ..support.manifest import fingerprint
from .measure import Measurement
from .mixture_problem import MixtureProblem
from .problem import Key
from .samplers import CatalogueMethod
from .store import Value
from .study_records import Elsewhere, Piece, measured

if TYPE_CHECKING:
    from distributed import Client, Future

MOST = 256  # processes of this machine
TOGETHER = 4  # samplers on a grid in a task, at most: more save little more
PATIENCE = 10.0  # seconds in which a scheduler answers
_one_at_a_time = Lock()  # a worker of dask may have several threads
_held: dict[bytes, Measurement] = {}  # of the problem that this worker had last


def measured_pieces(problem: bytes, pieces: Sequence[Piece]) -> list[dict[str, Value]]:
    """The values of pieces on one grid of a pickled problem; what runs share is kept for the next ones."""
    with _one_at_a_time:
        if problem not in _held:
            torch.set_num_threads(1)
            _held.clear()
            _held[problem] = Measurement(pickle.loads(problem))
        return list(measured(_held[problem], pieces))


def refuse_others(workers: int, scheduler: str | None, reason: str) -> None:
    """Raise InputError, with the reason, unless this process does the work alone."""
    if scheduler is not None:
        raise InputError("scheduler", scheduler, reason)
    if workers != 1:
        raise InputError("workers", workers, reason)


def check_workers(workers: int | None, scheduler: str | None, default: int | None) -> None:
    """Raise InputError unless workers is a number of processes, or what stands for none asked for, beside a scheduler.

    default: that value.
    """
    if workers is not None and (not isinstance(workers, int) or not 1 <= workers <= MOST):
        raise InputError("workers", workers, f"a whole number from 1 to {MOST}")
    of_type("scheduler", scheduler, (str, type(None)), "the address of a scheduler, or None")
    if scheduler is not None and workers != default:
        raise InputError("workers", workers, "left out beside a scheduler, which has workers of its own")


@contextmanager
def elsewhere(problem: MixtureProblem, workers: int = 1, scheduler: str | None = None) -> Iterator[Elsewhere | None]:
    """What records_of takes: None for one process, else so many of this machine, or the workers of a scheduler.

    workers: 1 to 256.  scheduler: an address such as tcp://10.0.0.1:8786.
    Raises InputError on other numbers, without such a scheduler, and where its workers have another code or versions.
    """
    check_workers(workers, scheduler, default=1)
    # Samplers of other code stay here; the problem without them is plain data.
    ours = tuple(sampler for sampler in problem.samplers if isinstance(sampler, CatalogueMethod))
    plain = pickle.dumps(replace(problem, samplers=ours))
    if scheduler is not None:
        with connected(scheduler) as client:
            yield lambda pieces: _on_cluster(client, scheduler, plain, _shares(problem, pieces))
    else:
        yield (lambda pieces: _on_this_machine(workers, plain, _shares(problem, pieces))) if workers > 1 else None


Share = dict[int, Piece]  # on one grid, measured by one process together


def _shares(problem: MixtureProblem, pieces: Mapping[int, Piece]) -> list[Share]:
    """The pieces in shares of at most TOGETHER, in their order."""
    on_grid = defaultdict[Key, list[int]](list)
    for k, piece in pieces.items():
        on_grid[piece.on].append(k)
    most = min(problem.at_once, TOGETHER)
    return [{k: pieces[k] for k in ks[i : i + most]} for ks in on_grid.values() for i in range(0, len(ks), most)]


_problem: list[bytes] = []  # of this process of a pool


def _begin(problem: bytes) -> None:
    """A process of a pool ends with the one that started it, and silently on Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = parent_process()
    assert parent is not None

    def end() -> None:
        parent.join()
        os._exit(1)

    Thread(target=end, daemon=True).start()
    _problem[:] = [problem]


def _in_pool(pieces: Sequence[Piece]) -> list[dict[str, Value]]:
    return measured_pieces(_problem[0], pieces)


def _on_this_machine(workers: int, problem: bytes, shares: Sequence[Share]) -> Iterator[tuple[int, dict[str, Value]]]:
    """By processes that share no memory; none is left at the end."""
    left = dict(enumerate(shares))
    for _ in range(3):  # a process that is killed ends its pool
        if not left:
            return
        pool = ProcessPoolExecutor(min(workers, len(left)), get_context("spawn"), _begin, (problem,))
        try:
            of = {pool.submit(_in_pool, list(share.values())): n for n, share in left.items()}
            for future in as_completed(of):
                made = future.result()
                yield from zip(left.pop(of[future]), made, strict=True)
        except BrokenProcessPool:
            continue
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def connected(address: str, code: Callable[[], Any] = fingerprint) -> Iterator[Client]:
    """A client of the scheduler at an address, on all of whose workers `code()` answers as here.

    Raises InputError where there is no such scheduler, it has no workers, or one of them has other code or versions.
    """
    try:
        from distributed import Client
    except ImportError:
        raise InputError("scheduler", address, "dask.distributed: pip install 'samplerproof[cluster]'") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is raised
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as fault:
        reason = " ".join(str(fault).split()) or type(fault).__name__
        raise InputError("scheduler", address, f"the address of a running scheduler ({reason})") from None
    with client, client.as_current():
        codes: dict[str, Any] = client.run(code)
        if not codes:
            raise InputError("scheduler", address, "a scheduler with workers: dask worker " + address)
        others = sorted(worker for worker, found in codes.items() if found != code())
        if others:
            here = f"this version of samplerproof, torch, numpy, scipy and Python on all workers; not on {others[0]}"
            raise InputError("scheduler", address, here)
        yield client


def _on_cluster(
    client: Client, address: str, problem: bytes, shares: Sequence[Share]
) -> Iterator[tuple[int, dict[str, Value]]]:
    """By the workers of a scheduler, which gives the tasks of a worker that dies to others."""
    from distributed import as_completed

    # The result of a task, which is done again if its worker dies: data that a client scatters would be lost with it.
    held = client.submit(_same, problem)
    of = {client.submit(measured_pieces, held, list(share.values()), pure=False): share for share in shares}
    for future in as_completed(of):
        if (made := result_of(future, address)) is not None:
            yield from zip(of[future], made, strict=True)


def result_of(future: Future, address: str) -> Any:
    """The result of a task that has ended; None where several workers died of it, or with it: it is left to this
    process.  Raises InputError where the scheduler ended.
    """
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError

    try:
        return future.result()
    except KilledWorker:
        return None
    except (FutureCancelledError, OSError) as fault:
        kept = "a scheduler that runs on; what is finished is kept: run again"
        raise InputError("scheduler", address, f"{kept} ({type(fault).__name__})") from None


def _same(problem: bytes) -> bytes:
    return problem
