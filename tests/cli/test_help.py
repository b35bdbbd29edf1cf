"""Help texts: whole at any width, with examples that are command lines of the command."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import pytest

from samplerproof.cli.examples import EXAMPLES
from samplerproof.cli.main import app

COMMANDS = [command.callback.__name__ for command in app.registered_commands if command.callback]
Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("command", ["samplerproof", *COMMANDS])
def test_help_is_whole_and_has_examples(in_process: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Assert that no text is cut, and that each example is on a line of its own, at 60 columns and of some at 120."""
    for columns in ("60", "120") if command in ("samplerproof", "study") else ("60",):
        monkeypatch.setenv("COLUMNS", columns)
        code, out, err = in_process(*([] if command == "samplerproof" else [command]), "--help")
        assert (code, err) == (0, "")
        assert "…" not in out.replace("&…", "")
        assert "..." not in out.replace("[NAME]...", "").replace("[ARGS]...", "").replace("{NAME}...", "")
        lines = [line.strip() for line in out.splitlines()]
        assert EXAMPLES[command]
        assert all(example in lines for example in EXAMPLES[command])
        assert "make book" in " ".join(lines)


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_are_accepted(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Assert that the parser takes every example, as arguments of its own command."""
    import typer

    parser = typer.main.get_command(app)
    for example in EXAMPLES[command]:
        program, name, *arguments = shlex.split(example)
        assert (program, name) == ("samplerproof", command)
        chosen = parser.commands[name]  # type: ignore[attr-defined]
        with chosen.make_context(name, arguments) as context:
            assert context.args == []


def test_every_command_is_listed_with_a_whole_text(in_process: Run) -> None:
    """Assert a line for each command."""
    out = in_process("--help")[1]
    listed = out.split("Commands:")[1].split("Examples:")[0]
    assert [line.split()[0] for line in listed.splitlines() if line[:2] == "  " and line[2:3].strip()] == COMMANDS
