"""The findings about the grids of a study."""

from __future__ import annotations

from typing import Any

from ..conformance.report import Finding
from ..kind_checks import level_findings
from ..level_checks import first_of_each
from .problem import Problem


def findings_of(problem: Problem) -> list[dict[str, Any]]:
    """For every grid of the study {"name", "steps", "findings"}: the numbers of steps on which methods run, and the
    findings {"kind", "step", "severity", "detail", "steps"}, each with the number of steps of its levels.
    """
    process, found = problem.study.schedule.kind, []
    choices = {choice.called: choice for choice in problem.study.grids}
    for name in dict.fromkeys(name for name, _ in problem.study.crossed):
        grids = {steps: made.points for (of, steps), made in problem.grids.items() if of == name}
        lines: list[tuple[int, Finding]] = []
        if name in choices:  # the grids of Li et al. are those of their schedule
            kind, parameters = choices[name].kind, choices[name].parameters
            for steps, points in grids.items():
                of_it = level_findings(process, kind, parameters, points, problem.trained)
                lines += [(steps, finding) for finding in of_it]
            lines += [(min(grids), finding) for finding in first_of_each(grids, process)]
        found.append({"name": name, "steps": list(grids), "findings": [{**vars(f), "steps": n} for n, f in lines]})
    return found
