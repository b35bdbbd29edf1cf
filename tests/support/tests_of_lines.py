"""Which tests run a line, and what they cost: what `make mutants` judges a mutant by."""

from __future__ import annotations

import sqlite3
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from mutants import ROOT, Mutant


class Coverage:
    """The tests of every line, from a file of coverage.py, and the seconds of every test."""

    def __init__(self, file: Path, seconds: Path) -> None:
        self.lines: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.seconds: dict[str, float] = {}
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
        """The tests that run the line; those of the whole module for a line that runs on import.

        The file that is named after the module comes first, then the cheapest: what a file sets up it sets up once.
        """
        of_file = self.lines.get(mutant.file, {})
        found = of_file.get(mutant.line, set())
        if "" in found:  # nobody's: before the first test
            found = set().union(*of_file.values())
        named = f"test_{Path(mutant.file).stem}.py"
        cost: dict[str, float] = defaultdict(float)
        for test in found - {""}:
            cost[test.partition("::")[0]] += self.cost([test])

        def key(test: str) -> tuple[bool, float, str, float, str]:
            file = test.partition("::")[0]
            return Path(file).name != named, cost[file], file, self.cost([test]), test

        return sorted(found - {""}, key=key)

    def cost(self, tests: Iterable[str]) -> float:
        """The seconds that the tests took."""
        return sum(self.seconds.get(test, 0.0) for test in tests)
