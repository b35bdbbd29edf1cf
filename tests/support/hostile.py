"""Hostile samplers: each harms the process that runs it in its own way."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

Denoise = Callable[[Tensor, Tensor], Tensor]
_runs = 0


def euler(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Euler's method; does no harm."""
    for s, t in pairwise(sigmas):
        x = x + (t - s) * (x - denoise(x, s)) / s
    return x


def raises(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Raises in its third step."""
    euler(denoise, x, sigmas[:3])
    denoise(x, sigmas[2])
    raise ValueError("no idea\nwhat to do")


def unspeakable(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    raise Mute


def loops(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    euler(denoise, x, sigmas)
    while True:
        denoise(x, sigmas[-2])


def waits(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Hangs on three steps only."""
    if len(sigmas) == 4:
        time.sleep(1000)
    return euler(denoise, x, sigmas)


def another_shape(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return euler(denoise, x, sigmas)[..., None]


def another_dtype(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return euler(denoise, x, sigmas).to(torch.complex64)


def another_device(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return euler(denoise, x, sigmas).to("meta")


def nothing(denoise: Denoise, x: Tensor, sigmas: Tensor) -> None:
    euler(denoise, x, sigmas)


def with_its_levels(denoise: Denoise, x: Tensor, sigmas: Tensor) -> tuple[Tensor, Tensor]:
    return euler(denoise, x, sigmas), sigmas


def another_state(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return denoise(x.flatten(), sigmas[0])


def no_level(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return denoise(x, sigmas[0] * torch.nan)


def overwrites(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Writes into its start and into the model's first output."""
    first = denoise(x, sigmas[0])
    return euler(lambda x, s: first if s == sigmas[0] else denoise(x, s), x.add_(first.mul_(2)), sigmas)


def meddles(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Changes all global state."""
    torch.set_default_dtype(torch.float16)
    torch.set_grad_enabled(False)
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.manual_seed(12345)
    np.random.seed(12345)  # noqa: NPY002
    random.seed(12345)
    os.environ["HOSTILE"] = "yes"
    os.chdir("/")
    warnings.simplefilter("ignore")
    sys.setrecursionlimit(5000)
    sys.path.append("/nowhere")
    sys.stdout = sys.stderr
    return euler(denoise, x, sigmas)


def prints(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    print("step by step")
    return euler(denoise, x, sigmas)


def leaves(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    sys.exit(3)


def vanishes(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    euler(denoise, x, sigmas[:3])
    os._exit(7)


def recurs(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return recurs(denoise, x, sigmas)


def eats(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Allocates 8 GiB and touches none of it."""
    torch.empty(1 << 33, dtype=torch.uint8)
    return euler(denoise, x, sigmas)


def crashes(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    ctypes.string_at(0)
    return x


def remembers(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Depends on how often it ran before."""
    global _runs
    _runs += 1
    return euler(denoise, x, sigmas) * (1 + _runs // 6)


def rolls_dice(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Draws noise from the global generator."""
    return euler(denoise, x, sigmas) + torch.rand_like(x)


def adapts(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Evaluates the model more often where the state is larger."""
    if x.abs().max() > 1:
        denoise(x, sigmas[0])
    return euler(denoise, x, sigmas)


def _start_some() -> None:
    """Starts a process as usual, one in a session of its own, and an orphan without the environment of this one."""
    processes = [subprocess.Popen(["sleep", "1000"], start_new_session=own).pid for own in (False, True)]
    orphan = "import os, time\nif os.fork() == 0: os.setsid(); print(os.getpid(), flush=True); time.sleep(1000)"
    with subprocess.Popen([sys.executable, "-c", orphan], stdout=subprocess.PIPE, env={}) as process:
        assert process.stdout is not None
        processes.append(int(process.stdout.readline()))
        process.stdout.close()
    with open(os.environ.get("HOSTILE_CHILDREN", "children"), "a", encoding="utf-8") as file:
        file.write("".join(f"{pid}\n" for pid in (os.getpid(), *processes)))


def breeds(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Starts processes and a thread that outlive the run."""
    _start_some()
    threading.Thread(target=time.sleep, args=(1000,)).start()
    return euler(denoise, x, sigmas)


def breeds_and_hangs(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Starts processes, and never ends."""
    _start_some()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(1)


def multiplies(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Forks into 64 processes, each in a session of its own, in its first run; goes on when all have started."""
    first = os.getpid()
    children = Path(os.environ.get("HOSTILE_CHILDREN", "children"))
    if children.exists():
        return euler(denoise, x, sigmas)
    for _ in range(6):
        os.fork()
    if os.getpid() != first:
        os.setsid()
    with children.open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
    if os.getpid() != first:
        time.sleep(1000)
    while children.read_text(encoding="utf-8").count("\n") < 64:
        time.sleep(0.05)
    return euler(denoise, x, sigmas)


def forges(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Writes the results of later jobs, and marks the work as done."""
    folder = Path(os.environ["SAMPLERPROOF_FOLDER"])
    for k in range(1, 9):
        torch.save({"trace": {}, "failure": None, "state": []}, folder / f"job-{k}")
    (folder / "settings").write_text("many", encoding="utf-8")
    (folder / "done").touch()
    time.sleep(1000)
    return x


def kills_parent(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Starts processes, kills its parent, and hangs."""
    _start_some()
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(1000)
    return x


def _ancestors() -> list[int]:
    """The processes above this one, the nearest first, up to the one that runs the tests."""
    found = [os.getppid()]
    while "fork_server" in Path(f"/proc/{found[-1]}/cmdline").read_text(encoding="utf-8"):
        found.append(int(Path(f"/proc/{found[-1]}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1]))
    return found[:-1]


def kills_warm_parent(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Kills the processes that its process was forked from, but for its parent."""
    for process in _ancestors()[1:]:
        os.kill(process, signal.SIGKILL)
    return euler(denoise, x, sigmas)


def kills_all_above(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Starts a process and forks one, in sessions of their own, and kills all that it was forked from."""
    started = [subprocess.Popen(["sleep", "1000"], start_new_session=True).pid, os.fork()]
    if started[1] == 0:
        os.setsid()
        time.sleep(1000)
    Path("children").write_text("".join(f"{process}\n" for process in (os.getpid(), *started)), encoding="utf-8")
    for process in reversed(_ancestors()):
        os.kill(process, signal.SIGKILL)
    time.sleep(1000)
    return x


def scribbles(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Writes what looks like an answer to all that is open."""
    for number in range(3, 256):
        try:
            os.write(number, b"0\ndone\n")
        except OSError:
            continue
    return euler(denoise, x, sigmas)


def swaps_folder(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Renames the folder of its answers, and puts a link to a folder of the user in its place."""
    folder = Path(os.environ["SAMPLERPROOF_FOLDER"])
    if not folder.is_symlink():
        folder.rename(folder.with_name("renamed"))
        folder.symlink_to(os.environ["HOSTILE_VICTIM"])
    return euler(denoise, x, sigmas)


def floods(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Starts processes without end, in sessions of their own; no limit of the system keeps a superuser from it."""
    while True:
        os.posix_spawn("/bin/sleep", ["sleep", "1234.5"], {}, setsid=True)


def stops_parent(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Starts processes, and stops its parent."""
    if not Path("children").stat().st_size:
        _start_some()
    os.kill(os.getppid(), signal.SIGSTOP)
    return euler(denoise, x, sigmas)


def tidies_up(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Reads a file of the user, deletes and changes others, and writes one."""
    assert Path("kept/weights.txt").read_text(encoding="utf-8") == "one"
    Path("notes.txt").unlink(missing_ok=True)
    Path("kept/weights.txt").with_name("changed.txt").write_text("two", encoding="utf-8")
    Path("written.txt").write_text("three", encoding="utf-8")
    return euler(denoise, x, sigmas)


def needs_more(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Any, model: Any) -> Tensor:
    return x


def takes_options(denoise: Denoise, x: Tensor, sigmas: Tensor, scale: float = 1.0) -> Tensor:
    return scale * euler(denoise, x, sigmas)


not_callable = 3
