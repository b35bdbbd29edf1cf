"""Malformed input: what was found once, as it was found, and grammars that more is drawn from."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import strategies as st

LONG = "x" * 100_000
DEEP = "[" * 3000 + "]" * 3000
HUGE = "9" * 400
BASE: dict[str, dict[str, Any]] = {
    "target": {"weights": [0.35, 0.65], "means": [-1.2, 0.9], "stds": [0.5, 0.35]},
    "schedule": {"kind": "vp-linear", "beta_min": 0.1, "beta_max": 20.0},
    "grid": {"kind": "uniform-t", "t_min": 1e-3, "t_max": 1.0},
    "run": {"methods": ["ddim"], "steps": [4, 8], "metrics": ["tv"], "points": 101},
}
NETWORK: dict[str, dict[str, Any]] = {
    **BASE,
    "target": {"checkpoint": "digits"},
    "grid": {"kind": "uniform-t", "t_min": 0.1, "t_max": 0.5},
    "run": {"methods": ["ddim"], "steps": [4, 8], "metrics": ["trajectory"]},
}


class Raw(str):
    """TOML as it is written, where no value would give it."""


def toml(document: dict[str, Any]) -> str:
    """A document of tables of values, some of which no library would write."""
    lines = []
    for name, table in document.items():
        if isinstance(table, dict):
            lines += [f"[{name}]", *(f"{_key(key)} = {_value(value)}" for key, value in table.items())]
        else:
            lines.insert(0, f"{_key(name)} = {_value(table)}")
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if name and name.replace("_", "").isalnum() and name.isascii() else json.dumps(name)


def _value(value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, bool | str):
        return json.dumps(value)
    if isinstance(value, float):
        return str(value) if math.isfinite(value) else f"{value}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_value(entry)}" for key, entry in value.items()) + "}"
    return repr(value) if not isinstance(value, int) else str(value)


def changed(**fields: Any) -> str:
    """The base study with fields table__key = value; None leaves the key out."""
    document = {name: dict(table) for name, table in BASE.items()}
    for name, value in fields.items():
        table, _, key = name.partition("__")
        if value is None:
            document[table].pop(key)
        else:
            document.setdefault(table, {})[key] = value
    return toml(document)


PLANE = {"target__means": [[0.0, 0.0], [1.0, 1.0]], "run__metrics": ["energy"], "run__points": None}
KARRAS = {"grid__kind": "karras", "grid__t_min": None, "grid__t_max": None, "grid__sigma_min": 0.01}
NESTED = (
    *("target__weights", "target__means", "target__stds", "target__covariances", "schedule__kind"),
    *("schedule__beta_min", "grid__kind", "grid__t_min", "run__methods", "run__steps", "run__metrics", "run__points"),
    *("run__seed", "verification__targets"),
)
ECHOED = (
    *("schedule__kind", "grid__kind", "run__init", "run__start", "run__more", "schedule__more"),
    *("verification__targets", "target__stds"),
)
# what was found -> the study file, and a word of the refusal
STUDIES: dict[str, tuple[str, str]] = {
    **{f"3000 brackets in {field}": (changed(**{field: Raw(DEEP)}), "nested") for field in NESTED},
    "a key of 3000 parts": (changed() + "a." * 3000 + "a = 1\n", "nested"),
    **{
        f"400 digits in {field}": (changed(**{field: Raw(text)}), field.replace("__", "."))
        for field, text in (
            ("target__weights", f"[{HUGE}, 1]"),
            ("target__means", f"[{HUGE}, 1]"),
            ("target__stds", f"[{HUGE}, 1]"),
            ("run__steps", f"[{HUGE}]"),
            ("run__points", HUGE),
            ("run__seed", HUGE),
            ("schedule__beta_max", HUGE),
        )
    },
    "5000 digits": (changed(run__points=Raw("9" * 5000)), "TOML"),
    "points of 2^63": (changed(run__points=2**63), "run.points"),
    "steps of 2^63": (changed(run__steps=[2**63]), "run.steps[0]"),
    **{f"{n:.0e} steps": (changed(run__steps=[int(n)]), "run.steps") for n in (1e7, 1e9, 1e18)},
    **{f"{n:.0e} points": (changed(run__points=int(n)), "run.points") for n in (1e7, 1e9, 1e12)},
    "1e8 samples": (changed(**PLANE, run__samples=100_000_000), "run.samples"),
    "a million samples, whose pairs take hours": (changed(**PLANE, run__samples=1_000_000), "allowed without --large"),
    "100,000 numbers of steps": (changed(run__steps=Raw(str(list(range(1, 100_001))))), "run.steps"),
    "a million components": (changed(target__weights=Raw(f"[{'1e-6, ' * 1_000_000}]")), "at most 1.05 MB"),
    "karras of rho 1e-300": (changed(**KARRAS, grid__sigma_max=10.0, grid__rho=1e-300), "grid.rho"),
    "tau of 1e400": (changed(run__methods=["sa-solver-2?tau=1e400"]), "run.methods[0]"),
    "tau of 1e300": (changed(run__methods=["sa-solver-2?tau=1e300"]), "run.methods[0]"),
    "gamma of 10^8 digits": (changed(run__methods=["bdia-ddim?gamma=1e99999999"]), "run.methods[0]"),
    "gamma in other digits": (changed(run__methods=["bdia-ddim?gamma=１"]), "run.methods[0]"),
    "means of 1e308": (changed(target__means=[1e308, 1e308]), "target.means"),
    "a std of 1e300": (changed(target__stds=[0.5, 1e300]), "target.stds"),
    "a bool as a mean": (changed(target__means=[True, 0.9]), "target.means"),
    "a bool as a std": (changed(target__stds=[0.5, True]), "target.stds"),
    "a bool as a weight": (changed(target__weights=[True, 0.0]), "target.weights"),
    "a NUL in a path": (toml({**NETWORK, "target": {"checkpoint": "a\0b"}}), "target.checkpoint"),
    "a path of 100,000 characters": (toml({**NETWORK, "target": {"checkpoint": LONG}}), "xxx...xxx"),
    "a name on the hub": (toml({**NETWORK, "target": {"checkpoint": "owner/name"}}), "give --hub"),
    "1e9 samples of a network": (
        toml({**NETWORK, "run": {**NETWORK["run"], "points": 10**9}}),
        "run.points",
    ),
    "5e6 samples of a network": (
        toml({**NETWORK, "target": {"checkpoint": "rings"}, "run": {**NETWORK["run"], "points": 5_000_000}}),
        "allowed without --large",
    ),
    **{
        f"100,000 characters in {field}": (changed(**{field: [LONG] if field[:3] in ("ver",) else LONG}), "xxx...xxx")
        for field in ECHOED
    },
    "a key of 100,000 characters": (changed() + f"{LONG} = 1\n", "xxx...xxx"),
    "100,000 characters of a method": (changed(run__methods=[LONG]), "xxx...xxx"),
    "100,000 characters of a metric": (changed(run__metrics=[LONG]), "xxx...xxx"),
    "a date as a weight": (changed(target__weights=Raw("[1979-05-27, 1]")), "target.weights[0]"),
    "a time as an end": (changed(grid__t_min=Raw("1979-05-27T07:32:00Z")), "grid.t_min"),
    "a date as a kind": (changed(schedule__kind=Raw("1979-05-27")), "schedule.kind"),
    "weights in a list too many": (changed(target__weights=[[0.35, 0.65]]), "target.weights"),
    "means in two lists too many": (changed(target__means=[[[0.0]], [[1.0]]]), "target.means"),
    "means of no coordinates": (changed(target__means=[[], []]), "target.means"),
    "means of both kinds": (changed(target__means=[0.0, [1.0]]), "rectangular"),
    "infinite weights that sum to nothing": (changed(target__weights=[math.inf, -math.inf]), "target.weights[0]"),
    "a bool as a number of steps": (changed(run__steps=[True]), "run.steps[0]"),
    "a number of steps that is no list": (changed(run__steps=4), "run.steps"),
    "steps of 1e400": (changed(run__steps=Raw("[1e400]")), "run.steps[0]"),
    "a seed of 2^63": (changed(run__seed=2**63), "run.seed"),
    "one table by two values": (changed(run__methods=["ddim-eta?eta=1", "ddim-eta?eta=1.0"]), "run.methods[1]"),
    "one table by an alias": (changed(run__methods=["ddim", "dpm-solver-1"]), "run.methods[1]"),
    "a parameter twice": (changed(run__methods=["ddim-eta?eta=1&eta=0"]), "each once"),
    "a name that runs from right to left": (changed(run__methods=["\u202eddim"]), "\\u202eddim"),
    "a name with a space of no width": (changed(run__methods=["dd\u200bim"]), "\\u200b"),
    "half of a pair of UTF-16": (changed(run__methods=Raw('["\\uD800"]')), "valid TOML"),
    "ends one ulp apart": (changed(grid__t_min=1.0 - 2**-53), "grid.t"),
    "beta_min of negative zero": (changed(schedule__beta_min=-0.0), "schedule.beta_min"),
    "a list of tables": (changed().replace("[run]", "[[run]]"), "a table [run]"),
    "two kinds of study": (changed() + "[verification]\ntargets = ['a:f']\n", "known: verification"),
    "a checkpoint without a name": (toml({**NETWORK, "target": {"checkpoint": ""}}), "target.checkpoint"),
    "a checkpoint that is a file": (toml({**NETWORK, "target": {"checkpoint": "../study.toml"}}), "target.checkpoint"),
    "what moves the cursor": (changed(run__init="\x1b[2J\x9b"), "run.init"),
}
# allowed, at an end or beside one
EXTREMES: dict[str, str] = {
    "a weight of zero": changed(target__weights=[0.0, 1.0]),
    "a weight of negative zero": changed(target__weights=[-0.0, 1.0]),
    "the least weight": changed(target__weights=[5e-324, 1.0]),
    "no spread": changed(target__stds=[0.0, -0.0]),
    "the largest spread": changed(target__stds=[1e12, 1e12]),
    "spreads of 24 magnitudes": changed(target__stds=[1e12, 1e-12]),
    "means at both ends": changed(target__means=[1e12, -1e12]),
    "no time left": changed(grid__t_min=0.0),
    "the least time": changed(grid__t_min=5e-324),
    "the least rho": changed(**KARRAS, grid__sigma_max=10.0, grid__rho=0.1),
    "the largest rho": changed(**KARRAS, grid__sigma_max=10.0, grid__rho=1000),
    "the largest sigma": changed(**KARRAS, grid__sigma_max=1e12, grid__rho=7),
    "the least sigma": changed(**{**KARRAS, "grid__sigma_min": 5e-324}, grid__sigma_max=1.0, grid__rho=7),
    "the largest seed": changed(run__seed=2**63 - 1),
    "one step": changed(run__steps=[1]),
}
COMMANDS: dict[str, tuple[list[str], str]] = {
    **{f"{c} of 10^8 digits": ([c, "bdia-ddim?gamma=1e99999999"], "gamma") for c in ("derive", "prove", "cite")},
    **{f"{c} of 100,000 characters": ([c, LONG], "100000 characters") for c in ("derive", "prove", "cite")},
    **{f"verify {t}": (["verify", t], "target") for t in ("..:f", ".:f", ".relative:f", LONG, f"{LONG}:f", "a:")},
    "verify on 1e9 steps": (["verify", "a:f", "--steps", "1000000000"], "steps"),
    "verify for 1e300 seconds": (["verify", "a:f", "--timeout", "1e300"], "timeout"),
    "verify against 100,000 characters": (["verify", "a:f", "--against", LONG], "against"),
    "train 100,000 characters": (["train", LONG], "NAME"),
    "derive in capitals": (["derive", "DDIM"], "nearest: ddim"),
    "a device": (["study", "../...toml", "--out", "out", "--device", LONG], "--device"),
    "a device that is not looked at": (["reproduce", "--device", "xyz"], "--device"),
    "a processor with a number": (["reproduce", "--device", "cpu:7"], "--device"),
    "a numbered processor for a study": (["study", "../...toml", "--out", "out", "--device", "cpu:7"], "--device"),
    "no folder": (["reproduce", "--out", ""], "--out"),
    "no folder for a study": (["study", "../...toml", "--out", ""], "--out"),
    "no folder for a network": (["train", "rings", "--out", ""], "--out"),
    "a folder in one that can be made": (["study", "../...toml", "--out", f"a/b/{'c' * 300}"], "--out"),
    "a folder that is a device": (["study", "../...toml", "--out", "/dev/null"], "--out"),
    "a page of 300 characters": (["verify", "a:f", "--html", "x" * 300], "--html"),
    "a page in place of a device": (["verify", "a:f", "--html", "/dev/full"], "a device"),
    "a page in place of a folder": (["verify", "a:f", "--html", ""], "--html"),
    "a page in a folder that is not there": (["verify", "a:f", "--html", "a/b/page.html"], "nothing is computed here"),
    "time that is no number": (["verify", "a:f", "--timeout", "nan"], "timeout"),
    "a study that is a folder": (["study", "."], "a folder"),
    "a study of this process": (["study", "/proc/self/mem"], "FILE"),
    "a command from right to left": (["\u202e"], "command"),
    "a folder of 100,000 characters": (["reproduce", "--out", LONG], "--out"),
    "a study without an end": (["study", "/dev/zero"], "a device"),
    "a study that never comes": (["study", "../fifo"], "a pipe"),
    "a study with no name": (["study", "../...toml"], "--out"),
    "a study of 100,000 characters": (["study", LONG], "FILE"),
    "a number of 5000 digits": (["verify", "a:f", "--steps", "9" * 5000], "--steps"),
    "an option of 100,000 characters": (["study", f"--{LONG}"], "option"),
    "a command of 100,000 characters": ([LONG], "command"),
}

NUMBERS = st.one_of(
    st.sampled_from([0, -1, 1, 2**63, 10**400, 1e308, -1e308, 1e-300, 5e-324, math.nan, math.inf, -math.inf, 1e12]),
    st.floats(allow_nan=True),
    st.integers(-(2**70), 2**70),
)
ODD = st.one_of(
    NUMBERS,
    st.sampled_from([True, "", "x", "\0", "a" * 1000, "../..", "{", "%s", "\x1b[31m", "\u202e", [], [[]], [[[]]], {}]),
    st.sampled_from([Raw("[" * 40 + "]" * 40), Raw("1979-05-27"), Raw("{a.b.c = 1}"), Raw("= ="), Raw('"unended')]),
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace").decode()),
    st.lists(NUMBERS, max_size=3),
    st.lists(st.lists(NUMBERS, max_size=3), max_size=3),
)
STEPS = st.one_of(st.integers(1, 40), st.integers(4, 12), st.sampled_from([1000, 10**7, 10**9]))
NAMES = (
    "ddim li-ddim li-accelerated-ode exp-adams-3 dpm-solver++-2m edm-heun ddpm sa-solver-2 ipndm-4 flow-euler etd-rk4"
)
NAMES += " bdia-ddim?gamma=1/2 sa-solver-2?tau=1/3 deis-tab2 edm-churn?churn=10 DDIM"
METHODS = st.sampled_from(NAMES.split())
SCHEDULES: list[dict[str, Any]] = [
    {"kind": "vp-linear", "beta_min": 0.1, "beta_max": 20.0},
    {"kind": "cosine"},
    {"kind": "ve", "sigma_min": 0.01, "sigma_max": 50.0},
    {"kind": "edm"},
    {"kind": "flow"},
    {"kind": "li", "c0": 1.0, "c1": 7.0},
]
GRIDS: list[dict[str, Any]] = [
    {"kind": "uniform-t", "t_min": 1e-3, "t_max": 1.0},
    {"kind": "uniform-lambda", "t_min": 0.01, "t_max": 0.99},
    {"kind": "karras", "sigma_min": 0.01, "sigma_max": 10.0, "rho": 7.0},
]


@st.composite
def targets(draw: st.DrawFn, tame: bool = False) -> dict[str, Any]:
    """A mixture; its numbers may be of any size, unless it is tame."""
    count, dim = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    size = st.one_of(st.floats(-3, 3), st.floats(-1e12, 1e12), st.sampled_from([0.0, 1e-12, 1e-200, 5e-324, 1e11]))
    size = st.one_of(st.floats(-3, 3), st.sampled_from([0.0, 1e-3, 1e2])) if tame else size
    point = size if dim == 1 else st.lists(size, min_size=dim, max_size=dim)
    target: dict[str, Any] = {
        "weights": [1 / count] * count,
        "means": draw(st.lists(point, min_size=count, max_size=count)),
    }
    if draw(st.booleans()) or dim == 1:
        return target | {"stds": draw(st.lists(size.map(abs), min_size=count, max_size=count))}
    scale = draw(st.lists(size.map(abs), min_size=count, max_size=count))
    turned = [[[s if i == j else s * 0.4 for i in range(dim)] for j in range(dim)] for s in scale]
    return target | {"covariances": turned}


LAWS, ESTIMATES = ["tv", "kl", "w2"], ["energy", "sliced-w2", "moments"]


@st.composite
def studies(draw: st.DrawFn, most: int = 2, tiny: bool = False) -> str:
    """A study file with at most so many things wrong; tiny: so small that it is run."""
    schedule = dict(draw(st.sampled_from(SCHEDULES[:-1] if tiny else SCHEDULES)))
    target = draw(targets(tame=tiny))
    line = not isinstance(target["means"][0], list)
    metrics = ["trajectory", *(LAWS if line else ESTIMATES)]
    steps = st.integers(3, 6) if tiny else STEPS
    run: dict[str, Any] = {
        "methods": draw(st.lists(METHODS, min_size=1, max_size=1 if tiny else 2, unique=True)),
        "steps": draw(st.lists(steps, min_size=1, max_size=2, unique=True)),
        "metrics": draw(st.lists(st.sampled_from(metrics), min_size=1, max_size=2, unique=True)),
        "init": draw(st.sampled_from(["exact", "normal"])),
        "start": draw(st.sampled_from(["ramp", "exact"])),
        "points": 101,
    }
    document: dict[str, Any] = {"target": target, "schedule": schedule, "run": run}
    if schedule["kind"] != "li":
        document["grid"] = dict(draw(st.sampled_from(GRIDS)))
    for _ in range(draw(st.integers(0, most))):
        spoil(draw, document)
    return toml(document)


def spoil(draw: st.DrawFn, document: dict[str, Any]) -> None:
    """Change, add or leave out one value, or a whole table."""
    table = draw(st.sampled_from(sorted(document)))
    if not isinstance(document[table], dict) or draw(st.integers(0, 9)) == 0:
        document[table] = draw(ODD)
        return
    key = draw(st.sampled_from([*sorted(document[table]), "more"]))
    before = document[table].get(key)
    if draw(st.integers(0, 4)) == 0:
        document[table].pop(key, None)
    elif isinstance(before, int | float) and not isinstance(before, bool) and draw(st.booleans()):
        document[table][key] = draw(NUMBERS)
    else:
        document[table][key] = draw(ODD)


DESCRIPTIONS: list[dict[str, Any]] = [
    {
        **{"format": 1, "kind": "network", "name": "rings", "prediction": "v", "shape": [2]},
        **{"sigma_data": 0.485, "span": [-6.0, 7.0]},
        "network": {"architecture": "perceptron", "widths": [8, 8], "told": 8},
    },
    {
        **{"format": 1, "kind": "module", "name": "mine", "prediction": "noise", "shape": [2]},
        "network": {"module": "nowhere:net", "weights": "model.safetensors"},
        "schedule": {"kind": "discrete", "betas": "linear", "levels": 1000},
    },
    {
        **{"format": 1, "kind": "module", "name": "mine", "prediction": "flow", "shape": [1, 8, 8]},
        "network": {"module": "nowhere:net", "weights": "model.safetensors"},
        "schedule": {"kind": "vp-linear", "beta_min": 0.1, "beta_max": 20.0, "t_min": 1e-3, "t_max": 1.0},
    },
    {"format": 1, "kind": "diffusers", "model": "a/b", "label": 3},
]

_OWN, _MODULE = DESCRIPTIONS[0], DESCRIPTIONS[1]


def _described(table: str, key: str, value: Any) -> str:
    """The description of our own kind, of a module for what only modules have, with one value changed."""
    document = _MODULE if table == "schedule" or key in ("module", "weights") else _OWN
    return toml({**document, table: {**document[table], key: value}} if table else {**document, key: value})


# what was found -> checkpoint.toml, and a word of the refusal
CHECKPOINTS: dict[str, tuple[str, str]] = {
    **{
        f"3000 brackets in {table} {key}": (_described(table, key, Raw(DEEP)), "nested")
        for table, keys in {
            "": ("format", "kind", "name", "prediction", "shape", "sigma_data", "span"),
            "network": ("architecture", "widths", "told", "module", "weights"),
            "schedule": ("kind", "betas", "levels"),
        }.items()
        for key in keys
    },
    **{
        f"{key} of 400 digits": (_described(table, key, Raw(f"[{HUGE}, 8]" if many else HUGE)), key)
        for table, key, many in (
            ("", "format", False),
            ("", "shape", True),
            ("", "sigma_data", False),
            ("", "span", True),
            ("network", "widths", True),
            ("network", "told", False),
            ("schedule", "levels", False),
        )
    },
    **{f"levels of {n:.0e}": (_described("schedule", "levels", int(n)), "levels") for n in (1e8, 1e12)},
    "a date as a shape": (_described("", "shape", Raw("1979-05-27")), "shape"),
    "a NUL in the weights": (_described("network", "weights", "a\0"), "weights"),
    "code that is not asked for": (toml(_MODULE), "--allow-code"),
}


@st.composite
def descriptions(draw: st.DrawFn) -> str:
    """A checkpoint.toml: right, or with a few things wrong."""
    chosen = draw(st.sampled_from(DESCRIPTIONS))
    document = {key: dict(value) if isinstance(value, dict) else value for key, value in chosen.items()}
    for _ in range(draw(st.integers(1, 3))):
        spoil(draw, document)
    return toml(document)


TYPED = ["ddim", "", "-", "--", "..:f", "a:b", "a:b?x", "a:b?x=1", "diffusers:DDIMScheduler", "1e999", "\u202e"]
TYPED += ["ddim?", "sa-solver-2?tau=", "sa-solver-2?tau=1/0", "ddim?foo=1", "x" * 3000, "9" * 5000, "study.toml"]
WORDS = st.one_of(
    st.sampled_from(TYPED),
    st.text(max_size=12).filter(lambda text: "\0" not in text).map(lambda t: t.encode("utf-8", "replace").decode()),
)
OPTIONS = ["--json", "--out", "--device", "--steps", "--against", "--timeout", "--format", "--quick", "--large"]
OPTIONS += ["--allow-pickle", "--allow-code", "--hub", "--sweep", "--nothing"]
COMMAND_LINES = st.tuples(
    st.sampled_from(["study", "derive", "cite", "verify", "train", "reproduce", "prove", "nothing"]),
    WORDS,
    st.lists(st.one_of(st.sampled_from(OPTIONS), WORDS), max_size=4),
).map(lambda parts: [parts[0], parts[1], *parts[2]])
