"""Completion in bash, zsh and fish: the script of a shell, and the names that it is offered.

The names come from records that import no torch, so that a key press is answered in a fraction of a second.
"""

from __future__ import annotations

import gc
import glob
import os
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

PROGRAM = "samplerproof"
VARIABLE = f"_{PROGRAM.upper()}_COMPLETE"  # set by the scripts; typer then prints what may follow, and no command runs


class Shell(StrEnum):
    """The shells with a script."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


# typer's script for bash passes the words as bash divides them, at colons too, which names have.
BASH = r"""
_PROGRAM_completion() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$'\n' word
    local -a words
    IFS=$' \t' read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[${#words[@]} - 1]#--*=}
    COMPREPLY=( $( env COMP_WORDS="$line" COMP_CWORD=$(( ${#words[@]} - 1 )) \
                   VARIABLE=complete_bash "$1" 2> /dev/null ) )
    if [[ $COMP_WORDBREAKS == *:* && $word == *:* && $word != [\"\']* ]]; then
        COMPREPLY=( "${COMPREPLY[@]#"${word%"${word##*:}"}"}" )
    fi
}
complete -o default -F _PROGRAM_completion PROGRAM
"""


def script(shell: Shell) -> str:
    """What a shell evaluates at its start: `eval "$(samplerproof --completion bash)"`."""
    if shell == Shell.bash:
        return BASH.replace("VARIABLE", VARIABLE).replace("PROGRAM", PROGRAM).strip()
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    return str(get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell.value))


def enable(app: typer.Typer) -> None:
    """Let typer answer the scripts, where one of them asks; only the command on the line is then made."""
    if VARIABLE not in os.environ:
        return
    from typer.completion import completion_init  # type: ignore[attr-defined]

    gc.disable()
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # typer reads values by pydantic, which looks for plugins
    words = os.environ.get("COMP_WORDS", os.environ.get("_TYPER_COMPLETE_ARGS", "")).split()
    named = [c for c in app.registered_commands if c.callback is not None and c.callback.__name__ in words[1:2]]
    app.registered_commands = named or app.registered_commands
    completion_init()


def methods(incomplete: str) -> list[str]:
    """Methods by name; by alias too once something is typed."""
    from ..numerics.catalogue import METHODS

    aliases = [alias for record in METHODS.values() for alias in record.aliases] if incomplete else []
    return _starting([*METHODS, *aliases], incomplete)


def families(incomplete: str) -> list[str]:
    """The families of methods."""
    from ..numerics.catalogue import METHODS

    return _starting(dict.fromkeys(record.family for record in METHODS.values()), incomplete)


def targets(incomplete: str) -> list[str]:
    """The samplers of libraries that are names of a method, and files."""
    from ..numerics.catalogue import METHODS

    named = [alias for record in METHODS.values() for alias in record.aliases if ":" in alias]
    return _starting(named, incomplete) + _files(incomplete)


def grids(incomplete: str) -> list[str]:
    """The kinds of grid; by the names of libraries too once something is typed."""
    from ..numerics.grid_kinds.all_kinds import KINDS

    aliases = [alias for kind in KINDS.values() for alias in kind.names] if incomplete else []
    return _starting([*KINDS, *aliases], incomplete)


def schedules(incomplete: str) -> list[str]:
    """The noise schedules."""
    from .grids_command import ENDS

    return _starting(ENDS, incomplete)


def checkpoints(incomplete: str) -> list[str]:
    """The networks of the project."""
    from ..numerics.training.recipes import RECIPES

    return _starting(RECIPES, incomplete)


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]


def _files(incomplete: str) -> list[str]:
    return sorted(path for end in ("*.py", "*.json") for path in glob.glob(glob.escape(incomplete) + end))
