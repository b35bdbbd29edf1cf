"""Which tests run a line, and what they cost: what `make mutants` judges a mutant by."""

from __future__ import annotations

import sqlite3
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

from mutants import ROOT, Mutant, imports, lines_of_functions

TEXT = "tests/theory/test_emit.py::test_committed_code_is_current"
MOST = 150.0  # seconds of the tests that judge a mutant


class Coverage:
    """The tests of every line, from a file of coverage.py, and the seconds of every test."""

    def __init__(self, file: Path, seconds: Path) -> None:
        self.lines: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.seconds: dict[str, float] = {}
        self.users: dict[str, list[tuple[str, int, bool]]] = defaultdict(list)
        for module, user, number, in_function in imports():
            self.users[module].append((user, number, in_function))
        for case in ElementTree.parse(seconds).iter("testcase"):
            path = case.attrib["classname"].replace(".", "/")
            self.seconds[f"{path}.py::{case.attrib['name']}"] = float(case.attrib["time"])
        from coverage.numbits import numbits_to_nums

        with sqlite3.connect(file) as data:
            rows = data.execute(
                "select file.path, context.context, numbits from line_bits "
                "join file on file.id = file_id join context on context.id = context_id"
            )
            for path, context, bits in rows:
                name = Path(path).relative_to(ROOT).as_posix()
                test = context.rpartition("|")[0]
                for line in numbits_to_nums(bits):
                    self.lines[name][line].add(test)

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests that run the statement; where none is known to, since it runs on import, in another process or once
        for all, those that use the module: see `of_module`.

        The file that is named after the module comes first, then the cheapest: what a file sets up it sets up once. So
        many as take no more than `MOST` seconds, and one at least.
        """
        lines, on_import = mutant.statement()
        found = set() if on_import else self.of_lines(mutant.file, lines)
        found = found or self.of_module(mutant.file)
        named = f"test_{Path(mutant.file).stem}.py"
        cost: dict[str, float] = defaultdict(float)
        for test in found:
            cost[test.partition("::")[0]] += self.cost([test])

        def key(test: str) -> tuple[bool, float, str, float, str]:
            file = test.partition("::")[0]
            return Path(file).name != named, cost[file], file, self.cost([test]), test

        tests = sorted(found, key=key)
        taken = accumulate(self.cost([test]) for test in tests)
        chosen = [
            test for number, (test, sum_) in enumerate(zip(tests, taken, strict=True)) if sum_ < MOST or not number
        ]
        # What is derived is compared with the generated code, whichever test derived it first.
        return [*chosen, *([TEXT] if mutant.file.startswith("theory/") and TEXT not in chosen else [])]

    def of_lines(self, file: str, lines: Iterable[int]) -> set[str]:
        """The tests that ran one of the lines; not "", which stands for what ran before the first."""
        of_file = self.lines.get(file, {})
        return set().union(*(of_file.get(line, set()) for line in lines)) - {""}

    def of_module(self, file: str, seen: frozenset[str] = frozenset()) -> set[str]:
        """The tests that run a function of the module or of one that imports it; without any, those of who uses these.

        Who ran a line of a module's own level is left aside: that is whichever test of its process came first.
        """
        users = self.users.get(file, ())
        found = self.of_lines(file, lines_of_functions(file))
        for user, line, in_function in users:
            found |= self.of_lines(user, [line] if in_function else lines_of_functions(user))
        outside = {user for user, _, in_function in users if not in_function} - seen - {file}
        return found or set().union(*(self.of_module(user, seen | {file}) for user in outside))

    def cost(self, tests: Iterable[str]) -> float:
        """The seconds that the tests took."""
        return sum(self.seconds.get(test, 0.0) for test in tests)
