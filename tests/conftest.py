"""What every folder of tests shares."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import Outcome

from kerasrl_runner.cli import main

MINIMAL = """\
[env]
id = "CartPole-v1"

[model]
layers = [{ Dense = { units = 4, activation = "relu" } }]
"""


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c() -> None:
    """Let SIGINT raise KeyboardInterrupt, also where a shell runs the tests in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes runs of the working folder, or opens a window."""
    monkeypatch.setenv("KERASRL_RUNS", str(tmp_path / "runs"))
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def write_preset(tmp_path: Path) -> Callable[..., Path]:
    """Write a preset file: `write_preset("[fit]\\nnb_steps = 9")` adds to the smallest one."""

    def write(text: str = "", name: str = "mine", base: str = MINIMAL) -> Path:
        path = tmp_path / f"{name}.toml"
        path.write_text(base + text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """The command line in this process, for what needs no process of its own."""

    def invoke(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return invoke


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a megabyte, mounted at disk/."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"this process may not mount: {mounted.stderr.strip()}")
    yield path
    subprocess.run(["umount", str(path)], check=True)
