"""Kept results of studies: published networks and figures, signed errors on mixtures, the arena, measured orders."""

from __future__ import annotations

from collections.abc import Iterable

from ...numerics.catalogue import METHODS
from ...numerics.checkpoints.load import load
from ...numerics.checkpoints.packaged_checkpoint import FILES
from ...numerics.support.progress_bar import progress_bar
from ..studies import signed_errors
from ..studies.arena import run_arena
from ..studies.low_precision import METHOD as PRECISE
from ..studies.measured_orders import measured_orders
from ..studies.provable_systems import SYSTEMS
from ..studies.published_figures import gaussian_rows, published, variances_of
from ..studies.published_network import CPU, PUBLISHED, REFERENCE, RUN, draw_published, measure_published
from .kept_records import RECORDS, Clock, Entry, Kept
from .record_keys import arena_key, figures_key, orders_key, published_key, signed_key

PICTURE = RECORDS / "published" / "pictures-21cmpsdenoiser.png"
MIXTURES, PRODUCTS = "mixtures", "products"
ORDERED = [name for name, record in METHODS.items() if record.order > 0]

OF_PUBLISHED = Kept(
    "published",
    RECORDS / "published",
    PUBLISHED,
    lambda name, _: published_key(FILES.values(), (*RUN, REFERENCE, PRECISE)),
)
OF_SIGNED = Kept(
    "signed-errors",
    RECORDS / "signed_errors",
    (MIXTURES,),
    lambda name, _: signed_key(signed_errors.METHODS),
)

OF_ARENA = Kept("arena", RECORDS / "arena", (PRODUCTS,), lambda name, _: arena_key(s.name for s in SYSTEMS))
GAUSSIAN = published()["gaussian"]
OF_FIGURES = Kept("figures", RECORDS / "figures", GAUSSIAN, lambda name, _: figures_key(GAUSSIAN[name]))
OF_ORDERS = Kept("orders", RECORDS / "orders", ORDERED, lambda name, _: orders_key(name))


def order_results() -> list[Entry]:
    """The kept orders of all samplers on two targets.  Raises InputError where they are missing or stale."""
    return [row for entry in OF_ORDERS.load().values() for row in entry["rows"]]


def figure_results() -> dict[str, Entry]:
    """The kept rows of published tables on Gaussian data.  Raises InputError where some are missing or stale."""
    return OF_FIGURES.load()


def arena_results() -> Entry:
    """The kept result of the arena.  Raises InputError where it is missing or stale."""
    return OF_ARENA.load()[PRODUCTS]


def published_results() -> dict[str, Entry]:
    """The kept result of every published network.  Raises InputError where some are missing or stale."""
    return OF_PUBLISHED.load()


def signed_results() -> Entry:
    """The kept signed errors.  Raises InputError where they are missing or stale."""
    return OF_SIGNED.load()[MIXTURES]


def renew_published(only: Iterable[str] = ()) -> None:
    """Measure the published networks named, or else the stale ones; minutes. Their packages are needed."""
    clock = Clock()
    with progress_bar("published") as progress:
        for name in OF_PUBLISHED.chosen(only):
            checkpoint = load(name)
            found = measure_published(checkpoint, progress)
            draw_published(checkpoint, PICTURE.with_suffix(""))
            made_of = {"sha256": checkpoint.sha256, "device": str(CPU), "dtype": "float64"}
            OF_PUBLISHED.write(name, {**made_of, **found}, clock.manifest())


def renew_signed(only: Iterable[str] = ()) -> None:
    """Measure the signed errors, in about a minute, if they are named or stale."""
    clock = Clock()
    for name in OF_SIGNED.chosen(only):
        OF_SIGNED.write(name, {"rows": signed_errors.averaged(signed_errors.signed_errors())}, clock.manifest())


def renew_arena(only: Iterable[str] = ()) -> None:
    """Run the arena, in some minutes, if it is named or stale."""
    clock = Clock()
    for name in OF_ARENA.chosen(only):
        with progress_bar("arena") as progress:
            OF_ARENA.write(name, {"rows": run_arena(progress)}, clock.manifest())


def renew_figures(only: Iterable[str] = ()) -> None:
    """Redo the tables named, or else the stale ones, a minute each; the data of their authors is needed."""
    clock = Clock()
    for name in OF_FIGURES.chosen(only):
        OF_FIGURES.write(name, {"rows": gaussian_rows(GAUSSIAN[name], *variances_of(GAUSSIAN[name]))}, clock.manifest())


def renew_orders(only: Iterable[str] = ()) -> None:
    """Measure the orders of the samplers named, or else of the stale ones, seconds each; each is kept when finished."""
    clock = Clock()
    for name in OF_ORDERS.chosen(only):
        OF_ORDERS.write(name, {"rows": measured_orders(name)}, clock.manifest())
    OF_ORDERS.remove_others()
