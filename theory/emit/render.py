"""Records -> the text of numerics/generated/*.py. Deterministic: no date, no hash, order of declaration."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from textwrap import indent

import sympy as sp

from ..exponential import one_node
from ..frames import FRAMES, Frame
from ..linear_stability import real_interval
from ..method import FIRST, Method, named
from ..methods import METHODS, ODE_METHODS
from ..notation import alpha, dalpha, dsigma, eps, kappa, moments, next_alpha, next_sigma, sigma, x0
from ..order import prove_order
from ..parameter import Parameter
from ..phi_functions import phi
from ..prediction_formulas import DEFINITION, convert
from ..rows import Row
from ..schedule_formulas import LI_BETA, LI_FIRST_BETA, SCHEDULES, Schedule
from .bibliography import render_citations
from .leading_defects import render_defects
from .printer import to_torch
from .source_text import header, identifier, lines
from .splitting_tables import render_splittings

PLAIN = (sp.S.One,)  # z_n, carried as it is

# --- weights


def row_name(method: Method, row: int) -> str:
    return identifier(method.name) + (f"_row{row + 1}" if len(method.rows) > 1 else "")


def in_torch(expression: sp.Expr, method: Method) -> str:
    """The expression as torch code; a number becomes a tensor."""
    text = to_torch(expression, method.names)
    return f"tensor({text}, dtype=float64)" if expression.is_number else text


def entry(weight: sp.Expr, method: Method) -> list[str]:
    """One entry of the returned tuple; a long sum gets a line a term."""
    text = in_torch(weight, method)
    if len(text) <= 80 or not isinstance(weight, sp.Add):
        return [f"    {text},"]
    first, *rest = [to_torch(term, method.names) for term in weight.as_ordered_terms()]
    signed = [f"- {term[1:]}" if term.startswith("-") else f"+ {term}" for term in rest]
    return [f"    {first}", *(f"    {term}" for term in signed[:-1]), f"    {signed[-1]},"]


def phi_name(atom: phi, atoms: list[phi]) -> str:
    """phi2, or phi2_1, phi2_2 where phi_2 is taken at several arguments."""
    of_index = [a for a in atoms if a.args[0] == atom.args[0]]
    return f"phi{atom.args[0]}" + (f"_{of_index.index(atom) + 1}" if len(of_index) > 1 else "")


def weight_function(method: Method, row: int) -> str:
    """One function a row: arguments h, step ratios -> the weights W_j, phi atoms computed once."""
    weights = tuple(map(named, method.applied[row]))
    where = "" if len(method.rows) == 1 else f", row {row + 1} of {len(method.rows)}"
    doc = f'"""{method.name}{where}: {method.cite}; order {method.order}."""'
    return function(method, row_name(method, row), method.arguments(weights), doc, weights)


def function(
    method: Method,
    name: str,
    arguments: tuple[str, ...],
    doc: str,
    values: tuple[sp.Expr, ...],
    variances: tuple[sp.Expr, ...] = (),
) -> str:
    """A function of those arguments that returns a tuple of values; phi atoms and roots of variances come first."""
    atoms = sorted(set().union(*(sp.sympify(w).atoms(phi) for w in (*values, *variances))), key=sp.default_sort_key)
    names = {atom: sp.Symbol(phi_name(atom, atoms)) for atom in atoms}
    body = [f"{names[atom]} = {to_torch(atom, method.names)}" for atom in atoms]
    body += [
        f"{root} = sqrt({in_torch(v.subs(names), method)})" for root, v in zip(roots(variances), variances, strict=True)
    ]
    body += ["return (", *(line for w in values for line in entry(sp.sympify(w).subs(names), method)), ")"]
    typed = ", ".join(f"{a}: Tensor" for a in arguments)
    return f"def {name}({typed}) -> tuple[Tensor, ...]:\n" + lines(doc, *body)


def roots(variances: tuple[sp.Expr, ...]) -> list[sp.Symbol]:
    return [sp.Symbol(f"root{k}") for k in range(1, len(variances) + 1)]


def states_function(method: Method, row: int) -> str:
    """The coefficients of the states, where a row carries more than z_n as it is."""
    carried = method.carried(row)
    kept = "z_n" if len(carried) == 1 else "z_n, z_(n-1)"
    doc = f'"""{method.name}: coefficients of {kept}."""'
    return function(method, f"{row_name(method, row)}_states", method.arguments(carried), doc, carried)


def noises_function(method: Method, row: int) -> str:
    """The coefficients of the noises drawn for this step's rows, up to a row's own."""
    variances = tuple(a.variance for a in method.amplitudes(row))
    values = tuple(a.factor * root for a, root in zip(method.amplitudes(row), roots(variances), strict=True))
    doc = f'"""{method.name}: coefficients of the noises drawn for this step, over sigma at the end of the row."""'
    return function(method, f"{row_name(method, row)}_noises", noise_arguments(method, row), doc, values, variances)


def noise_arguments(method: Method, row: int) -> tuple[str, ...]:
    return method.arguments([e for amplitude in method.amplitudes(row) for e in amplitude])


def weight_functions(method: Method) -> str:
    functions = []
    for i in range(len(method.rows)):
        functions.append(weight_function(method, i))
        if method.carried(i) != PLAIN:
            functions.append(states_function(method, i))
        if method.amplitudes(i):
            functions.append(noises_function(method, i))
    return "\n\n".join(functions)


def render_weights() -> str:
    head = header(
        "theory/methods/", "Weights W_j of every row, from the step h in the frame's clock and the step ratios."
    )
    head += "from torch import Tensor, float64, sqrt, tensor\n\nfrom ..arc import arc\nfrom ..phi import phi\n\n\n"
    one = "def one_node(h: Tensor, kappa: Tensor) -> tuple[Tensor, ...]:\n" + lines(
        '"""The one-node rule of a frame whose weight is c e^(kappa u)."""', f"return ({to_torch(one_node(kappa))},)"
    )
    (first, *_) = moments
    smooth = f"def one_node_smooth({first}: Tensor) -> tuple[Tensor, ...]:\n" + lines(
        '"""The one-node rule of a frame whose weight is any smooth function."""', f"return ({first},)"
    )
    return head + "\n\n".join([one, smooth, *map(weight_functions, METHODS)])


# --- catalogue


def tuple_of(entries: Iterable[str]) -> str:
    """The source text of a tuple, with a trailing comma where it needs one."""
    found = list(entries)
    return f"({found[0]},)" if len(found) == 1 else f"({', '.join(found)})"


def quoted(names: Iterable[str]) -> str:
    """A tuple of strings."""
    return tuple_of(f'"{name}"' for name in names)


def fraction(value: sp.Rational) -> str:
    return str(value) if value.q == 1 else f"Fraction({value.p}, {value.q})"


def place(method: Method, row: Row) -> str:
    """A grid offset, a fraction of the step, or the name of the number that is this fraction."""
    if isinstance(row.to, int):
        return str(row.to)
    return f'"{method.shown(row.to)}"' if isinstance(row.to, sp.Symbol) else fraction(row.to)


def parameter(p: Parameter) -> str:
    low, high = ("-inf" if e == -sp.oo else "inf" if e == sp.oo else fraction(e) for e in p.domain.args[:2])
    fields = [f'"{p.name}", {fraction(p.default)}, {low}, {high}, {p.closed}']
    if p.orders:
        fields.append(f"orders={tuple_of(f'({fraction(value)}, {order})' for value, order in p.orders)}")
    if p.left_out:
        fields.append(f"excluded={tuple_of(map(fraction, p.left_out))}")
    return f"GeneratedParameter({', '.join(fields)})"


def generated_row(method: Method, i: int) -> list[str]:
    """Row i of a method; a row with more than its weights gets a line for each further field."""
    row, name = method.rows[i], row_name(method, i)
    nodes = tuple_of(f"({n.back}, {n.stage})" for n in row.nodes)
    first = f'{place(method, row)}, {nodes}, "{name}", {quoted(method.arguments(method.applied[i]))}'
    more = [] if row.evaluated else ["evaluated=False"]
    if (carried := method.carried(i)) != PLAIN:
        more += [f'states="{name}_states"', f"state_arguments={quoted(method.arguments(carried))}"]
    if method.amplitudes(i):
        more += [f'noises="{name}_noises"', f"noise_arguments={quoted(noise_arguments(method, i))}"]
    if not more:
        return [f"GeneratedRow({first}),"]
    return ["GeneratedRow(", f"    {first},", *(f"    {field}," for field in more), "),"]


def aliases(method: Method) -> list[str]:
    """The aliases, on a line each if there are several."""
    if len(method.aliases) < 2:
        return [f"aliases={quoted(method.aliases)},"]
    return ["aliases=(", *(f'    "{name}",' for name in method.aliases), "),"]


def record(method: Method) -> str:
    rows = [f"        {line}" for i in range(len(method.rows)) for line in generated_row(method, i)]
    start = f'"{method.start.name}"' if method.start else None
    fields = [
        f'    name="{method.name}",',
        f'    label="{method.label}",',
        *(f"    {line}" for line in aliases(method)),
        f'    family="{method.family}",',
        f'    kind="{method.kind}",',
        f'    frame="{method.frame.name}",',
        f"    order={method.order},",
        f"    order_asymptotic={method.order_asymptotic},",
        f"    nfe_per_step={method.nfe_per_step},",
        f"    history={method.history},",
        f"    start={start},",
        "    rows=(",
        *rows,
        "    ),",
        f'    summary="{method.summary}",',
        f'    cite="{method.cite}",',
        *(equal_steps(method) if method.equal_steps else []),
        *(stability(method) if method.noise is None else of_noise(method)),
        *([f"    parameters={tuple_of(map(parameter, method.parameters))},"] if method.parameters else []),
        *([f'    since="{method.since}",'] if method.since != FIRST else []),
    ]
    return "Record(\n" + "\n".join(fields) + "\n)"


def equal_steps(method: Method) -> list[str]:
    """What only methods for equal steps have: the mark, and the order for free step ratios, proved."""
    return ["    equal_steps=True,", f"    order_free={prove_order(method, free=True).order},"]


def of_noise(method: Method) -> list[str]:
    """What only methods with noise have: the mark, and the orders in law that are higher."""
    orders = {"law_order": method.law_order, "gaussian_order": method.gaussian_order}
    return ["    stochastic=True,", *(f"    {name}={order}," for name, order in orders.items() if order is not None)]


def stability(method: Method) -> list[str]:
    """The length of the real stability interval, as the nearest double; left out where it is infinite."""
    length = real_interval(method)
    return [] if length == sp.oo else [f"    stability={float(length.evalf(40))!r},"]


def render_catalogue() -> str:
    head = header("theory/methods/", "The catalogue: what every sampler is, without its weights.")
    imports = "from fractions import Fraction\nfrom math import inf\n\n"
    imports += "from ..records import GeneratedParameter, GeneratedRow, Record\n\n"
    records = indent("".join(f"{record(method)},\n" for method in METHODS), "    ")
    return head + f"{imports}RECORDS: tuple[Record, ...] = (\n{records})\n"


# --- frames


def frame_function(frame: Frame) -> str:
    """scale m, output scale at the end of a step, factor of the prediction."""
    values = ", ".join(to_torch(e) for e in (frame.scale, frame.output_scale, frame.factor))
    doc = f'"""{frame.name}: scale m, output scale m c e^(kappa u), factor of the {frame.prediction} prediction."""'
    name = identifier(frame.name)
    return f"def {name}(alpha: Tensor, sigma: Tensor) -> Triple:\n" + lines(doc, f"return {values}")


def whole_function(frame: Frame) -> str:
    arguments = ", ".join(f"{a}: Tensor" for a in map(str, (alpha, sigma, next_alpha, next_sigma)))
    doc = f'"""{frame.name}: coefficient of the one-node rule over a step that is infinite in the clock."""'
    return f"def {identifier(frame.name)}_whole({arguments}) -> Tensor:\n" + lines(
        doc, f"return {to_torch(frame.whole_step)}"
    )


def render_frames() -> str:
    used = [f for f in FRAMES.values() if any(m.frame is f for m in ODE_METHODS)]
    head = header("theory/frames.py", "The frames that the catalogue uses: d(x/m)/du = c e^(kappa u) F.")
    head += "from torch import Tensor\n\nfrom ..records import Frame\n\n"
    head += "Triple = tuple[Tensor | int, Tensor | float, Tensor | int]\n\n\n"
    functions = []
    entries = []
    for frame in used:
        name = identifier(frame.name)
        functions.append(frame_function(frame))
        whole = "None"
        if frame.whole_step is not None:
            functions.append(whole_function(frame))
            whole = f"{name}_whole"
        fields = f'"{frame.name}", "{frame.column}", "{frame.prediction}", {frame.kappa}, {name}, {whole}'
        smooth = "" if frame.rate is None else ", smooth=True"
        entries.append(f'    "{frame.name}": Frame({fields}{smooth}),')
    table = "FRAMES: dict[str, Frame] = {\n" + "\n".join(entries) + "\n}\n"
    return head + "\n\n".join(functions) + "\n\n" + table


# --- predictions


def render_predictions() -> str:
    head = header("theory/prediction_formulas.py", "target = a x + b source for every pair of predictions.")
    head += "from collections.abc import Callable\nfrom math import sqrt\n\n"
    arguments = [str(v) for v in (alpha, sigma, dalpha, dsigma)]
    typed = ", ".join(f"{v}: float" for v in arguments)
    functions, entries = [], []
    for source in DEFINITION:
        for target in DEFINITION:
            if source == target:
                continue
            a, b = convert(source, target)
            doc = f'"""{target} = a x + b {source}."""'
            name = f"{target}_from_{source}"
            body = lines(doc, f"return {to_torch(a)}, {to_torch(b)}")
            functions.append(f"def {name}({typed}) -> tuple[float, float]:\n{body}")
            entries.append(f'    ("{source}", "{target}"): {name},')
    parts = "PARTS: dict[str, Callable[[float, float, float, float], tuple[float, float]]] = {\n"
    for kind, defined in DEFINITION.items():
        p, q = (to_torch(sp.expand(defined).coeff(symbol)) for symbol in (x0, eps))
        body = lines(f'"""{kind} = p x0 + q eps."""', f"return {p}, {q}")
        functions.append(f"def parts_of_{kind}({typed}) -> tuple[float, float]:\n{body}")
        parts += f'    "{kind}": parts_of_{kind},\n'
    table = "CONVERT: dict[tuple[str, str], Callable[[float, float, float, float], tuple[float, float]]] = {\n"
    kinds = ", ".join(f'"{p}"' for p in DEFINITION)
    return (
        head
        + f"PREDICTIONS = ({kinds})\n\n\n"
        + "\n\n".join(functions)
        + "\n\n"
        + table
        + "\n".join(entries)
        + "\n}\n"
        + parts
        + "}\n"
    )


# --- schedules


def shared(results: list[sp.Expr], prefix: str) -> tuple[list[str], list[str]]:
    """Common subexpressions as named lines, and the reduced results as text."""
    pairs, reduced = sp.cse(results, symbols=(sp.Symbol(f"{prefix}{i}") for i in range(1000)), order="canonical")
    return [f"{name} = {to_torch(value)}" for name, value in pairs], [to_torch(e) for e in reduced]


def schedule_function(schedule: Schedule) -> str:
    parameters = "".join(f", {p}: Tensor" for p in schedule.parameters)
    columns = [schedule.alpha, schedule.sigma, schedule.lam, schedule.rho2, schedule.dalpha, schedule.dsigma]
    common, values = shared(columns, "k")
    name = identifier(schedule.name)
    doc = f'"""{schedule.name}: alpha, sigma, lambda, rho^2, d alpha/dt, d sigma/dt; {schedule.cite}."""'
    forward = f"def {name}(t: Tensor{parameters}) -> Columns:\n" + lines(
        doc, *common, "return (", *(f"    {v}," for v in values), ")"
    )
    common, values = shared([schedule.time], "k")
    doc = f'"""{schedule.name}: t as a function of lambda."""'
    inverse = f"def {name}_time(lam: Tensor{parameters}) -> Tensor:\n" + lines(doc, *common, f"return {values[0]}")
    return forward + "\n\n" + inverse


def schedule_entry(schedule: Schedule) -> str:
    name = identifier(schedule.name)
    parameters = "".join(f'"{p}", ' for p in schedule.parameters).rstrip(" ")
    defaults = ", ".join(f'"{p}": {to_torch(value)}' for p, value in schedule.defaults)
    low, high = schedule.domain
    domain = f"{to_torch(low)}, {'inf' if high is None else to_torch(high)}"
    return (
        f'    "{schedule.name}": ScheduleRecord("{schedule.name}", ({parameters}), ({domain}), '
        f'{{{defaults}}}, "{schedule.prior}", {name}, {name}_time),'
    )


def render_schedules() -> str:
    head = header(
        "theory/schedule_formulas.py", "Schedules: columns at t, and t at lambda. All arguments float64 tensors."
    )
    head += (
        "from math import inf, pi\n\nfrom torch import Tensor, atan2, clamp, cos, exp, expm1, log, log1p, sin, sqrt\n\n"
    )
    head += "from ..records import ScheduleRecord\n\nColumns = tuple[Tensor | int, ...]\n\n\n"
    functions = "\n\n".join(map(schedule_function, SCHEDULES))
    first = "def li_first_beta(levels: Tensor, c0: Tensor) -> Tensor:\n" + lines(
        '"""b_1 of Li et al.\'s schedule with T = levels."""', f"return {to_torch(LI_FIRST_BETA)}"
    )
    rest = "def li_beta(k: Tensor, levels: Tensor, c0: Tensor, c1: Tensor) -> Tensor:\n" + lines(
        '"""b_k of Li et al.\'s schedule, k = 2..levels."""', f"return {to_torch(LI_BETA)}"
    )
    table = "SCHEDULES: dict[str, ScheduleRecord] = {\n" + "\n".join(map(schedule_entry, SCHEDULES)) + "\n}\n"
    return head + functions + "\n\n" + first + "\n\n" + rest + "\n\n" + table


@cache
def render_all() -> dict[str, str]:
    """File name -> text of every generated file."""
    return {
        "weight_functions.py": render_weights(),
        "catalogue_records.py": render_catalogue(),
        "frame_functions.py": render_frames(),
        "prediction_functions.py": render_predictions(),
        "defects.py": render_defects(),
        "schedule_functions.py": render_schedules(),
        "phase_splittings.py": render_splittings(),
        "citations.py": render_citations(),
    }
