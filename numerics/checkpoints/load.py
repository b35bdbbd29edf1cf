"""`load`: the checkpoint of a name, a folder or a repository, checked."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError, nearest, of_type
from ..support.consent import NONE, Consent
from .checkpoint import Checkpoint
from .checkpoint_checks import check
from .description import FILE, read_toml
from .diffusers_checkpoint import FOLDERS, load_diffusers
from .hub import download, is_name
from .own_format import load_own
from .packaged_checkpoint import PACKAGE, load_packaged
from .plain_module import load_module

OWN_CHECKPOINTS = Path(__file__).parent / "trained"  # part of the installation
_CHECKED: set[str] = set()


def load(path_or_id: str | Path, consent: Consent = NONE) -> Checkpoint:
    """A trained network with its noise levels: the project's own by name, a folder, or owner/name on the hub.

    path_or_id: "rings", "rings-small", "digits", "digits-small", "photos", "21cmpsdenoiser" (packaged_checkpoint.py), a
    folder with a checkpoint.toml or a pipeline of diffusers, or owner/name.
    consent: to reading pickles, running code, fetching from the hub and using much memory; none by default
    (samplerproof.numerics.support.consent.Consent).
    `load_checkpoint(...).denoiser(dtype, device)` returns a denoiser for `sample`, on every schedule: it reads alpha
    and sigma alone.  `shape` is that of a sample, `span` the range of lambda that the network was trained on.
    Raises InputError, in one line, on an unknown name, a folder that cannot be read or is inconsistent, and on a
    network that does not predict what its description states (checkpoint_checks.py).

    >>> import torch
    >>> import samplerproof as sp
    >>> rings = sp.load_checkpoint("rings")
    >>> denoise = rings.denoiser(torch.float64)
    >>> denoise(torch.zeros(4, *rings.shape), sp.schedule("edm").point(1.0), "noise").shape
    torch.Size([4, 2])
    """
    of_type("checkpoint", path_or_id, (str, Path), f"a folder, or one of {', '.join(own_names())}")
    if str(path_or_id) == PACKAGE and not Path(PACKAGE).is_dir():
        checkpoint = load_packaged(None, None, consent)
    else:
        checkpoint = _read(_folder(str(path_or_id), consent), consent)
    if checkpoint.sha256 not in _CHECKED:  # the same files are checked once in a process
        check(checkpoint)
        _CHECKED.add(checkpoint.sha256)
    return checkpoint


def own_names() -> list[str]:
    """The names of the project's own checkpoints."""
    return sorted(path.parent.name for path in OWN_CHECKPOINTS.glob(f"*/{FILE}"))


def _folder(given: str, consent: Consent) -> Path:
    if given in own_names():
        if Path(given).is_dir():
            raise InputError(
                "checkpoint", given, f'the name of a checkpoint and of a folder here: write "./{given}" for the folder'
            )
        return OWN_CHECKPOINTS / given
    if "\0" in given or not Path(given).is_dir():
        if is_name(given):
            return download(given, consent)
        raise InputError(
            "checkpoint", given, f"a folder or a checkpoint of this package; {nearest(given, [*own_names(), PACKAGE])}"
        )
    return Path(given)


def _read(folder: Path, consent: Consent) -> Checkpoint:
    """The checkpoint of a folder: by its description, else as a folder of diffusers."""
    if (folder / FILE).exists():
        data = read_toml(folder)
        match data.get("kind"):
            case "network":
                return load_own(folder, data, consent)
            case "module":
                return load_module(folder, data, consent)
            case "diffusers":
                return load_diffusers(folder, data, consent)
            case "package":
                return load_packaged(folder, data, consent)
            case "student":
                raise InputError("checkpoint", str(folder), "a denoiser; numerics.few_step loads a few-step student")
        raise InputError(f"{FILE}: kind", data.get("kind"), 'one of "network", "module", "diffusers", "package"')
    if any((folder / name / "config.json").exists() for name in FOLDERS):
        return load_diffusers(folder, None, consent)
    raise InputError("checkpoint", str(folder), f"a folder with a {FILE}, or a pipeline or network of diffusers")
