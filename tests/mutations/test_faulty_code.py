"""Hand edits of generated code, caught by `emit --check` and by enclosures."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from enclosure_oracle import enclosed, within
from fault_table import report
from shapes import by_shape

from samplerproof.numerics.generated import weight_functions
from samplerproof.theory.emit import __main__ as emit
from samplerproof.theory.emit.render import row_name
from samplerproof.theory.method import Method
from samplerproof.theory.methods import METHODS

WEIGHTS, CATALOGUE = "weight_functions.py", "catalogue_records.py"


@pytest.fixture
def generated(emitted: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of freshly emitted code, which `emit --check` finds current."""
    monkeypatch.setattr(emit, "render_all", lambda: emitted)
    emit.write(tmp_path)
    assert emit.differences(tmp_path) == []
    return tmp_path


def edited(text: str, old: str, new: str, after: str) -> str:
    """The first occurrence behind a landmark, replaced."""
    start = text.index(old, text.index(after))
    return text[:start] + new + text[start + len(old) :]


def emit_check(folder: Path, file: str, text: str) -> bool:
    good = (folder / file).read_text(encoding="utf-8")
    (folder / file).write_text(text, encoding="utf-8")
    found = emit.differences(folder)
    (folder / file).write_text(good, encoding="utf-8")
    return bool(found)


def enclosure(function: str, text: str) -> bool:
    """Whether a value of the edited function lies outside its ball."""
    module = ModuleType(weight_functions.__name__)
    module.__package__ = weight_functions.__package__
    exec(compile(text, WEIGHTS, "exec"), module.__dict__)
    return not all(within(*values) for values in enclosed(function, module))


def functions(method: Method, row: int) -> list[str]:
    """What is generated for a row; not what returns no number."""
    name = row_name(method, row)
    found = [name] if method.applied[row] else []
    if method.noise is not None:
        found += [f"{name}_states"] * (method.carried(row) != (1,))
        found += [f"{name}_noises"] * bool(method.amplitudes(row))
    return found


@pytest.mark.parametrize("method", by_shape(METHODS))
def test_hand_edits_of_generated_code_are_caught(method: Method, generated: Path) -> None:
    good = (generated / WEIGHTS).read_text(encoding="utf-8")
    caught: list[str | None] = []
    for function in [name for i in range(len(method.rows)) for name in functions(method, i)]:
        zero = "tensor(0," in good.partition(f"def {function}(")[2].partition("\ndef ")[0]
        fault = "1e-6 + " if zero else "1.000001*"
        text = edited(good, "return (\n        ", f"return (\n        {fault}", after=f"def {function}(")
        caught.append("emit --check" if emit_check(generated, WEIGHTS, text) else None)
        caught.append("enclosure" if enclosure(function, text) else None)
    report("weight function edited", method.name, caught)
    catalogue = (generated / CATALOGUE).read_text(encoding="utf-8")
    order, name = f" order={method.order},", f'name="{method.name}"'
    text = edited(catalogue, order, f" order={method.order + 1},", after=name)
    report("catalogue edited", method.name, ["emit --check" if emit_check(generated, CATALOGUE, text) else None])
