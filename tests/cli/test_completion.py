"""Completion, driven in the shells themselves: what a press of the tab key puts on the line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from samplerproof.cli import completion
from samplerproof.numerics.generated.schedule_functions import SCHEDULES

PROGRAM = Path(sys.executable).parent / "samplerproof"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a command of that name first in the path, a study file and a sampler."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / "samplerproof").write_text(
        f"#!{sys.executable}\nfrom samplerproof.cli.main import run\nrun()\n", encoding="utf-8"
    )
    (place / "samplerproof").chmod(0o755)
    (tmp_path / "bimodal.toml").touch()
    (tmp_path / "my_sampler.py").touch()
    return tmp_path


def in_bash(folder: Path, line: str) -> list[str]:
    """What bash offers after the line, by the function that its script sets; words are divided as readline does."""
    words = re.findall(r"[^\s:=]+|[:=]", line) + ([""] if line.endswith(" ") else [])
    quoted = " ".join(f"'{word}'" for word in words)
    program = f"""
        eval "$(samplerproof --completion bash)"
        COMP_LINE='{line}' COMP_POINT={len(line)} COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}
        _samplerproof_completion samplerproof
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return shell("bash", ["--norc", "-c", program], folder).split("\n")


def shell(name: str, arguments: list[str], folder: Path) -> str:
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "HOME": str(folder)}
    done = subprocess.run([name, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.rstrip("\n")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("samplerproof ver", ["verify"]),
        (
            "samplerproof prove ddim dpm-solver++-2",
            [*("dpm-solver++-2m", "dpm-solver++-2m-v2"), "dpm-solver++-2s", "dpm-solver++-2s-taylor"],
        ),
        ("samplerproof verify k-diffusion:sample_dpmpp_2m", ["sample_dpmpp_2m", "sample_dpmpp_2m_sde"]),
        ("samplerproof verify f.py:f --against=k-diffusion:sample_he", ["sample_heun"]),
        ("samplerproof grids karras --schedule vp", ["vp-linear"]),
        ("samplerproof grids kar", ["karras", "karras-sigma"]),
        ("samplerproof methods --family bd", ["bdia"]),
        ("samplerproof train dig", ["digits", "digits-small", "digits-large"]),
        ("samplerproof verify my_", ["my_sampler.py"]),
        ("samplerproof derive ddim --format to", ["torch"]),
        ("samplerproof study bim", [""]),  # bash then completes the file, by `-o default`
        ("samplerproof derive zz", [""]),
    ],
)
@pytest.mark.slow
def test_bash_is_offered_names(folder: Path, line: str, offered: list[str]) -> None:
    """Assert the names after the line, without what bash has divided off at a colon."""
    assert in_bash(folder, line) == offered


@pytest.mark.slow
def test_bash_itself_completes_the_line(folder: Path) -> None:
    """Assert what a person sees who types the start of a name with a colon and presses tab, in a bash of their own."""
    import pty

    child, ours = pty.fork()
    if child == 0:
        path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        os.chdir(folder)
        os.execvpe("bash", ["bash", "--norc", "-i"], {**os.environ, "PATH": path, "PS1": "$ ", "TERM": "dumb"})
    seen = b""

    def until(text: bytes) -> bytes:
        nonlocal seen
        deadline = time.monotonic() + 120
        while text not in seen and time.monotonic() < deadline:
            seen += os.read(ours, 65536)
        return seen

    os.write(ours, b'eval "$(samplerproof --completion bash)"; echo rea""dy\n')
    until(b"ready\r\n")
    os.write(ours, b"echo samplerproof; samplerproof verify k-diffusion:sample_heu\t")
    until(b"sample_heun")
    os.write(ours, b"\x15samplerproof study bim\t")
    assert b"study bimodal.toml" in until(b"bimodal.toml")
    assert b"verify k-diffusion:sample_heun" in seen
    os.write(ours, b"\x15exit\n")
    os.close(ours)
    os.waitpid(child, 0)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_is_offered_names(folder: Path) -> None:
    """Assert that the script is accepted, and that zsh is offered a name with its colon kept."""
    program = """
        autoload -Uz compinit && compinit -u
        eval "$(samplerproof --completion zsh)"
        _arguments() { print -r -- "$@" }
        words=(samplerproof verify k-diffusion:sample_heu) CURRENT=3
        _samplerproof_completion
    """
    assert r"k-diffusion\\:sample_heun" in shell("zsh", ["-f", "-c", program], folder)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_is_offered_names(folder: Path) -> None:
    """Assert names with a colon, and files where a file is due."""
    program = "samplerproof --completion fish | source; complete --do-complete "
    heun = shell("fish", ["--no-config", "-c", program + "'samplerproof verify k-diffusion:sample_heu'"], folder)
    assert heun.split() == ["k-diffusion:sample_heun"]
    file = shell("fish", ["--no-config", "-c", program + "'samplerproof study bim'"], folder)
    assert file.split() == ["bimodal.toml"]


@pytest.mark.parametrize("name", completion.Shell)
def test_every_shell_has_a_script(samplerproof, name: completion.Shell) -> None:  # type: ignore[no-untyped-def]
    """Assert that the script is printed alone, and calls back by the variable that the command reads."""
    done = samplerproof("--completion", name.value)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{completion.VARIABLE}=complete_{name.value}" in done.stdout


def test_names_are_offered() -> None:
    """Assert that aliases come with a letter, that every schedule is there, and that an unknown start offers none."""
    assert "edm-euler" not in completion.methods("")
    assert "ddim" in completion.methods("")
    assert completion.methods("edm-eu") == ["edm-euler"]
    assert completion.methods("DDIM") == []
    assert sorted(completion.schedules("")) == sorted(SCHEDULES)
    assert {"karras", "beta", "list"} <= set(completion.grids(""))
    assert "unipc" in completion.families("u")


@pytest.mark.slow
def test_a_key_press_is_answered_quickly(folder: Path) -> None:
    """Assert that names are offered, and the help is printed, within a second of processor time, and load no torch."""
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    asked = {"COMP_WORDS": "samplerproof derive ddi", "COMP_CWORD": "2", completion.VARIABLE: "complete_bash"}
    program = "import sys; from samplerproof.cli.main import run\ntry: run()\nexcept SystemExit: pass\n"
    program += "import time; print('torch' in sys.modules, time.process_time(), file=sys.stderr)"
    for extra, arguments in ((asked, []), ({}, ["--help"])):
        environment = {**os.environ, "PATH": path, **extra}
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], env=environment, capture_output=True, text=True, timeout=60
        )
        loaded, seconds = done.stderr.split()
        assert "ddim" in done.stdout or "verify" in done.stdout
        assert loaded == "False"
        assert float(seconds) < 1  # 0.2 s on an idle machine, and more on a busy one
